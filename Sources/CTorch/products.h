// Products that libtorch takes more slowly than they could be.
//
// Of bfloat16, where the processor has none, libtorch multiplies elements one by one, 30 times slower than float32.
// Operands that are bfloat16 are float32 numbers too, so they are multiplied as those, and results are rounded once, as
// with the processor's own products.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace ettin {

// Whether products of bfloat16 are the processor's own, for the kernels that this thread uses.
bool hasBFloat16Products();

// Whether this thread takes products of a tensor's type in float32: bfloat16, on a processor without its products or
// with the kernels of one.
bool multipliesInFloat(const at::Tensor &tensor);

// As at::linear, differentiable, for operands of bfloat16.
at::Tensor linearInFloat(const at::Tensor &input, const at::Tensor &weight, const std::optional<at::Tensor> &bias);

// Whether our kernels multiply float32 matrices faster than libtorch: with AVX-512, which its products take on some
// processors alone.
bool multipliesByKernels(const at::Tensor &input, const at::Tensor &weight);

// As at::linear, differentiable, for operands of float32. The gradient of a weight that has one already is added to it.
at::Tensor linearByKernels(const at::Tensor &input, const at::Tensor &weight, const std::optional<at::Tensor> &bias);

// As at::matmul, differentiable, for operands of bfloat16.
at::Tensor matmulInFloat(const at::Tensor &a, const at::Tensor &b);

}  // namespace ettin
