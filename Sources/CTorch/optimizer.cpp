#include "guard.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>

#include <vector>

using namespace ettin;

namespace {

std::vector<at::Tensor> list(CTTensor *const *tensors, int32_t count) {
    std::vector<at::Tensor> result;
    for (int32_t i = 0; i < count; i++) result.push_back(tensors[i]->value);
    return result;
}

}  // namespace

CTStatus ct_optimizer_adamw(CTTensor *const *parameters, CTTensor *const *gradients, CTTensor *const *firstMoments,
                            CTTensor *const *secondMoments, int32_t count, int64_t step, CTAdamW options) {
    return guarded([&] {
        if (count == 0) return;
        const at::NoGradGuard guard;
        const auto values = list(parameters, count);
        const std::vector<at::Tensor> steps(
            static_cast<size_t>(count),
            at::full({}, static_cast<double>(step), at::TensorOptions().dtype(at::kFloat).device(values[0].device())));
        at::_fused_adamw_(values, list(gradients, count), list(firstMoments, count), list(secondMoments, count),
                          /*max_exp_avg_sqs=*/{}, steps, options.learningRate, options.beta1, options.beta2,
                          options.weightDecay, options.epsilon, /*amsgrad=*/false, /*maximize=*/false);
    });
}
