// What the files of sparse and late interaction models share.
#pragma once

#include "CTorch.h"

#include <ATen/core/Tensor.h>

#include <optional>

namespace ettin {

// Checks cumulative counts of `rows` rows, which kernels read memory by.
void checkCounts(const int32_t *cumulative, int64_t count, int64_t rows, const char *name);

// Whether kernels pool these as they are: bfloat16 or float32 hidden states, and float32 weights, on the CPU.
bool poolsByKernels(const at::Tensor &hidden, const at::Tensor &weight, const std::optional<at::Tensor> &bias);

// SPLADE's pooling, differentiable. The gradient of a weight that has one already is added to it.
at::Tensor pooledByKernels(const at::Tensor &hidden, const at::Tensor &weight, const std::optional<at::Tensor> &bias,
                           const CTSpladePooling &pooling);

}  // namespace ettin
