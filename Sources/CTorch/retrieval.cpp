// What sparse and late interaction models compute after their transformer: SPLADE's pooling of the vocabulary
// projection, and MaxSim of rows in memory. The CPU has kernels (kernels/splade.inc.h, kernels/maxsim.inc.h); pooling
// elsewhere composes libtorch's operators. Training passes are in splade.cpp and maxsim.cpp.
#include "fused.h"
#include "guard.h"
#include "products.h"
#include "retrieval.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log1p.h>
#include <ATen/ops/max.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <vector>

using namespace ettin;

namespace ettin {

void checkCounts(const int32_t *cumulative, int64_t count, int64_t rows, const char *name) {
    TORCH_CHECK(cumulative[0] == 0 && cumulative[count] == rows, "cumulative lengths of ", name, " go from ",
                cumulative[0], " to ", cumulative[count], "; there are ", rows, " rows");
    for (int64_t i = 0; i < count; i++) {
        TORCH_CHECK(cumulative[i] <= cumulative[i + 1], "cumulative lengths of ", name, " fall from ", cumulative[i],
                    " to ", cumulative[i + 1]);
    }
}

}  // namespace ettin

namespace {

void check(const at::Tensor &hidden, const CTSpladePooling &pooling) {
    TORCH_CHECK(hidden.dim() == 2, "SPLADE pooling needs hidden states [T, D]; found ", hidden.sizes());
    TORCH_CHECK(pooling.logarithms == 1 || pooling.logarithms == 2, "SPLADE pooling takes 1 or 2 logarithms; found ",
                pooling.logarithms);
    checkCounts(pooling.cuSeqlens, pooling.sequenceCount, hidden.size(0), "sequences");
}

// One sequence: its rows go in chunks, so that no more logits than theirs exist at a time.
at::Tensor pooled(const at::Tensor &hidden, const at::Tensor &weight, const std::optional<at::Tensor> &bias,
                  const CTSpladePooling &pooling, int64_t chunkRows) {
    at::Tensor result;
    for (int64_t first = 0; first < hidden.size(0); first += chunkRows) {
        const at::Tensor rows = hidden.narrow(0, first, std::min(chunkRows, hidden.size(0) - first));
        const at::Tensor logits =
            multipliesInFloat(rows) ? linearInFloat(rows, weight, bias) : at::linear(rows, weight, bias);
        const auto saturated = [&](at::Tensor x) {
            for (int32_t i = 0; i < pooling.logarithms; i++) x = at::log1p(x);
            return x;
        };
        // The logarithm is monotone: taken after the maximum it is taken once an entry. Of equal maxima the first gets the
        // gradient, which amax would share out.
        const at::Tensor part =
            pooling.isSum ? saturated(at::relu(logits)).sum(0) : saturated(at::relu(std::get<0>(at::max(logits, 0))));
        if (!result.defined()) {
            result = part;
        } else {
            result = pooling.isSum ? result + part : at::maximum(result, part);
        }
    }
    return result.defined() ? result : at::zeros({weight.size(0)}, hidden.options());
}

// The rows of one query or document.
at::Tensor rowsOf(const at::Tensor &rows, const CTRowCounts &counts, int64_t index) {
    return rows.narrow(0, counts.cumulative[index], counts.cumulative[index + 1] - counts.cumulative[index]);
}

void checkPairs(const CTRowCounts &queryCounts, const CTRowCounts &documentCounts, bool isPairwise) {
    TORCH_CHECK(!isPairwise || queryCounts.count == documentCounts.count, queryCounts.count, " queries and ",
                documentCounts.count, " documents make no pairs");
}

}  // namespace

