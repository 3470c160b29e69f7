#include "products.h"

#include "kernels/kernels.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace ettin {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor exact(const at::Tensor &x) { return x.to(at::kFloat); }
at::Tensor rounded(const at::Tensor &x) { return x.to(at::kBFloat16); }

at::Tensor rows(const at::Tensor &x) { return x.reshape({-1, x.size(-1)}); }

// What is kept for the backward pass are the operands as they came, half as large.
struct LinearInFloat : torch::autograd::Function<LinearInFloat> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &input, const at::Tensor &weight,
                              const std::optional<at::Tensor> &bias) {
        context->save_for_backward({input, weight});
        context->saved_data["has_bias"] = bias.has_value();
        auto shape = input.sizes().vec();
        shape.back() = weight.size(0);
        const at::Tensor x = exact(rows(input)), w = exact(weight).t();
        return rounded(bias ? at::addmm(exact(*bias), x, w) : at::mm(x, w)).view(shape);
    }

    static variable_list backward(AutogradContext *context, const variable_list &above) {
        const variable_list saved = context->get_saved_variables();
        const at::Tensor &input = saved[0], &weight = saved[1];
        const at::Tensor g = exact(rows(above[0]));
        variable_list gradients(3);
        if (context->needs_input_grad(0)) gradients[0] = rounded(at::mm(g, exact(weight))).view(input.sizes());
        if (context->needs_input_grad(1)) gradients[1] = rounded(at::mm(g.t(), exact(rows(input))));
        const bool hasBias = context->saved_data["has_bias"].toBool();
        if (hasBias && context->needs_input_grad(2)) gradients[2] = rounded(g.sum(0));
        return gradients;
    }
};

// left · right, with the left operand transposed or not.
void multiply(const at::Tensor &left, bool isTransposed, const at::Tensor &right, const at::Tensor &out, bool adds) {
    const int64_t width = left.size(1);
    kernels().product({.rows = isTransposed ? width : left.size(0),
                       .columns = right.size(1),
                       .depth = right.size(0),
                       .left = left.const_data_ptr<float>(),
                       .leftRowStride = isTransposed ? 1 : width,
                       .leftDepthStride = isTransposed ? width : 1,
                       .right = right.const_data_ptr<float>(),
                       .output = out.mutable_data_ptr<float>(),
                       .adds = adds});
}

struct LinearByKernels : torch::autograd::Function<LinearByKernels> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &input, const at::Tensor &weight,
                              const std::optional<at::Tensor> &bias) {
        context->save_for_backward({input, weight});
        context->saved_data["has_bias"] = bias.has_value();
        auto shape = input.sizes().vec();
        shape.back() = weight.size(0);
        const at::Tensor x = rows(input).contiguous(), turned = weight.t().contiguous();
        const at::Tensor out = at::empty({x.size(0), weight.size(0)});
        if (bias) out.copy_(*bias);
        multiply(x, false, turned, out, bias.has_value());
        return out.view(shape);
    }

    static variable_list backward(AutogradContext *context, const variable_list &above) {
        const variable_list saved = context->get_saved_variables();
        const at::Tensor &input = saved[0], &weight = saved[1];
        const at::NoGradGuard guard;
        const at::Tensor g = rows(above[0]).contiguous();
        variable_list gradients(3);
        if (context->needs_input_grad(0)) {
            gradients[0] = at::empty(input.sizes());
            multiply(g, false, weight.contiguous(), gradients[0], false);
        }
        if (context->needs_input_grad(1)) {
            const at::Tensor &existing = weight.grad();
            const bool adds = weight.is_leaf() && existing.defined() && existing.is_contiguous()
                              && existing.scalar_type() == at::kFloat;
            const at::Tensor out = adds ? existing : at::empty(weight.sizes());
            multiply(g, true, rows(input).contiguous(), out, adds);
            if (!adds) gradients[1] = out;
        }
        const bool hasBias = context->saved_data["has_bias"].toBool();
        if (hasBias && context->needs_input_grad(2)) gradients[2] = g.sum(0);
        return gradients;
    }
};

}  // namespace

bool multipliesByKernels(const at::Tensor &input, const at::Tensor &weight) {
    const auto isSuitable = [](const at::Tensor &x) { return x.scalar_type() == at::kFloat && x.device().is_cpu(); };
    const InstructionSet set = kernels().instructionSet;
    return (set == InstructionSet::avx512 || set == InstructionSet::avx512BF16) && isSuitable(input) &&
           isSuitable(weight) && input.dim() > 0 && weight.dim() == 2 && input.size(-1) == weight.size(1);
}

at::Tensor linearByKernels(const at::Tensor &input, const at::Tensor &weight, const std::optional<at::Tensor> &bias) {
    return LinearByKernels::apply(input, weight, bias);
}

bool hasBFloat16Products() {
#if defined(__x86_64__)
    return kernels().instructionSet == InstructionSet::avx512BF16;
#elif defined(__aarch64__) && defined(__linux__)
    constexpr unsigned long bfloat16 = 1 << 14;  // HWCAP2_BF16
    return (getauxval(AT_HWCAP2) & bfloat16) != 0;
#elif defined(__aarch64__) && defined(__APPLE__)
    int found = 0;
    size_t size = sizeof found;
    return sysctlbyname("hw.optional.arm.FEAT_BF16", &found, &size, nullptr, 0) == 0 && found != 0;
#else
    return false;
#endif
}

bool multipliesInFloat(const at::Tensor &tensor) {
    return tensor.scalar_type() == at::kBFloat16 && tensor.device().is_cpu() && !hasBFloat16Products();
}

at::Tensor linearInFloat(const at::Tensor &input, const at::Tensor &weight, const std::optional<at::Tensor> &bias) {
    TORCH_CHECK(input.dim() > 0 && weight.dim() == 2 && input.size(-1) == weight.size(1) &&
                    weight.scalar_type() == at::kBFloat16,
                "input ", input.sizes(), " and ", weight.scalar_type(), " weight ", weight.sizes(), " do not fit");
    return LinearInFloat::apply(input, weight, bias);
}

at::Tensor matmulInFloat(const at::Tensor &a, const at::Tensor &b) { return rounded(at::matmul(exact(a), exact(b))); }

}  // namespace ettin
