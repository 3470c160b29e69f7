// A short message in place of a backtrace when the process crashes.
//
// A handler may only call what is safe at any moment: everything it writes is made before, and it writes with write(2).
#include "CTorch.h"

#include <c10/util/Exception.h>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>

namespace {

struct CrashSignal {
    int number;
    const char *line;
};

constexpr CrashSignal crashSignals[] = {
    {SIGILL, "crashed: illegal instruction (SIGILL)\n"}, {SIGTRAP, "crashed: trap (SIGTRAP)\n"},
    {SIGABRT, "crashed: aborted (SIGABRT)\n"},           {SIGBUS, "crashed: bus error (SIGBUS)\n"},
    {SIGFPE, "crashed: arithmetic error (SIGFPE)\n"},    {SIGSEGV, "crashed: invalid memory access (SIGSEGV)\n"},
};

char report[1024];
std::atomic_flag isReporting = ATOMIC_FLAG_INIT;
// A stack that has overflowed has no room for the handler.
alignas(16) char handlerStack[64 << 10];

void print(const char *text) {
    size_t count = std::strlen(text);
    while (count > 0) {
        const ssize_t written = write(STDERR_FILENO, text, count);
        if (written <= 0) return;
        text += written;
        count -= static_cast<size_t>(written);
    }
}

void handle(int number) {
    static pthread_t reporter;
    if (!isReporting.test_and_set()) {
        reporter = pthread_self();
        for (const auto &crash : crashSignals) {
            if (crash.number == number) print(crash.line);
        }
        print(report);
    } else if (!pthread_equal(reporter, pthread_self())) {
        // Another thread that crashes meanwhile waits for the end.
        for (;;) pause();
    }
    // The default action again: whoever waits for the process learns how it ended.
    signal(number, SIG_DFL);
    raise(number);
}

[[noreturn]] void terminate() {
    // libtorch's own text has a backtrace of its own.
    try {
        if (const auto exception = std::current_exception()) std::rethrow_exception(exception);
    } catch (const c10::Error &error) {
        print(error.what_without_backtrace());
        print("\n");
    } catch (const std::exception &error) {
        print(error.what());
        print("\n");
    } catch (...) {
        print("uncaught C++ exception\n");
    }
    std::abort();
}

}  // namespace

void ct_crash_report(const char *text) {
    std::strncpy(report, text, sizeof report - 1);
    const stack_t stack = {.ss_sp = handlerStack, .ss_flags = 0, .ss_size = sizeof handlerStack};
    sigaltstack(&stack, nullptr);
    struct sigaction action = {};
    action.sa_handler = handle;
    // The signal must get through when the handler raises it again.
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    for (const auto &crash : crashSignals) sigaction(crash.number, &action, nullptr);
    std::set_terminate(terminate);
}
