// How many threads the system lets this process have.
#include "CTorch.h"

#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <new>
#include <vector>

namespace {

// Threads wait here until all that can be had have been started: what counts is how many there are at one time.
struct Gate {
    std::mutex mutex;
    std::condition_variable opened;
    bool isOpen = false;

    void wait() {
        std::unique_lock lock(mutex);
        opened.wait(lock, [this] { return isOpen; });
    }

    void open() {
        const std::lock_guard lock(mutex);
        isOpen = true;
        opened.notify_all();
    }
};

}  // namespace

int32_t ct_threads_startable(int32_t count, CTThreadStart start) {
    Gate gate;
    std::vector<pthread_t> threads;
    try {
        threads.reserve(count > 1 ? static_cast<size_t>(count) - 1 : 0);
    } catch (const std::bad_alloc &) {
        return 1;
    }
    const auto body = [](void *gate) -> void * {
        static_cast<Gate *>(gate)->wait();
        return nullptr;
    };
    for (int32_t index = 1; index < count; index++) {
        pthread_t thread;
        if ((start ? start(&thread, nullptr, body, &gate) : pthread_create(&thread, nullptr, body, &gate)) != 0) break;
        threads.push_back(thread);
    }
    gate.open();
    for (const pthread_t thread : threads) pthread_join(thread, nullptr);
    return 1 + static_cast<int32_t>(threads.size());
}
