// Attention over packed sequences, composed of libtorch operators: what kernels are tested against, and what runs where
// there is none.
//
// - Neighbouring sequences of equal length are one batched call, so a batch of equal lengths costs one call a layer.
// - A bounded window runs over blocks of queries, each against only the keys its window can reach: work and memory
//   grow with tokens × window, not with tokens².
#include "attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clone.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <vector>

namespace ettin {

namespace {

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

// Only the first `attended` keys are there, so that a query may see none, whose output is 0.
at::Tensor attendingInPart(const Group &group, int64_t attended, Window window, double scale, double dropout) {
    const auto options = group.queries.options().dtype(at::kLong);
    const int64_t tq = group.queryLength(), tk = group.keyLength();
    const at::Tensor query = at::arange(tk - tq, tk, options).unsqueeze(1);
    const at::Tensor key = at::arange(attended, options).unsqueeze(0);
    const at::Tensor mask = visible(query, key, window), sees = mask.any(1, true);
    const Group part{group.queries, group.keys.narrow(2, 0, attended), group.values.narrow(2, 0, attended)};
    // What an empty row of a mask gives is up to the operator.
    return attend(part, mask.logical_or(sees.logical_not()), false, scale, dropout) * sees.to(group.queries.scalar_type());
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

}  // namespace

at::Tensor rotated(const at::Tensor &x, const at::Tensor &cosines, const at::Tensor &sines) {
    // In float32 or better whatever the dtype, as in transformers.
    const auto precise = c10::promoteTypes(x.scalar_type(), at::kFloat);
    const auto halves = x.to(precise).chunk(2, -1);
    const at::Tensor c = cosines.to(precise).unsqueeze(1), s = sines.to(precise).unsqueeze(1);
    return at::cat({halves[0] * c - halves[1] * s, halves[1] * c + halves[0] * s}, -1).to(x.scalar_type());
}

at::Tensor queryRows(const at::Tensor &table, const at::Tensor &cuQuery, const at::Tensor &cuKey) {
    if (cuQuery.equal(cuKey)) return table;
    const auto *query = cuQuery.const_data_ptr<int32_t>(), *key = cuKey.const_data_ptr<int32_t>();
    std::vector<int64_t> rows;
    for (int64_t s = 0; s + 1 < cuQuery.numel(); s++) {
        const int64_t count = query[s + 1] - query[s];
        for (int64_t i = key[s + 1] - count; i < key[s + 1]; i++) rows.push_back(i);
    }
    return table.index_select(0, at::tensor(rows).to(table.device()));
}

at::Tensor referenceAttention(const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values,
                              const at::Tensor &cuSeqlensQuery, const at::Tensor &cuSeqlensKey,
                              const at::Tensor &attendedKeys, Window window, double scale, double dropout) {
    const auto *attended = attendedKeys.defined() ? attendedKeys.const_data_ptr<int32_t>() : nullptr;
    const auto *cuQuery = cuSeqlensQuery.const_data_ptr<int32_t>(), *cuKey = cuSeqlensKey.const_data_ptr<int32_t>();
    const int64_t count = cuSeqlensQuery.numel() - 1;
    std::vector<at::Tensor> outputs;
    for (int64_t first = 0; first < count;) {
        const int64_t tq = cuQuery[first + 1] - cuQuery[first], tk = cuKey[first + 1] - cuKey[first];
        int64_t last = first + 1;
        while (last < count && cuQuery[last + 1] - cuQuery[last] == tq && cuKey[last + 1] - cuKey[last] == tk &&
               (!attended || attended[last] == attended[first])) {
            last++;
        }
        if (tq > 0) {
            // [B · T, H, d] → [B, H, T, d]
            const auto grouped = [&](const at::Tensor &x, int64_t start, int64_t length) {
                return x.narrow(0, start, (last - first) * length)
                    .view({last - first, length, x.size(1), x.size(2)})
                    .transpose(1, 2);
            };
            const Group group{grouped(queries, cuQuery[first], tq), grouped(keys, cuKey[first], tk),
                              grouped(values, cuKey[first], tk)};
            const at::Tensor mixed = attended && attended[first] < tk
                                         ? attendingInPart(group, attended[first], window, scale, dropout)
                                         : attend(group, window, scale, dropout);
            outputs.push_back(mixed.transpose(1, 2).reshape({-1, queries.size(1), queries.size(2)}));
        }
        first = last;
    }
    if (outputs.empty()) return queries.clone();  // no rows, but part of the graph
    return outputs.size() == 1 ? outputs[0] : at::cat(outputs);
}

}  // namespace ettin
