// The one place where C++ exceptions become statuses.
#pragma once

#include "CTorch.h"

#include <ATen/core/Tensor.h>

#include <exception>
#include <optional>
#include <string>
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

// A failure that was recorded below code of libtorch, on its way through that code to the call that started it. libtorch
// hands what a thread of its backward pass throws to the thread that waits for the gradients.
class RecordedFailure final : public std::exception {
  public:
    RecordedFailure(CTStatus status, std::string text) : status(status), text(std::move(text)) {}

    const CTStatus status;

    const char *what() const noexcept override { return text.c_str(); }

  private:
    std::string text;
};

// Runs `body`, which calls back into the caller's language, in a recovery scope of its own on whatever thread this is, and
// throws RecordedFailure when an operation in it failed for want of memory or for a device fault.
template <typename Body>
auto scoped(Body &&body) {
    ct_scope_open();
    // Callers never throw, but a copy of what they give may.
    struct Closing {
        bool isOpen = true;
        CTStatus close() {
            isOpen = false;
            return ct_scope_close_attempt();
        }
        ~Closing() {
            if (isOpen) ct_scope_close_attempt();
        }
    } closing;
    auto result = std::forward<Body>(body)();
    const CTStatus failure = closing.close();
    if (failure != CT_OK) throw RecordedFailure(failure, ct_error_message());
    return result;
}

template <typename Body>
CTStatus guarded(Body &&body) noexcept {
    if (scopeHasFailed()) return CT_SKIPPED;
    try {
        std::forward<Body>(body)();
        return CT_OK;
    } catch (const RecordedFailure &failure) {
        return fail(failure.status, failure.what());
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
