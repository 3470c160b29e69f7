// Attention in terms of libtorch's tensors: what the operator, its reference and decoding share.
#pragma once

#include <ATen/core/Tensor.h>

namespace ettin {

// How far a query sees to each side; negative: unbounded.
struct Window {
    int64_t left;
    int64_t right;
};

// (x₁ cos - x₂ sin, x₂ cos + x₁ sin) for x [T, H, d], cosines and sines [T, d / 2]. With -sines, the way back.
at::Tensor rotated(const at::Tensor &x, const at::Tensor &cosines, const at::Tensor &sines);

// The rows of a table over keys that belong to the queries, the last of which stands at the last key of its sequence.
// Cumulative lengths are int32 on the CPU here and below.
at::Tensor queryRows(const at::Tensor &table, const at::Tensor &cuQuery, const at::Tensor &cuKey);

// Composed of libtorch operators, differentiable, for any device and floating dtype. `attendedKeys`: how many keys of each
// sequence, from its first, are attended to, int32 on the CPU; undefined: all.
at::Tensor referenceAttention(const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values,
                              const at::Tensor &cuSeqlensQuery, const at::Tensor &cuSeqlensKey,
                              const at::Tensor &attendedKeys, Window window, double scale, double dropout);

}  // namespace ettin
