#include "guard.h"
#include "products.h"

#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>

using namespace ettin;

CTStatus ct_nn_embedding(const CTTensor *weight, const CTTensor *ids, int64_t paddingID, CTTensor **out) {
    return produce(out, [&] { return at::embedding(weight->value, ids->value, paddingID); });
}

CTStatus ct_nn_linear(const CTTensor *input, const CTTensor *weight, const CTTensor *bias, CTTensor **out) {
    return produce(out, [&] {
        const at::Tensor &x = input->value, &w = weight->value;
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
