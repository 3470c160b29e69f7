#include "kernels.h"

#include "../memory.h"
#include "../products.h"
#include "CTorch.h"

#include <cstdlib>
#include <new>
#include <string_view>

namespace ettin {

namespace portable {
extern const KernelTable table;
}

#if defined(__x86_64__)
namespace avx2 {
extern const KernelTable table;
}
namespace avx512 {
extern const KernelTable table;
}
namespace avx512BF16 {
extern const KernelTable table;
}
#endif

void FreeAligned::operator()(void *memory) const { freeBlock(memory); }

AlignedMemory allocateAligned(size_t bytes) {
    void *memory = allocateBlock(bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return AlignedMemory(memory);
}

const KernelTable *kernels(InstructionSet set) {
    if (set == InstructionSet::portable) return &portable::table;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool hasAVX2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool hasAVX512 = hasAVX2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    switch (set) {
        case InstructionSet::avx2: return hasAVX2 ? &avx2::table : nullptr;
        case InstructionSet::avx512: return hasAVX512 ? &avx512::table : nullptr;
        case InstructionSet::avx512BF16:
            return hasAVX512 && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni")
                       ? &avx512BF16::table
                       : nullptr;
        default: break;
    }
#endif
    return nullptr;
}

namespace {

// libtorch's variable for computing as on a lesser processor holds for the kernels too.
InstructionSet most() {
    const char *value = std::getenv("ATEN_CPU_CAPABILITY");
    const std::string_view name = value != nullptr ? value : "";
    if (name == "default") return InstructionSet::portable;
    return name == "avx2" ? InstructionSet::avx2 : InstructionSet::avx512BF16;
}

const KernelTable *best() {
    for (const auto set : {InstructionSet::avx512BF16, InstructionSet::avx512, InstructionSet::avx2}) {
        if (set > most()) continue;
        if (const auto *found = kernels(set)) return found;
    }
    return kernels(InstructionSet::portable);
}

// What this thread has chosen; what others compute must not change on the way.
thread_local const KernelTable *chosen = nullptr;

}  // namespace

const KernelTable &kernels() {
    static const KernelTable *const found = best();
    return chosen != nullptr ? *chosen : *found;
}

bool useKernels(InstructionSet set) {
    const KernelTable *found = kernels(set);
    if (found != nullptr) chosen = found;
    return found != nullptr;
}

}  // namespace ettin

CTInstructionSet ct_kernels_instruction_set(void) {
    return static_cast<CTInstructionSet>(ettin::kernels().instructionSet);
}

bool ct_kernels_multiply_bfloat16(void) { return ettin::hasBFloat16Products(); }

bool ct_kernels_use(CTInstructionSet set) { return ettin::useKernels(static_cast<ettin::InstructionSet>(set)); }
