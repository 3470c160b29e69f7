#include "guard.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/variable.h>

#include <memory>

using namespace ettin;

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What is computed twice, on behalf of the caller who knows how.
struct Recomputation : torch::CustomClassHolder {
    CTStatus (*body)(void *, CTTensor *, CTTensor *, CTTensor **, CTTensor **);
    void (*release)(void *);
    void *context;

    ~Recomputation() override { release(context); }

    std::pair<at::Tensor, at::Tensor> run(const at::Tensor &first, const at::Tensor &second) const {
        CTTensor one{first}, two{second};
        std::unique_ptr<CTTensor> ownedOne, ownedTwo;
        // Gradients on a device are taken on a thread of libtorch's, where the scope of the caller is not open.
        const CTStatus status = scoped([&] {
            CTTensor *outputOne = nullptr, *outputTwo = nullptr;
            const CTStatus result = body(context, &one, second.defined() ? &two : nullptr, &outputOne, &outputTwo);
            ownedOne.reset(outputOne);
            ownedTwo.reset(outputTwo);
            return result;
        });
        TORCH_CHECK(status == CT_OK && ownedOne, "a recomputed part gave no outputs");
        return {ownedOne->value, ownedTwo ? ownedTwo->value : at::Tensor()};
    }
};

struct Recomputed : torch::autograd::Function<Recomputed> {
    // `anchor` is what makes the outputs ask for gradients when the parameters inside do and no input does.
    static variable_list forward(AutogradContext *context, const at::Tensor &first,
                                 const std::optional<at::Tensor> &optionalSecond, const at::Tensor &anchor,
                                 const c10::intrusive_ptr<Recomputation> &part) {
        static_cast<void>(anchor);
        const at::Tensor second = optionalSecond.value_or(at::Tensor());
        context->save_for_backward({first, second});
        context->saved_data["part"] = c10::IValue::make_capsule(part);
        const auto [one, two] = part->run(first, second);
        return two.defined() ? variable_list{one, two} : variable_list{one};
    }

    static variable_list backward(AutogradContext *context, const variable_list &above) {
        const auto saved = context->get_saved_variables();
        const auto part = c10::static_intrusive_pointer_cast<Recomputation>(context->saved_data["part"].toCapsule());
        // Edges are counted among the inputs that are tensors, and there may be no second one.
        const auto leaf = [&](const at::Tensor &tensor, size_t edge) {
            return tensor.defined() ? tensor.detach().requires_grad_(context->needs_input_grad(edge)) : tensor;
        };
        const at::Tensor first = leaf(saved[0], 0), second = leaf(saved[1], 1);
        const at::AutoGradMode isRecording(true);
        torch::autograd::edge_list roots;
        variable_list gradients;
        {
            // Outputs are computed again for their graph alone, and given up before it is walked.
            const auto [one, two] = part->run(first, second);
            const auto start = [&](const at::Tensor &output, size_t index) {
                if (!output.defined() || !output.requires_grad()) return;
                roots.push_back(torch::autograd::impl::gradient_edge(output));
                gradients.push_back(above[index]);
            };
            start(one, 0);
            start(two, 1);
        }
        // Gradients of parameters inside are added where they always are; those of the inputs are what is asked for.
        if (!roots.empty()) {
            torch::autograd::Engine::get_default_engine().execute(roots, gradients, /*keep_graph=*/false,
                                                                  /*create_graph=*/false, /*accumulate_grad=*/true);
        }
        const auto gradient = [](const at::Tensor &tensor) { return tensor.defined() ? tensor.grad() : at::Tensor(); };
        return {gradient(first), gradient(second), at::Tensor(), at::Tensor()};
    }
};

}  // namespace

bool ct_autograd_is_enabled(void) { return at::GradMode::is_enabled(); }

void ct_autograd_set_enabled(bool enabled) { at::GradMode::set_enabled(enabled); }

CTStatus ct_autograd_set_requires_gradient(CTTensor *tensor, bool required) {
    return guarded([&] { tensor->value.requires_grad_(required); });
}

bool ct_autograd_requires_gradient(const CTTensor *tensor) { return tensor->value.requires_grad(); }

CTStatus ct_autograd_backward(const CTTensor *tensor, const CTTensor *gradient) {
    return guarded([&] { tensor->value.backward(gradient ? gradient->value : at::Tensor()); });
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

CTStatus ct_autograd_recomputed(const CTTensor *first, const CTTensor *second, bool trains,
                                CTStatus (*body)(void *context, CTTensor *first, CTTensor *second, CTTensor **out1,
                                                 CTTensor **out2),
                                void (*release)(void *context), void *context, CTTensor **out1, CTTensor **out2) {
    auto part = c10::make_intrusive<Recomputation>();
    part->body = body;
    part->release = release;
    part->context = context;
    return guarded([&] {
        at::Tensor anchor = at::empty({0}, first->value.options().dtype(at::kFloat));
        if (trains && !first->value.requires_grad() && !(second && second->value.requires_grad())) {
            anchor.requires_grad_(true);
        }
        const auto results = Recomputed::apply(first->value, optional(second), anchor, part);
        auto one = std::make_unique<CTTensor>(CTTensor{results[0]});
        *out2 = results.size() > 1 ? new CTTensor{results[1]} : nullptr;
        *out1 = one.release();
    });
}
