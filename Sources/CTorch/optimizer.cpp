#include "guard.h"

#include "kernels/kernels.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>
#include <cmath>

#include <vector>

using namespace ettin;

namespace {

std::vector<at::Tensor> list(CTTensor *const *tensors, int32_t count) {
    std::vector<at::Tensor> result;
    for (int32_t i = 0; i < count; i++) result.push_back(tensors[i]->value);
    return result;
}

// Those that are changed in place.
std::vector<at::Tensor> changedList(CTTensor *const *tensors, int32_t count) {
    auto result = list(tensors, count);
    for (const at::Tensor &tensor : result) requireWritable(tensor);
    return result;
}

// Whether the kernels read all of them where they lie.
bool suits(const std::vector<at::Tensor> &tensors) {
    return std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor &t) {
        return t.device().is_cpu() && t.scalar_type() == at::kFloat && t.is_contiguous();
    });
}

// As the kernel, of libtorch's operators.
void composedStep(const at::Tensor &p, const at::Tensor &g, const at::Tensor &m, const at::Tensor &v, double beta1,
                  double beta2, double decay, const CTStableAdamW &options) {
    m.lerp_(g, 1 - beta1);
    v.mul_(beta2).addcmul_(g, g, 1 - beta2);
    const double mean = g.square().div(v.clamp_min(options.epsilon * options.epsilon)).mean().item<double>();
    const double rate = options.learningRate / std::max(1.0, std::sqrt(mean));
    p.mul_(1 - rate * decay).addcdiv_(m, v.sqrt().add_(options.epsilon), -rate);
}

}  // namespace

CTStatus ct_optimizer_adamw(CTTensor *const *parameters, CTTensor *const *gradients, CTTensor *const *firstMoments,
                            CTTensor *const *secondMoments, int32_t count, int64_t step, CTAdamW options) {
    return guarded([&] {
        if (count == 0) return;
        const at::NoGradGuard guard;
        const auto values = changedList(parameters, count);
        const std::vector<at::Tensor> steps(
            static_cast<size_t>(count),
            at::full({}, static_cast<double>(step), at::TensorOptions().dtype(at::kFloat).device(values[0].device())));
        at::_fused_adamw_(values, list(gradients, count), changedList(firstMoments, count),
                          changedList(secondMoments, count), /*max_exp_avg_sqs=*/{}, steps, options.learningRate,
                          options.beta1, options.beta2, options.weightDecay, options.epsilon, /*amsgrad=*/false,
                          /*maximize=*/false);
    });
}

CTStatus ct_optimizer_stable_adamw(CTTensor *const *parameters, CTTensor *const *gradients,
                                   CTTensor *const *firstMoments, CTTensor *const *secondMoments,
                                   const double *weightDecays, int32_t count, int64_t step, CTStableAdamW options) {
    return guarded([&] {
        const at::NoGradGuard guard;
        const auto values = changedList(parameters, count), first = changedList(firstMoments, count);
        const auto second = changedList(secondMoments, count);
        auto slopes = list(gradients, count);
        for (auto &slope : slopes) slope = slope.contiguous();
        // The decay of a running mean that starts at zero and needs no correction.
        const auto debiased = [&](double beta) {
            const double power = std::pow(beta, static_cast<double>(step));
            return (power - beta) / (power - 1);
        };
        const double beta1 = debiased(options.beta1), beta2 = debiased(options.beta2);
        const double decayRate = options.referenceRate > 0 ? 1 / options.referenceRate : 1;
        if (!suits(values) || !suits(slopes) || !suits(first) || !suits(second)) {
            for (size_t i = 0; i < values.size(); i++) {
                composedStep(values[i], slopes[i], first[i], second[i], beta1, beta2, decayRate * weightDecays[i],
                             options);
            }
            return;
        }
        std::vector<OptimizerTensor> tensors;
        for (size_t i = 0; i < values.size(); i++) {
            tensors.push_back({values[i].numel(), values[i].mutable_data_ptr<float>(), slopes[i].const_data_ptr<float>(),
                               first[i].mutable_data_ptr<float>(), second[i].mutable_data_ptr<float>(),
                               static_cast<float>(weightDecays[i])});
        }
        kernels().stableAdamW({
            .tensors = tensors.data(),
            .tensorCount = count,
            .learningRate = static_cast<float>(options.learningRate),
            .beta1 = static_cast<float>(beta1),
            .beta2 = static_cast<float>(beta2),
            .epsilon = static_cast<float>(options.epsilon),
            .decayRate = static_cast<float>(decayRate),
        });
    });
}

CTStatus ct_optimizer_gradient_norms(CTTensor *const *gradients, int32_t count, double *euclidean, double *magnitudes) {
    return guarded([&] {
        const at::NoGradGuard guard;
        const auto slopes = list(gradients, count);
        GradientNormArguments arguments{};
        if (suits(slopes)) {
            std::vector<OptimizerTensor> tensors;
            for (const auto &slope : slopes) {
                tensors.push_back({slope.numel(), nullptr, slope.const_data_ptr<float>(), nullptr, nullptr, 0});
            }
            arguments.tensors = tensors.data();
            arguments.tensorCount = count;
            kernels().gradientNorm(arguments);
        } else {
            for (const auto &slope : slopes) {
                const double norm = at::linalg_vector_norm(slope, 2).item<double>();
                arguments.sumOfSquares += norm * norm;
                arguments.sumOfMagnitudes += at::linalg_vector_norm(slope, 1).item<double>();
            }
        }
        *euclidean = std::sqrt(arguments.sumOfSquares);
        *magnitudes = arguments.sumOfMagnitudes;
    });
}

CTStatus ct_optimizer_scale(CTTensor *const *tensors, int32_t count, double factor) {
    return guarded([&] {
        const at::NoGradGuard guard;
        if (count > 0) at::_foreach_mul_(changedList(tensors, count), factor);
    });
}

CTStatus ct_optimizer_average(CTTensor *const *averages, CTTensor *const *values, int32_t count, double decay) {
    return guarded([&] {
        const at::NoGradGuard guard;
        if (count > 0) at::_foreach_lerp_(changedList(averages, count), list(values, count), 1 - decay);
    });
}
