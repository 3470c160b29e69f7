// Cross-entropy of hidden · Wᵀ + b against labels without the logits: rows go in chunks, and while a chunk's logits are
// at hand its part of every gradient is taken from them (as Liger's kernel does, arXiv 2410.10989). The loss ends the
// graph, so that backward only has to scale. Recomputing logits in backward would cost a third more products.
// The CPU has a kernel (kernels/loss.inc.h); everything else composes libtorch's operators.
#include "guard.h"
#include "products.h"

#include "kernels/kernels.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <memory>
#include <vector>

using namespace ettin;

namespace {

struct Options {
    int64_t ignoreIndex;
    double zLoss;
    bool isMean;
    int64_t chunkRows;
    bool isComposed;           // libtorch's operators only
    bool weighsByProbability;  // rows count as much as their label is probable
    bool wantsStatistics;
};

// Which gradients are wanted.
struct Wanted {
    bool hidden, weight, bias;
};

struct Result {
    at::Tensor loss;       // scalar, float32
    at::Tensor rowLosses;  // [rows], zero where ignored
    at::Tensor entropies, hits;  // likewise, where wanted
    at::Tensor hidden, weight, bias;  // gradients, where wanted
};

// What goes into a pass over scored rows. Softmax and losses are float32 (float64 for float64), and so is the sum of the
// weight's gradient.
struct Operands {
    at::Tensor hidden;  // scored rows only
    at::Tensor weight;  // in the type of hidden
    at::Tensor bias;    // in the type of losses, or undefined
    at::Tensor labels;
    double scale;       // of gradients and of the sum of losses
    at::ScalarType accumulation() const { return hidden.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }
};

struct Gradients {
    at::Tensor losses, hidden, weight, bias, entropies, hits;

