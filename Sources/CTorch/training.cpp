// Elementwise steps of a training pass that libtorch takes in several walks over memory. Each has a reference made of
// libtorch's operators, which other devices, other types and tests use.
#include "guard.h"

#include "kernels/kernels.h"
#include "kernels/parallel.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <memory>

using namespace ettin;

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool isHalf(const at::Tensor &tensor) { return tensor.scalar_type() == at::kBFloat16; }

// Whether the kernels read this type where it lies.
bool suits(const at::Tensor &tensor) {
    return tensor.device().is_cpu() && (tensor.scalar_type() == at::kFloat || isHalf(tensor));
}

// MARK: Gated activation

at::Tensor activate(const at::Tensor &x, Gate gate) {
    switch (gate) {
        case Gate::none: return x;
        case Gate::gelu: return at::gelu(x, "none");
        case Gate::geluTanh: return at::gelu(x, "tanh");
        case Gate::relu: return x.relu();
        case Gate::silu: return at::silu(x);
    }
    TORCH_CHECK(false, "unknown activation ", static_cast<int>(gate));
}

// `x` is contiguous [T, 2 I]; `above`, when defined, is the gradient of the result.
at::Tensor runGated(const at::Tensor &x, Gate gate, const at::Tensor &above) {
    const int64_t width = x.size(1) / 2;
    at::Tensor out = above.defined() ? at::empty_like(x) : at::empty({x.size(0), width}, x.options());
    kernels().gated({
        .rows = x.size(0),
        .width = width,
        .input = x.const_data_ptr(),
        .outputGradient = above.defined() ? above.const_data_ptr() : nullptr,
        .gate = gate,
        .output = out.mutable_data_ptr(),
        .isBFloat16 = isHalf(x),
    });
    return out;
}

struct Gated : torch::autograd::Function<Gated> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &x, int64_t gate) {
        context->saved_data["gate"] = gate;
        context->save_for_backward({x});
        return runGated(x, static_cast<Gate>(gate), {});
    }

    static variable_list backward(AutogradContext *context, const variable_list &above) {
        const at::Tensor x = context->get_saved_variables()[0];
        const auto gate = static_cast<Gate>(context->saved_data["gate"].toInt());
        return {runGated(x, gate, above[0].contiguous()), at::Tensor()};
    }
};

// MARK: Choice of rows

// As index_select by rising indices, whose backward pass need not add: libtorch's does, row by row on one thread.
struct SelectRows : torch::autograd::Function<SelectRows> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const at::Tensor &indices) {
        context->saved_data["rows"] = x.size(0);
        context->save_for_backward({indices});
        return x.index_select(0, indices);
    }

    static variable_list backward(AutogradContext *context, const variable_list &above) {
        const at::Tensor indices = context->get_saved_variables()[0];
        auto shape = above[0].sizes().vec();
        shape[0] = context->saved_data["rows"].toInt();
        return {at::zeros(shape, above[0].options()).index_copy_(0, indices, above[0]), at::Tensor()};
    }
};

// MARK: Residual and norm

// The gradients of a norm's input, and of what was added to it where `delta` is given its memory, and of its parameters.
struct NormGradients {
    at::Tensor residual, weight, bias;
};

NormGradients runNormBackward(const at::Tensor &sum, const at::Tensor &statistics, const at::Tensor &weight,
                              bool hasBias, const at::Tensor &sumGradient, const at::Tensor &outputGradient,
                              const at::Tensor &delta) {
    const int64_t width = sum.size(1), slices = addNormSlices(sum.size(0));
    const at::Tensor residual = at::empty_like(sum);
    const at::Tensor weights = at::zeros({slices, width}, sum.options());
    const at::Tensor biases = hasBias ? at::zeros({slices, width}, sum.options()) : at::Tensor();
    kernels().addNormBackward({
        .rows = sum.size(0),
        .width = width,
        .sum = sum.const_data_ptr<float>(),
        .statistics = statistics.const_data_ptr<float>(),
        .weight = weight.const_data_ptr<float>(),
        .sumGradient = sumGradient.defined() ? sumGradient.const_data_ptr<float>() : nullptr,
        .outputGradient = outputGradient.const_data_ptr(),
        .residualGradient = residual.mutable_data_ptr<float>(),
        .deltaGradient = delta.defined() ? delta.mutable_data_ptr() : nullptr,
        .weightGradients = weights.mutable_data_ptr<float>(),
        .biasGradients = hasBias ? biases.mutable_data_ptr<float>() : nullptr,
        .isBFloat16 = isHalf(outputGradient),
    });
    return {residual, weights.sum(0), hasBias ? biases.sum(0) : at::Tensor()};
}

