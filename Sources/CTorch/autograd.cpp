#include "guard.h"

#include <ATen/core/grad_mode.h>

using namespace ettin;

bool ct_autograd_is_enabled(void) { return at::GradMode::is_enabled(); }

void ct_autograd_set_enabled(bool enabled) { at::GradMode::set_enabled(enabled); }

CTStatus ct_autograd_set_requires_gradient(CTTensor *tensor, bool required) {
    return guarded([&] { tensor->value.requires_grad_(required); });
}

bool ct_autograd_requires_gradient(const CTTensor *tensor) { return tensor->value.requires_grad(); }

CTStatus ct_autograd_backward(const CTTensor *loss) {
    return guarded([&] { loss->value.backward(); });
}

CTStatus ct_autograd_gradient(const CTTensor *tensor, CTTensor **out) {
    return guarded([&] {
        const at::Tensor &gradient = tensor->value.grad();
        *out = gradient.defined() ? new CTTensor{gradient} : nullptr;
    });
}

CTStatus ct_autograd_clear_gradient(CTTensor *tensor) {
    return guarded([&] { tensor->value.mutable_grad().reset(); });
}

CTStatus ct_autograd_detached(const CTTensor *tensor, CTTensor **out) {
    return produce(out, [&] { return tensor->value.detach(); });
}