    // `isWritten`: what is computed writes every element, and does not add.
    Gradients(const Operands &operands, Wanted wanted, bool wantsStatistics, bool isWritten) {
        const auto options = operands.hidden.options().dtype(operands.accumulation());
        const auto make = [&](at::IntArrayRef shape, const at::TensorOptions &options) {
            return isWritten ? at::empty(shape, options) : at::zeros(shape, options);
        };
        losses = at::empty({operands.hidden.size(0)}, options);
        if (wantsStatistics) entropies = at::empty_like(losses);
        if (wantsStatistics) hits = at::empty_like(losses);
        if (wanted.hidden) hidden = make(operands.hidden.sizes(), operands.hidden.options());
        if (wanted.weight || wanted.bias) weight = make(operands.weight.sizes(), options);
        if (wanted.bias) bias = make({operands.weight.size(0)}, options);
    }
};

void composedChunk(const Operands &all, int64_t first, int64_t count, const Options &options, Gradients &to) {
    const at::Tensor h = all.hidden.narrow(0, first, count), y = all.labels.narrow(0, first, count).unsqueeze(1);
    at::Tensor logits = at::mm(h, all.weight.t()).to(all.accumulation());
    if (all.bias.defined()) logits.add_(all.bias);
    const at::Tensor logSumExp = logits.logsumexp(1, true);
    const at::Tensor target = logits.gather(1, y);
    at::Tensor losses = logSumExp - target + logSumExp.square() * options.zLoss, share;
    if (options.weighsByProbability) {
        share = (target - logSumExp).exp_();
        losses.mul_(share);
    }
    to.losses.narrow(0, first, count).copy_(losses.squeeze(1));
    if (to.entropies.defined()) {
        const at::Tensor mean = ((logits - logSumExp).exp_() * logits).sum(1, true);
        to.entropies.narrow(0, first, count).copy_((logSumExp - mean).squeeze(1));
        to.hits.narrow(0, first, count).copy_(logits.argmax(1, true).eq(y).squeeze(1));
    }
    if (!to.hidden.defined() && !to.weight.defined()) return;
    logits.sub_(logSumExp).exp_().mul_((logSumExp * (2 * options.zLoss) + 1) * all.scale);
    logits.scatter_add_(1, y, at::full_like(logSumExp, -all.scale));
    if (share.defined()) logits.mul_(share);
    if (to.bias.defined()) to.bias.add_(logits.sum(0));
    const at::Tensor gradient = logits.to(h.scalar_type());
    if (to.hidden.defined()) to.hidden.narrow(0, first, count).copy_(at::mm(gradient, all.weight));
    if (to.weight.defined()) to.weight.add_(at::mm(gradient.t(), h));
}

bool suitsKernel(const Operands &operands) {
    const auto type = operands.hidden.scalar_type();
    return operands.hidden.device().is_cpu() && (type == at::kFloat || type == at::kBFloat16) &&
           operands.hidden.size(1) % 2 == 0;
}

void runKernel(const Operands &all, const Options &options, Gradients &to) {
    const at::Tensor labelGradients = at::empty_like(to.losses);
    const auto data = [](const at::Tensor &tensor) {
        return tensor.defined() ? tensor.mutable_data_ptr<float>() : nullptr;
    };
    kernels().linearCrossEntropy({
        .rows = all.hidden.size(0),
        .classes = all.weight.size(0),
        .width = all.weight.size(1),
        .chunkRows = options.chunkRows,
        .hidden = all.hidden.const_data_ptr(),
        .weight = all.weight.const_data_ptr(),
        .bias = all.bias.defined() ? all.bias.const_data_ptr<float>() : nullptr,
        .labels = all.labels.const_data_ptr<int64_t>(),
        .zLoss = static_cast<float>(options.zLoss),
        .scale = static_cast<float>(all.scale),
        .weighsByProbability = options.weighsByProbability,
        .losses = data(to.losses),
        .entropies = data(to.entropies),
        .hits = data(to.hits),
        .labelGradients = data(labelGradients),
        .hiddenGradient = to.hidden.defined() ? to.hidden.mutable_data_ptr() : nullptr,
        .weightGradient = data(to.weight),
        .biasGradient = data(to.bias),
        .isBFloat16 = all.hidden.scalar_type() == at::kBFloat16,
    });
}

Result compute(const at::Tensor &hidden, const at::Tensor &weight, const std::optional<at::Tensor> &bias,
               const at::Tensor &labels, const Options &options, Wanted wanted) {
    const at::Tensor scored = labels.ne(options.ignoreIndex).nonzero().squeeze(1);
    const int64_t rows = hidden.size(0), count = scored.size(0);
    const bool isWhole = count == rows;
    Operands operands = {
        .hidden = (isWhole ? hidden : hidden.index_select(0, scored)).contiguous(),
        .weight = weight.to(hidden.scalar_type()).contiguous(),
        .bias = {},
        .labels = (isWhole ? labels : labels.index_select(0, scored)).contiguous(),
        .scale = options.isMean ? 1.0 / static_cast<double>(std::max<int64_t>(count, 1)) : 1.0,
    };
    if (multipliesInFloat(hidden)) {
        operands.hidden = operands.hidden.to(at::kFloat);
        operands.weight = operands.weight.to(at::kFloat);
    }
    if (bias) operands.bias = bias->to(operands.accumulation()).contiguous();

    const bool usesKernel = count > 0 && !options.isComposed && suitsKernel(operands);
    Gradients gradients(operands, wanted, options.wantsStatistics, usesKernel);
    if (usesKernel) {
        runKernel(operands, options, gradients);
    } else {
        for (int64_t first = 0; first < count; first += options.chunkRows) {
            composedChunk(operands, first, std::min(options.chunkRows, count - first), options, gradients);
        }
    }

    const auto spread = [&](const at::Tensor &values) {
        if (isWhole) return values;
        auto shape = values.sizes().vec();
        shape[0] = rows;
        return at::zeros(shape, values.options()).index_copy_(0, scored, values);
    };
    Result result;
    result.loss = gradients.losses.sum() * operands.scale;
    result.rowLosses = spread(gradients.losses);
    if (options.wantsStatistics) {
        result.entropies = spread(gradients.entropies);
        result.hits = spread(gradients.hits);
    }
    if (wanted.hidden) result.hidden = spread(gradients.hidden.to(hidden.scalar_type()));
    if (wanted.weight) result.weight = gradients.weight.to(weight.scalar_type());
    if (wanted.bias) result.bias = gradients.bias.to(bias->scalar_type());
    return result;
}

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct LinearCrossEntropy : torch::autograd::Function<LinearCrossEntropy> {
    static variable_list forward(AutogradContext *context, const at::Tensor &hidden, const at::Tensor &weight,
                                 const std::optional<at::Tensor> &bias, const at::Tensor &labels,
                                 const Options &options) {
        const Wanted wanted = {hidden.requires_grad(), weight.requires_grad(), bias && bias->requires_grad()};
        Result result = compute(hidden, weight, bias, labels, options, wanted);
        context->save_for_backward({result.hidden, result.weight, result.bias});
        variable_list outputs = {result.loss, result.rowLosses};
        if (options.wantsStatistics) outputs.insert(outputs.end(), {result.entropies, result.hits});
        context->mark_non_differentiable({outputs.begin() + 1, outputs.end()});
        return outputs;
    }

    static variable_list backward(AutogradContext *context, const variable_list &above) {
        variable_list gradients = context->get_saved_variables();
        // Backward from the loss itself arrives with 1; on a device, to ask would be to wait.
        const at::Tensor &factor = above[0];
        const bool isOne = factor.device().is_cpu() && factor.item<double>() == 1;
        for (at::Tensor &gradient : gradients) {
            if (gradient.defined() && !isOne) gradient = gradient * factor.to(gradient.scalar_type());
        }
        gradients.resize(5);
        return gradients;
    }
};

void check(const at::Tensor &hidden, const at::Tensor &weight, const std::optional<at::Tensor> &bias,
           const at::Tensor &labels, const Options &options) {
    TORCH_CHECK(hidden.dim() == 2 && weight.dim() == 2 && hidden.size(1) == weight.size(1), "hidden ", hidden.sizes(),
                " and weight ", weight.sizes(), " do not fit");
    TORCH_CHECK(labels.dim() == 1 && labels.size(0) == hidden.size(0), "labels ", labels.sizes(), " for hidden ",
                hidden.sizes());
    TORCH_CHECK(labels.scalar_type() == at::kLong, "labels are ", labels.scalar_type(), "; expected Long");
    TORCH_CHECK(!bias || (bias->dim() == 1 && bias->size(0) == weight.size(0)), "bias ", bias->sizes(),
                " for weight ", weight.sizes());
    TORCH_CHECK(options.chunkRows > 0, "chunks of ", options.chunkRows, " rows");
    // Kernels index by label, so that a wrong one must be found before.
    if (labels.device().is_cpu()) {
        const auto *values = labels.const_data_ptr<int64_t>();
        for (int64_t i = 0; i < labels.size(0); i++) {
            TORCH_CHECK(values[i] == options.ignoreIndex || (values[i] >= 0 && values[i] < weight.size(0)), "label ",
                        values[i], " of row ", i, " is not one of ", weight.size(0), " classes");
        }
    }
}

}  // namespace

