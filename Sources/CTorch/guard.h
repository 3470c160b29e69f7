// The one place where C++ exceptions become statuses.
#pragma once

#include "CTorch.h"

#include <ATen/core/Tensor.h>

#include <exception>
#include <optional>
#include <string_view>
#include <utility>

struct CTTensor {
    at::Tensor value;
};

namespace ettin {

// True when the open recovery scope of this thread has already failed.
bool scopeHasFailed() noexcept;
// Records the text (and, in an open scope, the status) of a failure and returns its status.
CTStatus fail(CTStatus status, std::string_view text) noexcept;
// The status a C++ exception stands for.
CTStatus classify(const c10::Error &error) noexcept;

template <typename Body>
CTStatus guarded(Body &&body) noexcept {
    if (scopeHasFailed()) return CT_SKIPPED;
    try {
        std::forward<Body>(body)();
        return CT_OK;
    } catch (const c10::Error &error) {
        return fail(classify(error), error.what_without_backtrace());
    } catch (const std::bad_alloc &) {
        return fail(CT_OUT_OF_MEMORY, "not enough host memory");
    } catch (const std::exception &error) {
        return fail(CT_USAGE, error.what());
    } catch (...) {
        return fail(CT_USAGE, "unknown C++ exception");
    }
}

// Runs `body`, which returns a tensor, and hands its result to the caller as a new handle.
template <typename Body>
CTStatus produce(CTTensor **out, Body &&body) noexcept {
    return guarded([&] { *out = new CTTensor{std::forward<Body>(body)()}; });
}

inline at::IntArrayRef shapeOf(const int64_t *shape, int32_t rank) {
    return {shape, static_cast<size_t>(rank)};
}

inline std::optional<at::Tensor> optional(const CTTensor *tensor) {
    return tensor ? std::optional<at::Tensor>(tensor->value) : std::nullopt;
}

// The object behind a handle; throws where there is none, because a recovery scope had failed when it was to be made.
template <typename Object>
const Object &made(const Object *object, const char *name) {
    TORCH_CHECK(object != nullptr, name, " were not made, as their recovery scope had failed");
    return *object;
}

// Throws when a tensor about to be changed in place lies in borrowed memory.
void requireWritable(const at::Tensor &tensor);

at::ScalarType scalarType(CTDType dtype);
CTDType dtypeOf(at::ScalarType type);
c10::Device deviceOf(CTDevice device);

}  // namespace ettin
