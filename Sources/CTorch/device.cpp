#include "guard.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/ivalue.h>
#include <ATen/cpu/Utils.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/headeronly/version.h>

#include <dlfcn.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

namespace {

#ifdef __APPLE__
constexpr const char *cudaLibrary = "libtorch_cuda.dylib";
#else
constexpr const char *cudaLibrary = "libtorch_cuda.so";
#endif

const char *kept(std::string text) {
    static thread_local std::string last;
    last = std::move(text);
    return last.c_str();
}

std::string libraryFolder() {
    Dl_info info;
    if (dladdr(reinterpret_cast<const void *>(&at::show_config), &info) == 0 || info.dli_fname == nullptr) return "";
    const std::string path = info.dli_fname;
    return path.substr(0, path.find_last_of('/'));
}

}  // namespace

const char *ct_device_torch_version(void) { return TORCH_VERSION; }

const char *ct_device_build_summary(void) { return kept(at::show_config()); }

const char *ct_device_cpu_capability(void) { return kept(at::get_cpu_capability()); }

const char *ct_device_cpu_features(void) {
    std::vector<std::string> names;
    for (const auto &[name, value] : at::cpu::get_cpu_capabilities()) {
        if (value.isBool() && value.toBool()) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    std::string list;
    for (const auto &name : names) list += (list.empty() ? "" : " ") + name;
    return kept(std::move(list));
}

const char *ct_device_library_folder(void) { return kept(libraryFolder()); }

CTStatus ct_device_load_cuda(void) {
    static std::once_flag once;
    static std::string failure;
    std::call_once(once, [] {
        const std::string path = libraryFolder() + "/" + cudaLibrary;
        // The library registers its kernels and allocator with libtorch_cpu as it loads.
        if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) failure = dlerror();
    });
    return failure.empty() ? CT_OK : ettin::fail(CT_DEVICE, failure);
}

int32_t ct_device_count(CTDeviceType type) {
    switch (type) {
        case CT_CPU:
            return 1;
        case CT_CUDA:
            try {
                return at::detail::getCUDAHooks().deviceCount();
            } catch (...) {
                return 0;  // libtorch_cuda is not loaded
            }
        case CT_MPS:
            return at::hasMPS() ? 1 : 0;
    }
    return 0;
}

bool ct_device_is_available(CTDeviceType type) {
    if (type == CT_CUDA && ct_device_load_cuda() != CT_OK) return false;
    return ct_device_count(type) > 0;
}

CTStatus ct_device_synchronize(CTDevice device) {
    return ettin::guarded([&] {
        if (device.type == CT_CPU) return;
        const c10::Device target = ettin::deviceOf(device);
        c10::impl::VirtualGuardImpl guard(target.type());
        guard.synchronizeDevice(target.has_index() ? target.index() : guard.getDevice().index());
    });
}

void ct_device_seed(uint64_t seed) { at::manual_seed(seed); }

void ct_device_set_thread_count(int32_t count) { at::set_num_threads(count); }

int32_t ct_device_thread_count(void) { return at::get_num_threads(); }
