// SPLADE's pooling in a training pass: no logits are kept. Of maxima the rows they belong to are, so that their gradient
// is a gather; those of sums are computed again, a block of the vocabulary for some rows at a time.
#include "guard.h"
#include "products.h"
#include "retrieval.h"

#include "kernels/kernels.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/log1p.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/repeat_interleave.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace ettin {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Logits of sums that exist at a time: 8 MB in float32.
constexpr int64_t blockRows = 1024, blockColumns = 2048;

const float *floats(const at::Tensor &tensor) { return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr; }

// What was pooled, and how.
struct Pooled {
    at::Tensor hidden, weight, bias, ends, output, places;
    bool isSum;
    int64_t logarithms;

    SpladeTrainingArguments arguments() const {
        return {.rows = hidden.size(0),
                .width = hidden.size(1),
                .vocabulary = weight.size(0),
                .hidden = hidden.const_data_ptr(),
                .weight = floats(weight),
                .bias = floats(bias),
                .cuSeqlens = ends.const_data_ptr<int32_t>(),
                .sequences = static_cast<int32_t>(ends.size(0) - 1),
                .isSum = isSum,
                .logarithms = static_cast<int32_t>(logarithms),
                .isBFloat16 = hidden.scalar_type() == at::kBFloat16,
                .output = output.mutable_data_ptr<float>(),
                .places = places.defined() ? places.mutable_data_ptr<int32_t>() : nullptr};
    }
};

// Gradients, where they are wanted; `weight` may be that which the weight has already.
struct Wanted {
    at::Tensor hidden, weight, bias;
    bool addsToWeight;
};

// The derivative of the activation by its logits, in their place.
at::Tensor &slope(at::Tensor &logits, int64_t logarithms) {
    const at::Tensor isOff = logits.le(0);
    at::Tensor second;
    if (logarithms == 2) second = at::log1p(logits).add_(1);
    logits.add_(1).reciprocal_();
    if (second.defined()) logits.div_(second);
    return logits.masked_fill_(isOff, 0);
}

void addGradientsOfSums(const Pooled &of, const at::Tensor &above, const Wanted &to) {
    // As mixed precision multiplies them, or in float32 where the processor would do that slowly.
    const auto rounded = of.hidden.scalar_type();
    const auto type = multipliesInFloat(of.hidden) ? at::kFloat : rounded;
    const bool isHalf = rounded == at::kBFloat16;
    const at::Tensor lengths = of.ends.narrow(0, 1, of.ends.size(0) - 1) - of.ends.narrow(0, 0, of.ends.size(0) - 1);
    const at::Tensor owners = at::repeat_interleave(lengths.to(at::kLong));
    at::Tensor hidden;
    if (to.hidden.defined()) hidden = rounded == at::kFloat ? to.hidden : at::empty(of.hidden.sizes(), at::kFloat);
    if (hidden.defined()) hidden.zero_();
    if (to.weight.defined() && !to.addsToWeight) to.weight.zero_();
    if (to.bias.defined()) to.bias.zero_();
    for (int64_t column = 0; column < of.weight.size(0); column += blockColumns) {
        const int64_t columns = std::min(blockColumns, of.weight.size(0) - column);
        const at::Tensor weight = of.weight.narrow(0, column, columns).to(rounded).to(type);
        const at::Tensor gradient = above.narrow(1, column, columns);
        const auto packed = kernels().pack(floats(of.weight) + column * of.weight.size(1),
                                           of.bias.defined() ? floats(of.bias) + column : nullptr, columns,
                                           of.weight.size(1), isHalf ? Precision::bfloat16 : Precision::float32, false);
        for (int64_t row = 0; row < of.hidden.size(0); row += blockRows) {
            const int64_t rows = std::min(blockRows, of.hidden.size(0) - row);
            at::Tensor input = of.hidden.narrow(0, row, rows), logits = at::empty({rows, columns}, at::kFloat);
            // In float32, as the forward pass had them: a logit that is rounded may end on the other side of 0.
            packed->table->linear({.rows = rows,
                                   .input = input.const_data_ptr(),
                                   .weight = packed.get(),
                                   .activation = Gate::none,
                                   .output = logits.mutable_data_ptr(),
                                   .isFloatOutput = true});
            slope(logits, of.logarithms).mul_(gradient.index_select(0, owners.narrow(0, row, rows)));
            if (to.bias.defined()) to.bias.narrow(0, column, columns).add_(logits.sum(0));
            logits = logits.to(type);
            input = input.to(type);
            if (hidden.defined()) hidden.narrow(0, row, rows).add_(at::mm(logits, weight));
            if (to.weight.defined()) to.weight.narrow(0, column, columns).add_(at::mm(logits.t(), input));
        }
    }
    if (to.hidden.defined() && !to.hidden.is_same(hidden)) to.hidden.copy_(hidden);
}

