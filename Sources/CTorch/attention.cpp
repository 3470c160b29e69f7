// Attention over packed sequences, composed of libtorch operators: the reference for every device.
//
// - Neighbouring sequences of equal length are one batched call, so a batch of equal lengths costs one call a layer.
// - A bounded window runs over blocks of queries, each against only the keys its window can reach: work and memory
//   grow with tokens × window, not with tokens².
#include "guard.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <vector>

using namespace ettin;

namespace {

struct Window {
    int64_t left;   // negative: unbounded
    int64_t right;  // negative: unbounded
};

// Sequences of one shape: queries [B, H, Tq, d], keys and values [B, H, Tk, d].
struct Group {
    at::Tensor queries, keys, values;
    int64_t queryLength() const { return queries.size(2); }
    int64_t keyLength() const { return keys.size(2); }
};

// Queries are handled in blocks of this many where the window is bounded: large enough to feed a matrix product,
// small enough that block + window stays near the window.
constexpr int64_t queryBlock = 128;

at::Tensor attend(const Group &group, const std::optional<at::Tensor> &mask, bool isCausal, double scale,
                  double dropout) {
    return at::scaled_dot_product_attention(group.queries, group.keys, group.values, mask, dropout, isCausal, scale);
}

// Which key (columns) each query (rows) sees, both given by positions that broadcast against each other.
at::Tensor visible(const at::Tensor &query, const at::Tensor &key, Window window) {
    const at::Tensor distance = key - query;
    at::Tensor mask = at::ones_like(distance, distance.options().dtype(at::kBool));
    if (window.left >= 0) mask = mask.logical_and(distance >= -window.left);
    if (window.right >= 0) mask = mask.logical_and(distance <= window.right);
    return mask;
}

at::Tensor fullyMasked(const Group &group, Window window, double scale, double dropout) {
    const auto options = group.queries.options().dtype(at::kLong);
    const int64_t tq = group.queryLength(), tk = group.keyLength();
    const at::Tensor query = at::arange(tk - tq, tk, options).unsqueeze(1);
    const at::Tensor key = at::arange(tk, options).unsqueeze(0);
    return attend(group, visible(query, key, window), false, scale, dropout);
}

// Both bounds set, as many queries as keys. Every block of queries becomes one row of a batch whose keys are the
// block's own and the window's reach on both sides.
at::Tensor banded(const Group &group, Window window, double scale, double dropout) {
    const int64_t batch = group.queries.size(0), heads = group.queries.size(1), width = group.queries.size(3);
    const int64_t length = group.queryLength();
    const int64_t blocks = (length + queryBlock - 1) / queryBlock;
    const int64_t padding = blocks * queryBlock - length;
    const int64_t reach = queryBlock + window.left + window.right;

    // [B, H, T, d] → [B, blocks, H, rows, d] → [B · blocks, H, rows, d]
    const auto blocked = [&](const at::Tensor &x, int64_t before, int64_t after, int64_t rows) {
        return at::constant_pad_nd(x, {0, 0, before, after})
            .unfold(2, rows, queryBlock)    // [B, H, blocks, d, rows]
            .permute({0, 2, 1, 4, 3})
            .reshape({batch * blocks, heads, rows, width});
    };
    const Group split{blocked(group.queries, 0, padding, queryBlock),
                      blocked(group.keys, window.left, window.right + padding, reach),
                      blocked(group.values, window.left, window.right + padding, reach)};

    const auto options = group.queries.options().dtype(at::kLong);
    const at::Tensor start = at::arange(blocks, options).mul(queryBlock).view({blocks, 1, 1});
    const at::Tensor query = start + at::arange(queryBlock, options).view({1, queryBlock, 1});
    const at::Tensor key = start - window.left + at::arange(reach, options).view({1, 1, reach});
    at::Tensor mask = visible(query, key, window).logical_and(key >= 0).logical_and(key < length);
    // Rows of padding see everything: they are cut off below, and an empty row would be NaN.
    mask = mask.logical_or(query >= length);
    mask = mask.unsqueeze(1).repeat({batch, 1, 1, 1});

    return attend(split, mask, false, scale, dropout)
        .view({batch, blocks, heads, queryBlock, width})
        .permute({0, 2, 1, 3, 4})
        .reshape({batch, heads, blocks * queryBlock, width})
        .narrow(2, 0, length);
}

at::Tensor attend(const Group &group, Window window, double scale, double dropout) {
    const int64_t tq = group.queryLength(), tk = group.keyLength();
    // A bound no pair of positions can exceed is no bound.
    if (window.left >= tk - 1) window.left = -1;
    if (window.right >= tq - 1) window.right = -1;
    if (window.left < 0 && window.right < 0) return attend(group, std::nullopt, false, scale, dropout);
    if (window.left < 0 && window.right == 0 && tq == tk) return attend(group, std::nullopt, true, scale, dropout);
    const bool isBounded = window.left >= 0 && window.right >= 0;
    if (isBounded && tq == tk && queryBlock + window.left + window.right < tk) {
        return banded(group, window, scale, dropout);
    }
    return fullyMasked(group, window, scale, dropout);
}

at::Tensor variableLength(const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values,
                          const int32_t *cuQuery, const int32_t *cuKey, int32_t count, Window window, double scale,
                          double dropout) {
    TORCH_CHECK(queries.dim() == 3 && keys.dim() == 3 && keys.sizes() == values.sizes(),
                "attention needs queries [Tq, H, d], keys and values [Tk, H, d]; found ", queries.sizes(), ", ",
                keys.sizes(), ", ", values.sizes());
    TORCH_CHECK(cuQuery[0] == 0 && cuKey[0] == 0 && cuQuery[count] == queries.size(0) && cuKey[count] == keys.size(0),
                "cumulative lengths end at ", cuQuery[count], " and ", cuKey[count], "; the tensors have ",
                queries.size(0), " and ", keys.size(0), " rows");
    std::vector<at::Tensor> outputs;
    for (int32_t first = 0; first < count;) {
        const int64_t tq = cuQuery[first + 1] - cuQuery[first], tk = cuKey[first + 1] - cuKey[first];
        TORCH_CHECK(tq >= 0 && tq <= tk, "sequence ", first, " has ", tq, " queries and ", tk, " keys");
        int32_t last = first + 1;
        while (last < count && cuQuery[last + 1] - cuQuery[last] == tq && cuKey[last + 1] - cuKey[last] == tk) last++;
        if (tq > 0) {
            // [B · T, H, d] → [B, H, T, d]
            const auto grouped = [&](const at::Tensor &x, int64_t start, int64_t length) {
                return x.narrow(0, start, (last - first) * length)
                    .view({last - first, length, x.size(1), x.size(2)})
                    .transpose(1, 2);
            };
            const Group group{grouped(queries, cuQuery[first], tq), grouped(keys, cuKey[first], tk),
                              grouped(values, cuKey[first], tk)};
            outputs.push_back(
                attend(group, window, scale, dropout).transpose(1, 2).reshape({-1, queries.size(1), queries.size(2)}));
        }
        first = last;
    }
    if (outputs.empty()) return at::zeros_like(queries);
    return outputs.size() == 1 ? outputs[0] : at::cat(outputs);
}

}  // namespace

CTStatus ct_attention_variable_length(const CTTensor *queries, const CTTensor *keys, const CTTensor *values,
                                      const int32_t *cuSeqlensQuery, const int32_t *cuSeqlensKey,
                                      int32_t sequenceCount, int64_t left, int64_t right, double scale,
                                      double dropout, CTTensor **out) {
    return produce(out, [&] {
        return variableLength(queries->value, keys->value, values->value, cuSeqlensQuery, cuSeqlensKey, sequenceCount,
                              {left, right}, scale, dropout);
    });
}
