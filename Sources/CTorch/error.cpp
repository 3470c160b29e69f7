#include "guard.h"

#include <string>

namespace ettin {
namespace {

struct ThreadState {
    int depth = 0;
    CTStatus failure = CT_OK;
    std::string failureText;
    std::string text;
};

ThreadState &state() {
    static thread_local ThreadState value;
    return value;
}

}  // namespace

bool scopeHasFailed() noexcept {
    const ThreadState &current = state();
    return current.depth > 0 && current.failure != CT_OK;
}

CTStatus fail(CTStatus status, std::string_view text) noexcept {
    ThreadState &current = state();
    try {
        current.text = text;
        if (current.depth > 0 && current.failure == CT_OK && status != CT_USAGE) {
            current.failureText = current.text;
            current.failure = status;
        }
    } catch (...) {
        current.failure = status;  // no memory for the text: the status alone must do
    }
    return status;
}

CTStatus classify(const c10::Error &error) noexcept {
    if (dynamic_cast<const c10::OutOfMemoryError *>(&error)) return CT_OUT_OF_MEMORY;
    if (dynamic_cast<const c10::AcceleratorError *>(&error)) return CT_DEVICE;
    // The CPU allocator reports exhaustion as a plain error, so only its text tells.
    const std::string_view text = error.what_without_backtrace();
    if (text.find("DefaultCPUAllocator") != text.npos || text.find("alloc_cpu.cpp") != text.npos) {
        return CT_OUT_OF_MEMORY;
    }
    if (text.find("CUDA error") != text.npos || text.find("CUDA driver") != text.npos ||
        text.find("PyTorch is not linked with support for") != text.npos) {
        return CT_DEVICE;
    }
    return CT_USAGE;
}

}  // namespace ettin

const char *ct_error_message(void) { return ettin::state().text.c_str(); }

void ct_scope_open(void) {
    auto &current = ettin::state();
    if (current.depth++ == 0) current.failure = CT_OK;
}

CTStatus ct_scope_close(void) {
    auto &current = ettin::state();
    if (--current.depth > 0 || current.failure == CT_OK) return CT_OK;
    current.text = current.failureText;
    const CTStatus failure = current.failure;
    current.failure = CT_OK;
    return failure;
}

bool ct_scope_is_open(void) { return ettin::state().depth > 0; }

bool ct_scope_has_failed(void) { return ettin::scopeHasFailed(); }

CTStatus ct_scope_close_attempt(void) {
    auto &current = ettin::state();
    current.depth--;
    const CTStatus failure = current.failure;
    if (failure != CT_OK) current.text.swap(current.failureText);
    current.failure = CT_OK;
    return failure;
}