struct AddNorm : torch::autograd::Function<AddNorm> {
    static variable_list forward(AutogradContext *context, const at::Tensor &residual, const at::Tensor &delta,
                                 const at::Tensor &weight, const std::optional<at::Tensor> &bias, double epsilon) {
        const int64_t rows = residual.size(0), width = residual.size(1);
        at::Tensor sum = at::empty_like(residual), output = at::empty_like(delta);
        at::Tensor statistics = at::empty({rows, 2}, residual.options());
        kernels().addNorm({
            .rows = rows,
            .width = width,
            .residual = residual.const_data_ptr<float>(),
            .delta = delta.const_data_ptr(),
            .norm = {weight.const_data_ptr<float>(), bias ? bias->const_data_ptr<float>() : nullptr,
                     static_cast<float>(epsilon)},
            .sum = sum.mutable_data_ptr<float>(),
            .output = output.mutable_data_ptr(),
            .statistics = statistics.mutable_data_ptr<float>(),
            .isBFloat16 = isHalf(delta),
        });
        context->saved_data["has_bias"] = bias.has_value();
        context->saved_data["is_half"] = isHalf(delta);
        context->save_for_backward({sum, statistics, weight});
        context->set_materialize_grads(false);
        return {sum, output};
    }

    static variable_list backward(AutogradContext *context, const variable_list &above) {
        const variable_list saved = context->get_saved_variables();
        const at::Tensor &sum = saved[0], &statistics = saved[1], &weight = saved[2];
        const bool hasBias = context->saved_data["has_bias"].toBool();
        const at::Tensor sumGradient = above[0].defined() ? above[0].contiguous() : at::Tensor();
        if (!above[1].defined()) {
            // Nothing came through the norm.
            const auto type = context->saved_data["is_half"].toBool() ? at::kBFloat16 : at::kFloat;
            const at::Tensor delta = sumGradient.defined() ? sumGradient.to(type) : at::Tensor();
            return {sumGradient, delta, at::Tensor(), at::Tensor(), at::Tensor()};
        }
        const at::Tensor outputGradient = above[1].contiguous();
        const at::Tensor half = isHalf(outputGradient) ? at::empty_like(outputGradient) : at::Tensor();
        const auto found = runNormBackward(sum, statistics, weight, hasBias, sumGradient, outputGradient, half);
        return {found.residual, half.defined() ? half : found.residual, found.weight, found.bias, at::Tensor()};
    }
};

struct Norm : torch::autograd::Function<Norm> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &input, const at::Tensor &weight,
                              const std::optional<at::Tensor> &bias, double epsilon, at::ScalarType type) {
        const int64_t rows = input.size(0), width = input.size(1);
        const at::Tensor output = at::empty(input.sizes(), input.options().dtype(type));
        const at::Tensor statistics = at::empty({rows, 2}, input.options());
        kernels().addNorm({
            .rows = rows,
            .width = width,
            .residual = input.const_data_ptr<float>(),
            .delta = nullptr,
            .norm = {weight.const_data_ptr<float>(), bias ? bias->const_data_ptr<float>() : nullptr,
                     static_cast<float>(epsilon)},
            .sum = nullptr,
            .output = output.mutable_data_ptr(),
            .statistics = statistics.mutable_data_ptr<float>(),
            .isBFloat16 = type == at::kBFloat16,
        });
        context->saved_data["has_bias"] = bias.has_value();
        context->save_for_backward({input, statistics, weight});
        return output;
    }

    static variable_list backward(AutogradContext *context, const variable_list &above) {
        const variable_list saved = context->get_saved_variables();
        const bool hasBias = context->saved_data["has_bias"].toBool();
        const auto found = runNormBackward(saved[0], saved[1], saved[2], hasBias, {}, above[0].contiguous(), {});
        return {found.residual, found.weight, found.bias, at::Tensor(), at::Tensor()};
    }
};

// MARK: Dropout

// Whether element i of the whole is kept, times the scale: a function of seed, stream and i, on every device.
at::Tensor runDropout(const at::Tensor &x, int64_t first, double probability, uint64_t seed, uint64_t stream) {
    const auto threshold = static_cast<uint32_t>(std::lround(probability * 65536));
    const auto apply = [&](const at::Tensor &input) {
        at::Tensor out = at::empty_like(input);
        kernels().dropout({
            .first = first,
            .count = input.numel(),
            .input = input.const_data_ptr(),
            .output = out.mutable_data_ptr(),
            .seed = seed,
            .stream = stream,
            .threshold = threshold,
            // The share that is kept is a multiple of 1 / 65536, so that the mean stays what it was.
            .scale = threshold < 65536 ? 65536.0f / static_cast<float>(65536 - threshold) : 0,
            .isBFloat16 = isHalf(input),
        });
        return out;
    };
    if (suits(x)) return apply(x.contiguous());
    return x * apply(at::ones(x.sizes(), at::kFloat)).to(x.options());
}

