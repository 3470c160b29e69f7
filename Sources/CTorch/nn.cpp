#include "guard.h"
#include "products.h"

#include "kernels/parallel.h"

#include <ATen/Dispatch.h>
#include <ATen/core/Reduction.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

using namespace ettin;

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Adds row i of `rows` to row ids[i] of `table`, in the order of the ids whatever the number of threads.
void addRows(const at::Tensor &table, const at::Tensor &ids, const at::Tensor &rows, int64_t paddingID) {
    constexpr int64_t parts = 16;
    const at::Tensor places = ids.contiguous(), values = rows.contiguous();
    const int64_t count = places.numel(), width = table.size(1);
    const int64_t *id = places.const_data_ptr<int64_t>();
    AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, table.scalar_type(), "add_rows", [&] {
        const scalar_t *source = values.const_data_ptr<scalar_t>();
        scalar_t *target = table.mutable_data_ptr<scalar_t>();
        parallelTasks(parts, [&](int64_t part, int) {
            for (int64_t row = 0; row < count; row++) {
                if (id[row] % parts != part || id[row] == paddingID) continue;
                const scalar_t *__restrict from = source + row * width;
                scalar_t *__restrict to = target + id[row] * width;
                for (int64_t d = 0; d < width; d++) to[d] += from[d];
            }
        });
    });
}

struct AddedEmbedding : torch::autograd::Function<AddedEmbedding> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &weight, const at::Tensor &ids,
                              int64_t paddingID) {
        context->save_for_backward({weight, ids});
        context->saved_data["padding"] = paddingID;
        return at::embedding(weight, ids, paddingID);
    }

    static variable_list backward(AutogradContext *context, const variable_list &above) {
        const auto saved = context->get_saved_variables();
        const at::Tensor &weight = saved[0], &ids = saved[1];
        const int64_t paddingID = context->saved_data["padding"].toInt();
        const at::NoGradGuard guard;
        const at::Tensor &existing = weight.grad();
        const bool isInPlace = weight.is_leaf() && existing.defined() && existing.is_contiguous()
                               && existing.scalar_type() == above[0].scalar_type();
        const at::Tensor gradient = isInPlace ? existing : at::zeros_like(weight, weight.options(),
                                                                          at::MemoryFormat::Contiguous);
        addRows(gradient, ids, above[0], paddingID);
        return {isInPlace ? at::Tensor() : gradient, at::Tensor(), at::Tensor()};
    }
};

}  // namespace

CTStatus ct_nn_embedding(const CTTensor *weight, const CTTensor *ids, int64_t paddingID, bool addsInPlace,
                         CTTensor **out) {
    return produce(out, [&] {
        const at::Tensor &table = weight->value;
        const bool isRecorded = at::GradMode::is_enabled() && table.requires_grad();
        return addsInPlace && isRecorded && table.device().is_cpu()
                   ? AddedEmbedding::apply(table, ids->value, paddingID)
                   : at::embedding(table, ids->value, paddingID);
    });
}

CTStatus ct_nn_linear(const CTTensor *input, const CTTensor *weight, const CTTensor *bias, bool addsInPlace,
                      CTTensor **out) {
    return produce(out, [&] {
        const at::Tensor &x = input->value, &w = weight->value;
        if (addsInPlace && multipliesByKernels(x, w)) return linearByKernels(x, w, optional(bias));
        return multipliesInFloat(x) ? linearInFloat(x, w, optional(bias)) : at::linear(x, w, optional(bias));
    });
}

CTStatus ct_nn_layer_norm(const CTTensor *input, const CTTensor *weight, const CTTensor *bias, double epsilon,
                          CTTensor **out) {
    return produce(out, [&] {
        const int64_t width = weight->value.size(0);
        return at::layer_norm(input->value, {width}, weight->value, optional(bias), epsilon);
    });
}

CTStatus ct_nn_softmax(const CTTensor *input, int64_t dimension, bool isLog, CTTensor **out) {
    return produce(out, [&] {
        return isLog ? input->value.log_softmax(dimension) : input->value.softmax(dimension);
    });
}

CTStatus ct_nn_cross_entropy(const CTTensor *logits, const CTTensor *labels, int64_t ignoreIndex, CTTensor **out) {
    return produce(out, [&] {
        return at::cross_entropy_loss(logits->value.to(at::kFloat), labels->value, /*weight=*/{},
                                      at::Reduction::Mean, ignoreIndex);
    });
}
