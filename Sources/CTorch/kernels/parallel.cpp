// Kernels run on the OpenMP runtime libtorch has already started: a pool of our own would compete with its threads,
// which spin for a while after each of libtorch's operators. Its entry point is looked up by name because SwiftPM
// compiles without OpenMP; where it is absent (libtorch builds with another runtime), plain threads are started.
#include "parallel.h"

#include <ATen/Parallel.h>

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace ettin {

namespace {

// The C interface of GNU's OpenMP runtime, which LLVM's also offers.
struct OpenMP {
    void (*parallel)(void (*body)(void *), void *data, unsigned threads, unsigned flags);
    int (*threadNumber)();
};

const OpenMP &openMP() {
    static const OpenMP found = [] {
        OpenMP entry{};
        *reinterpret_cast<void **>(&entry.parallel) = dlsym(RTLD_DEFAULT, "GOMP_parallel");
        *reinterpret_cast<void **>(&entry.threadNumber) = dlsym(RTLD_DEFAULT, "omp_get_thread_num");
        if (entry.threadNumber == nullptr) entry.parallel = nullptr;
        return entry;
    }();
    return found;
}

struct Team {
    std::atomic<int64_t> next{0};
    int64_t count;
    void (*body)(void *, int64_t, int);
    void *context;

    std::atomic_flag hasFailed = ATOMIC_FLAG_INIT;
    std::exception_ptr failure;

    // A buffer that cannot be had is the caller's to report: an exception must not leave another thread.
    void work(int thread) noexcept {
        try {
            for (int64_t task = next.fetch_add(1, std::memory_order_relaxed); task < count;
                 task = next.fetch_add(1, std::memory_order_relaxed)) {
                body(context, task, thread);
            }
        } catch (...) {
            next.store(count, std::memory_order_relaxed);
            if (!hasFailed.test_and_set()) failure = std::current_exception();
        }
    }

    // After all threads have ended.
    void finish() const {
        if (failure) std::rethrow_exception(failure);
    }
};

thread_local bool isInside = false;

struct Inside {
    Inside() { isInside = true; }
    ~Inside() { isInside = false; }
};

}  // namespace

int threadCount() { return isInside || at::in_parallel_region() ? 1 : std::max(1, at::get_num_threads()); }

void detail::runTasks(int64_t count, int threads, void (*body)(void *, int64_t, int), void *context) {
    if (count <= 0) return;
    Team team{.count = count, .body = body, .context = context};
    const int width = static_cast<int>(std::min<int64_t>(threads, count));
    if (width == 1) {
        team.work(0);
        return team.finish();
    }
    if (openMP().parallel != nullptr) {
        const auto member = [](void *data) {
            const Inside inside;
            static_cast<Team *>(data)->work(openMP().threadNumber());
        };
        openMP().parallel(member, &team, static_cast<unsigned>(width), 0);
        return team.finish();
    }
    std::vector<std::thread> others;
    // Tasks are handed out one by one, so that fewer threads than asked for do them all.
    try {
        others.reserve(static_cast<size_t>(width) - 1);
        for (int thread = 1; thread < width; thread++) {
            others.emplace_back([&team, thread] {
                const Inside inside;
                team.work(thread);
            });
        }
    } catch (const std::system_error &) {
    } catch (const std::bad_alloc &) {
    }
    {
        const Inside inside;
        team.work(0);
    }
    for (auto &other : others) other.join();
    team.finish();
}

}  // namespace ettin