CTStatus ct_loss_linear_cross_entropy(const CTTensor *hidden, const CTTensor *weight, const CTTensor *bias,
                                      const CTTensor *labels, int64_t ignoreIndex, double zLoss, bool isMean,
                                      bool weighsByProbability, int64_t chunkRows, bool isComposed, CTTensor **loss,
                                      CTTensor **rowLosses, CTTensor **entropies, CTTensor **hits) {
    return guarded([&] {
        const bool wantsStatistics = entropies != nullptr && hits != nullptr;
        const Options options = {ignoreIndex, zLoss,           isMean, chunkRows, isComposed, weighsByProbability,
                                 wantsStatistics};
        const at::Tensor targets = labels->value.contiguous();
        check(hidden->value, weight->value, optional(bias), targets, options);
        const variable_list results =
            LinearCrossEntropy::apply(hidden->value, weight->value, optional(bias), targets, options);
        std::vector<std::unique_ptr<CTTensor>> outputs;
        for (const at::Tensor &result : results) outputs.push_back(std::make_unique<CTTensor>(CTTensor{result}));
        *loss = outputs[0].release();
        *rowLosses = outputs[1].release();
        if (!wantsStatistics) return;
        *entropies = outputs[2].release();
        *hits = outputs[3].release();
    });
}