struct Dropout : torch::autograd::Function<Dropout> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &x, int64_t first, double probability,
                              int64_t seed, int64_t stream) {
        context->saved_data["first"] = first;
        context->saved_data["probability"] = probability;
        context->saved_data["seed"] = seed;
        context->saved_data["stream"] = stream;
        return runDropout(x, first, probability, static_cast<uint64_t>(seed), static_cast<uint64_t>(stream));
    }

    static variable_list backward(AutogradContext *context, const variable_list &above) {
        auto &saved = context->saved_data;
        return {runDropout(above[0], saved["first"].toInt(), saved["probability"].toDouble(),
                           static_cast<uint64_t>(saved["seed"].toInt()), static_cast<uint64_t>(saved["stream"].toInt())),
                at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
    }
};

}  // namespace

CTStatus ct_training_dropout(const CTTensor *input, double probability, uint64_t seed, uint64_t stream,
                             int64_t firstElement, CTTensor **out) {
    return produce(out, [&] {
        return Dropout::apply(input->value, firstElement, probability, static_cast<int64_t>(seed),
                              static_cast<int64_t>(stream));
    });
}

CTStatus ct_training_gated(const CTTensor *input, CTGate gate, bool isComposed, CTTensor **out) {
    return produce(out, [&] {
        const at::Tensor &x = input->value;
        TORCH_CHECK(x.dim() == 2 && x.size(1) % 2 == 0, "a gated input is [rows, 2 · width], not ", x.sizes());
        const auto kind = static_cast<Gate>(gate);
        if (suits(x) && !isComposed) return Gated::apply(x.contiguous(), static_cast<int64_t>(kind));
        const int64_t width = x.size(1) / 2;
        return activate(x.narrow(1, 0, width), kind) * x.narrow(1, width, width);
    });
}

CTStatus ct_training_select_rows(const CTTensor *a, const CTTensor *indices, CTTensor **out) {
    return produce(out, [&] { return SelectRows::apply(a->value, indices->value); });
}

CTStatus ct_training_add_norm(const CTTensor *residual, const CTTensor *delta, const CTTensor *weight,
                              const CTTensor *bias, double epsilon, bool isComposed, CTTensor **sum,
                              CTTensor **output) {
    return guarded([&] {
        const at::Tensor &r = residual->value, &d = delta->value, &w = weight->value;
        TORCH_CHECK(r.dim() == 2 && r.sizes() == d.sizes() && w.numel() == r.size(1), "residual ", r.sizes(),
                    ", addend ", d.sizes(), " and norm ", w.sizes(), " do not fit");
        variable_list results;
        if (suits(d) && !isComposed && r.scalar_type() == at::kFloat && w.scalar_type() == at::kFloat) {
            results = AddNorm::apply(r.contiguous(), d.contiguous(), w, optional(bias), epsilon);
        } else {
            const at::Tensor total = r + d;
            const at::Tensor normed = at::layer_norm(total, {w.size(0)}, w, optional(bias), epsilon);
            results = {total, normed.to(d.scalar_type())};
        }
        auto first = std::make_unique<CTTensor>(CTTensor{results[0]});
        *output = new CTTensor{results[1]};
        *sum = first.release();
    });
}

CTStatus ct_training_norm(const CTTensor *input, const CTTensor *weight, const CTTensor *bias, double epsilon,
                          CTDType dtype, CTTensor **output) {
    return produce(output, [&] {
        const at::Tensor &x = input->value, &w = weight->value;
        TORCH_CHECK(x.dim() == 2 && w.numel() == x.size(1), "input ", x.sizes(), " and norm ", w.sizes(),
                    " do not fit");
        const at::ScalarType type = scalarType(dtype);
        const bool isStored = type == at::kFloat || type == at::kBFloat16;
        if (suits(x) && isStored && x.scalar_type() == at::kFloat && w.scalar_type() == at::kFloat) {
            return Norm::apply(x.contiguous(), w, optional(bias), epsilon, type);
        }
        return at::layer_norm(x, {w.size(0)}, w, optional(bias), epsilon).to(type);
    });
}
