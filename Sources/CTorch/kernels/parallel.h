// Work shared between the threads libtorch computes with.
#pragma once

#include <cstdint>
#include <type_traits>

namespace ettin {

// Threads a kernel may use: libtorch's own count, which --threads and the machine's limits set.
int threadCount();

namespace detail {
void runTasks(int64_t count, int threads, void (*body)(void *context, int64_t task, int thread), void *context);
}

// Calls body(task, thread) once for each task in 0 ..< count, in order of arrival. `thread` is below threadCount() and
// no two calls that run at one time have the same. Inside a parallel region everything runs on the calling thread.
template <typename Body>
void parallelTasks(int64_t count, Body &&body) {
    using Callable = std::remove_reference_t<Body>;
    detail::runTasks(
        count, threadCount(),
        [](void *context, int64_t task, int thread) { (*static_cast<Callable *>(context))(task, thread); },
        const_cast<void *>(static_cast<const void *>(&body)));
}

}  // namespace ettin