void runBackward(const Pooled &of, const at::Tensor &above, const Wanted &to) {
    kernels().spladeBackward({
        .forward = of.arguments(),
        .outputGradient = above.const_data_ptr<float>(),
        .hiddenGradient = to.hidden.defined() ? to.hidden.mutable_data_ptr() : nullptr,
        .weightGradient = to.weight.defined() ? to.weight.mutable_data_ptr<float>() : nullptr,
        .addsToWeight = to.addsToWeight,
        .biasGradient = to.bias.defined() ? to.bias.mutable_data_ptr<float>() : nullptr,
    });
}

struct SpladePooled : torch::autograd::Function<SpladePooled> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &hidden, const at::Tensor &weight,
                              const std::optional<at::Tensor> &bias, const at::Tensor &ends, bool isSum,
                              int64_t logarithms, bool isRecorded) {
        Pooled pooled = {hidden, weight, bias.value_or(at::Tensor()), ends, {}, {}, isSum, logarithms};
        const int64_t sequences = ends.size(0) - 1, vocabulary = weight.size(0);
        pooled.output = at::empty({sequences, vocabulary}, at::kFloat);
        if (isRecorded && !isSum) pooled.places = at::empty({sequences, spladePlaces(vocabulary)}, at::kInt);
        kernels().spladeTraining(pooled.arguments());
        context->saved_data["is_sum"] = isSum;
        context->saved_data["logarithms"] = logarithms;
        context->saved_data["has_bias"] = bias.has_value();
        context->save_for_backward(
            {hidden, weight, pooled.bias, ends, isSum ? at::Tensor() : pooled.output, pooled.places});
        return pooled.output;
    }

    static variable_list backward(AutogradContext *context, const variable_list &above) {
        const variable_list saved = context->get_saved_variables();
        const at::NoGradGuard guard;
        Pooled of = {saved[0], saved[1], saved[2], saved[3], saved[4], saved[5],
                     context->saved_data["is_sum"].toBool(), context->saved_data["logarithms"].toInt()};
        const bool hasBias = context->saved_data["has_bias"].toBool();
        Wanted to{};
        bool isKept = false;
        if (context->needs_input_grad(0)) to.hidden = at::empty_like(of.hidden);
        if (context->needs_input_grad(1)) {
            // A second matrix of this size, beside the gradient that the weight has, would be the largest there is. One
            // that is made is the weight's at once, so that embeddings that are tied to it find it.
            const at::Tensor &existing = of.weight.grad();
            to.addsToWeight = of.weight.is_leaf() && existing.defined() && existing.is_contiguous() &&
                              existing.scalar_type() == at::kFloat;
            to.weight = to.addsToWeight ? existing : at::empty_like(of.weight);
            isKept = of.weight.is_leaf() && (to.addsToWeight || !existing.defined());
        }
        if (hasBias && context->needs_input_grad(2)) to.bias = at::empty_like(of.bias);
        const at::Tensor gradient = above[0].to(at::kFloat).contiguous();
        of.isSum ? addGradientsOfSums(of, gradient, to) : runBackward(of, gradient, to);
        variable_list gradients(7);
        gradients[0] = to.hidden;
        if (!isKept) {
            gradients[1] = to.weight;
        } else if (!to.addsToWeight) {
            of.weight.mutable_grad() = to.weight;
        }
        gradients[2] = to.bias;
        return gradients;
    }
};

}  // namespace

bool poolsByKernels(const at::Tensor &hidden, const at::Tensor &weight, const std::optional<at::Tensor> &bias) {
    const auto isFloat = [](const at::Tensor &x) { return x.device().is_cpu() && x.scalar_type() == at::kFloat; };
    return isFloat(weight) && (!bias || isFloat(*bias)) && hidden.device().is_cpu() &&
           (hidden.scalar_type() == at::kFloat || hidden.scalar_type() == at::kBFloat16);
}

at::Tensor pooledByKernels(const at::Tensor &hidden, const at::Tensor &weight, const std::optional<at::Tensor> &bias,
                           const CTSpladePooling &pooling) {
    const at::Tensor ends = at::empty({pooling.sequenceCount + 1}, at::kInt);
    std::copy_n(pooling.cuSeqlens, pooling.sequenceCount + 1, ends.mutable_data_ptr<int32_t>());
    std::optional<at::Tensor> offsets;
    if (bias) offsets = bias->contiguous();
    const bool isRecorded = at::GradMode::is_enabled() &&
                            (hidden.requires_grad() || weight.requires_grad() || (bias && bias->requires_grad()));
    return SpladePooled::apply(hidden.contiguous(), weight.contiguous(), offsets, ends, pooling.isSum,
                               static_cast<int64_t>(pooling.logarithms), isRecorded);
}

}  // namespace ettin
