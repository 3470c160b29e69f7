#include "memory.h"

#include "CTorch.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>

namespace ettin {

namespace {

constexpr size_t hugePage = 2 << 20;
// Sizes are multiples of this, so that requests of nearly one size share blocks.
constexpr size_t unit = 64 << 10;

size_t roundedUp(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

void *map(size_t bytes) noexcept {
    // Huge pages need addresses of their size: what lies before and behind is given back at once.
    const size_t slack = bytes >= hugePage ? hugePage : 0;
    void *found = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (found == MAP_FAILED) return nullptr;
    auto *begin = static_cast<char *>(found);
    if (slack > 0) {
        const size_t before = roundedUp(reinterpret_cast<size_t>(begin), hugePage) - reinterpret_cast<size_t>(begin);
        if (before > 0) munmap(begin, before);
        begin += before;
        if (slack > before) munmap(begin + bytes, slack - before);
#if defined(__linux__)
        madvise(begin, bytes, MADV_HUGEPAGE);
#endif
    }
    return begin;
}

class BlockCache {
  public:
    void *take(size_t bytes) noexcept {
        if (bytes > SIZE_MAX / 2) return nullptr;  // rounded up, it might begin at 0 again
        const size_t size = roundedUp(bytes, unit);
        const std::lock_guard lock(mutex);
        clock++;
        if (clock % agingPeriod == 0) release([&](const Free &block) { return clock - block.freed > oldestAge; });
        try {
            // A much larger block would keep memory from whom it fits.
            const auto fitting = free.lower_bound(size);
            if (fitting != free.end() && fitting->first <= size + size / 4) {
                void *memory = fitting->second.memory;
                sizes.emplace(memory, fitting->first);
                keptBytes -= fitting->first;
                noteTaken(fitting->first);
                free.erase(fitting);
                return memory;
            }
            void *memory = map(size);
            if (memory == nullptr) {
                release([](const Free &) { return true; });
                memory = map(size);
            }
            if (memory == nullptr) return nullptr;
            sizes.emplace(memory, size);
            noteTaken(size);
            // What was kept did not fit, so that there may now be more than is allowed.
            trim();
            return memory;
        } catch (const std::bad_alloc &) {
            return nullptr;
        }
    }

    // False when the memory is not one of these blocks.
    bool give(void *memory) noexcept {
        const std::lock_guard lock(mutex);
        const auto known = sizes.find(memory);
        if (known == sizes.end()) return false;
        const size_t size = known->second;
        sizes.erase(known);
        usedBytes -= size;
        try {
            free.emplace(size, Free{memory, clock});
            keptBytes += size;
        } catch (const std::bad_alloc &) {
            munmap(memory, size);
        }
        trim();
        return true;
    }

    void setLimit(size_t bytes) noexcept {
        const std::lock_guard lock(mutex);
        limit = bytes;
        trim();
    }

    size_t kept() noexcept {
        const std::lock_guard lock(mutex);
        return keptBytes;
    }

    void releaseAll() noexcept {
        const std::lock_guard lock(mutex);
        release([](const Free &) { return true; });
    }

  private:
    struct Free {
        void *memory;
        size_t freed;  // the clock then
    };

    // A block that was not wanted for so many requests is given back: a model's forward pass makes some dozens, a training
    // step some hundreds.
    static constexpr size_t oldestAge = 8192, agingPeriod = 1024;
    // Blocks kept and in use together are at most the most that was in use lately, and so much more of it: batches differ
    // in length, so that a step does not find a block of the right size for all it needs among those of the last.
    static constexpr size_t slackDivisor = 2;

    std::mutex mutex;
    std::multimap<size_t, Free> free;
    std::unordered_map<void *, size_t> sizes;  // of the blocks in use
    size_t keptBytes = 0, usedBytes = 0;
    // The most that was in use at one time since the current period of `oldestAge` requests began, and in the one before.
    size_t peak = 0, peakBefore = 0;
    size_t limit = 1 << 30;
    size_t clock = 0;  // requests until now

    void noteTaken(size_t size) noexcept {
        usedBytes += size;
        if (clock % oldestAge == 0) {
            peakBefore = peak;
            peak = usedBytes;
        }
        peak = std::max(peak, usedBytes);
    }

    size_t allowedBytes() const noexcept {
        const size_t lately = std::max(peak, peakBefore);
        return std::min(limit, lately - usedBytes + lately / slackDivisor);
    }

    template <typename Condition>
    void release(Condition condition) noexcept {
        for (auto block = free.begin(); block != free.end();) {
            if (!condition(block->second)) {
                ++block;
                continue;
            }
            munmap(block->second.memory, block->first);
            keptBytes -= block->first;
            block = free.erase(block);
        }
    }

    // Gives back the blocks that have waited longest until the rest is what may be kept.
    void trim() noexcept {
        const size_t allowed = allowedBytes();
        while (keptBytes > allowed) {
            auto oldest = free.begin();
            for (auto block = free.begin(); block != free.end(); ++block) {
                if (block->second.freed < oldest->second.freed) oldest = block;
            }
            munmap(oldest->second.memory, oldest->first);
            keptBytes -= oldest->first;
            free.erase(oldest);
        }
    }
};

// Never destroyed: tensors may be freed while the process ends.
BlockCache &cache() {
    static BlockCache *const blocks = new BlockCache;
    return *blocks;
}

// libtorch's tensors on the CPU come from here too.
class KeepingAllocator final : public c10::Allocator {
    c10::DataPtr allocate(size_t bytes) override {
        void *memory = bytes >= keptBlockBytes ? cache().take(bytes) : nullptr;
        // What cannot be had is libtorch's to report.
        if (memory == nullptr) return c10::GetDefaultCPUAllocator()->allocate(bytes);
        return {memory, memory, &freeTensor, c10::Device(c10::DeviceType::CPU)};
    }

    c10::DeleterFnPtr raw_deleter() const override { return &freeTensor; }

    void copy_data(void *to, const void *from, size_t count) const override { default_copy_data(to, from, count); }

    static void freeTensor(void *memory) {
        if (memory != nullptr && !cache().give(memory)) c10::free_cpu(memory);
    }
};

[[maybe_unused]] const bool isInstalled = [] {
    // Above libtorch's own.
    c10::SetCPUAllocator(new KeepingAllocator, 1);
    return true;
}();

}  // namespace

void *allocateBlock(size_t bytes) noexcept {
    if (bytes >= keptBlockBytes) return cache().take(bytes);
    void *memory = nullptr;
    return posix_memalign(&memory, 64, bytes > 0 ? bytes : 64) == 0 ? memory : nullptr;
}

void freeBlock(void *memory) noexcept {
    if (memory != nullptr && !cache().give(memory)) std::free(memory);
}

}  // namespace ettin

void ct_memory_set_kept_limit(uint64_t bytes) { ettin::cache().setLimit(bytes); }

uint64_t ct_memory_kept_bytes(void) { return ettin::cache().kept(); }

void ct_memory_release_kept(void) { ettin::cache().releaseAll(); }