CTStatus ct_splade_pooling_packed(const CTTensor *hidden, const CTPackedMatrix *weight, CTSpladePooling pooling,
                                  CTTensor **out) {
    return produce(out, [&] {
        const PackedMatrix &packed = *made(weight, "packed weights").value;
        check(hidden->value, pooling);
        TORCH_CHECK(packed.precision != Precision::int8, "SPLADE pooling needs a weight packed as float32 or bfloat16");
        const auto type = packed.precision == Precision::float32 ? at::kFloat : at::kBFloat16;
        const at::Tensor rows = hidden->value.to(type).contiguous();
        TORCH_CHECK(rows.device().is_cpu() && rows.size(1) == packed.depth && !packed.isGated,
                    "SPLADE pooling with a packed weight of depth ", packed.depth,
                    " needs hidden states on the CPU; found ", rows.sizes(), " on ", rows.device());
        at::Tensor result = at::empty({pooling.sequenceCount, packed.columns}, at::kFloat);
        packed.table->spladePooling({.rows = rows.size(0),
                                     .hidden = rows.const_data_ptr(),
                                     .weight = &packed,
                                     .cuSeqlens = pooling.cuSeqlens,
                                     .sequences = pooling.sequenceCount,
                                     .isSum = pooling.isSum,
                                     .logarithms = pooling.logarithms,
                                     .output = result.mutable_data_ptr<float>()});
        return result;
    });
}

CTStatus ct_splade_pooling(const CTTensor *hidden, const CTTensor *weight, const CTTensor *bias,
                           CTSpladePooling pooling, int64_t chunkRows, bool isComposed, CTTensor **out) {
    return produce(out, [&] {
        const at::Tensor &rows = hidden->value;
        check(rows, pooling);
        TORCH_CHECK(weight->value.dim() == 2 && weight->value.size(1) == rows.size(1) && chunkRows > 0, "hidden ",
                    rows.sizes(), " and weight ", weight->value.sizes(), " do not fit, or chunks have ", chunkRows,
                    " rows");
        TORCH_CHECK(bias == nullptr || (bias->value.dim() == 1 && bias->value.size(0) == weight->value.size(0)),
                    "bias ", bias->value.sizes(), " for weight ", weight->value.sizes());
        if (!isComposed && poolsByKernels(rows, weight->value, optional(bias))) {
            return pooledByKernels(rows, weight->value, optional(bias), pooling);
        }
        const at::Tensor matrix = weight->value.to(rows.scalar_type());
        std::optional<at::Tensor> offsets;
        if (bias != nullptr) offsets = bias->value.to(rows.scalar_type());
        std::vector<at::Tensor> results;
        for (int32_t s = 0; s < pooling.sequenceCount; s++) {
            const at::Tensor sequence = rowsOf(rows, {pooling.cuSeqlens, pooling.sequenceCount}, s);
            results.push_back(pooled(sequence, matrix, offsets, pooling, chunkRows));
        }
        if (results.empty()) return at::zeros({0, matrix.size(0)}, at::TensorOptions(rows.device()).dtype(at::kFloat));
        return at::stack(results).to(at::kFloat);
    });
}

CTStatus ct_maxsim_rows(const float *queries, CTRowCounts queryCounts, const float *documents,
                        CTRowCounts documentCounts, int64_t width, bool isPairwise, float *scores) {
    return guarded([&] {
        checkPairs(queryCounts, documentCounts, isPairwise);
        checkCounts(queryCounts.cumulative, queryCounts.count, queryCounts.cumulative[queryCounts.count], "queries");
        checkCounts(documentCounts.cumulative, documentCounts.count, documentCounts.cumulative[documentCounts.count],
                    "documents");
        kernels().maxSim({.width = width,
                          .queries = queries,
                          .documents = documents,
                          .cuQueries = queryCounts.cumulative,
                          .cuDocuments = documentCounts.cumulative,
                          .queryCount = queryCounts.count,
                          .documentCount = documentCounts.count,
                          .documentsPerQuery = isPairwise ? 1 : 0,
                          .competesWithZero = nullptr,
                          .scores = scores,
                          .places = nullptr});
    });
}
