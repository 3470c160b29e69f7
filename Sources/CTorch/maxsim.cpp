// MaxSim of packed rows in a training pass. Of each largest product the document's row is kept, so that no products
// are: the gradient is a gather. The CPU has kernels for float32 (kernels/maxsim.inc.h); everything else composes
// libtorch's operators, a query at a time.
#include "guard.h"
#include "retrieval.h"

#include "kernels/kernels.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/max.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

using namespace ettin;

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Which rows are scored against which. Kept for the backward pass.
struct Pairs : torch::CustomClassHolder {
    std::vector<int32_t> queries, documents;  // cumulative counts
    int32_t documentsPerQuery;
    std::unique_ptr<bool[]> competesWithZero;

    int64_t queryCount() const { return static_cast<int64_t>(queries.size()) - 1; }
    int64_t documentCount() const { return static_cast<int64_t>(documents.size()) - 1; }
    int64_t perQuery() const { return documentsPerQuery == 0 ? documentCount() : documentsPerQuery; }
    bool competes(int64_t document) const { return competesWithZero && competesWithZero[document]; }
    int64_t rowsOf(int64_t document) const {
        return documents[static_cast<size_t>(document) + 1] - documents[static_cast<size_t>(document)];
    }

    MaxSimArguments arguments(const at::Tensor &queryRows, const at::Tensor &documentRows) const {
        return {.width = queryRows.size(1),
                .queries = queryRows.const_data_ptr<float>(),
                .documents = documentRows.const_data_ptr<float>(),
                .cuQueries = queries.data(),
                .cuDocuments = documents.data(),
                .queryCount = static_cast<int32_t>(queryCount()),
                .documentCount = static_cast<int32_t>(documentCount()),
                .documentsPerQuery = documentsPerQuery,
                .competesWithZero = competesWithZero.get(),
                .scores = nullptr,
                .places = nullptr};
    }
};

struct MaxSim : torch::autograd::Function<MaxSim> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &queries, const at::Tensor &documents,
                              const c10::intrusive_ptr<Pairs> &pairs, bool isRecorded) {
        const at::Tensor scores = at::empty({pairs->queryCount(), pairs->perQuery()}, at::kFloat);
        at::Tensor places;
        if (isRecorded) places = at::empty({queries.size(0) * pairs->perQuery()}, at::kInt);
        MaxSimArguments arguments = pairs->arguments(queries, documents);
        arguments.scores = scores.mutable_data_ptr<float>();
        if (isRecorded) arguments.places = places.mutable_data_ptr<int32_t>();
        kernels().maxSim(arguments);
        context->save_for_backward({queries, documents, places});
        context->saved_data["pairs"] = c10::IValue::make_capsule(pairs);
        return scores;
    }

    static variable_list backward(AutogradContext *context, const variable_list &above) {
        const variable_list saved = context->get_saved_variables();
        const at::Tensor &queries = saved[0], &documents = saved[1], &places = saved[2];
        const auto pairs = c10::static_intrusive_pointer_cast<Pairs>(context->saved_data["pairs"].toCapsule());
        const at::Tensor gradient = above[0].contiguous();
        variable_list gradients(4);
        if (context->needs_input_grad(0)) gradients[0] = at::empty_like(queries);
        if (context->needs_input_grad(1)) gradients[1] = at::empty_like(documents);
        const auto data = [](const at::Tensor &x) { return x.defined() ? x.mutable_data_ptr<float>() : nullptr; };
        MaxSimArguments arguments = pairs->arguments(queries, documents);
        arguments.places = places.mutable_data_ptr<int32_t>();
        kernels().maxSimBackward({.forward = arguments,
                                  .scoreGradients = gradient.const_data_ptr<float>(),
                                  .queryGradients = data(gradients[0]),
                                  .documentGradients = data(gradients[1])});
        return gradients;
    }
};

// One query's products with all rows it meets, and behind them 0 and -∞, which fill up shorter documents.
at::Tensor composedScores(const at::Tensor &query, const at::Tensor &documents, const Pairs &pairs, int64_t first,
                          int64_t count) {
    const auto begin = pairs.documents[static_cast<size_t>(first)];
    const int64_t rows = pairs.documents[static_cast<size_t>(first + count)] - begin;
    int64_t longest = 0;
    for (int64_t d = first; d < first + count; d++) longest = std::max(longest, pairs.rowsOf(d));
    // One more than the longest document has, for the 0 that it competes with.
    std::vector<int64_t> columns;
    columns.reserve(static_cast<size_t>(count * (longest + 1)));
    std::vector<uint8_t> isEmpty;
    for (int64_t d = first; d < first + count; d++) {
        const int64_t length = pairs.rowsOf(d);
        isEmpty.push_back(length == 0 && !pairs.competes(d));
        for (int64_t t = 0; t <= longest; t++) {
            const int64_t filler = rows + (pairs.competes(d) ? 0 : 1);
            columns.push_back(t < length ? pairs.documents[static_cast<size_t>(d)] - begin + t : filler);
        }
    }
    const at::Tensor products = at::mm(query, documents.narrow(0, begin, rows).t());
    const auto filler = [&](double value) { return at::full({query.size(0), 1}, value, query.options()); };
    const at::Tensor all = at::cat({products, filler(0), filler(-std::numeric_limits<double>::infinity())}, 1);
    const at::Tensor chosen = all.index_select(1, at::tensor(columns, at::kLong).to(query.device()));
    const at::Tensor best = std::get<0>(at::max(chosen.view({query.size(0), count, longest + 1}), 2));
    const at::Tensor empty = at::tensor(isEmpty, at::kByte).to(query.device(), at::kBool);
    return best.sum(0).masked_fill(empty, static_cast<double>(emptyDocumentScore));
}

at::Tensor composed(const at::Tensor &queries, const at::Tensor &documents, const Pairs &pairs) {
    std::vector<at::Tensor> scores;
    for (int64_t q = 0; q < pairs.queryCount(); q++) {
        const auto begin = pairs.queries[static_cast<size_t>(q)], end = pairs.queries[static_cast<size_t>(q) + 1];
        const int64_t first = pairs.documentsPerQuery == 0 ? 0 : q * pairs.documentsPerQuery;
        scores.push_back(composedScores(queries.narrow(0, begin, end - begin), documents, pairs, first,
                                        pairs.perQuery()));
    }
    return scores.empty() ? at::zeros({0, pairs.perQuery()}, queries.options()) : at::stack(scores);
}

}  // namespace

CTStatus ct_maxsim(const CTTensor *queries, CTRowCounts queryCounts, const CTTensor *documents,
                   CTRowCounts documentCounts, int32_t documentsPerQuery, const bool *competesWithZero, bool isComposed,
                   CTTensor **out) {
    return produce(out, [&] {
        const at::Tensor &q = queries->value, &d = documents->value;
        TORCH_CHECK(q.dim() == 2 && d.dim() == 2 && q.size(1) == d.size(1) && q.scalar_type() == d.scalar_type() &&
                        q.device() == d.device(),
                    "MaxSim of queries ", q.scalar_type(), " ", q.sizes(), " and documents ", d.scalar_type(), " ",
                    d.sizes());
        checkCounts(queryCounts.cumulative, queryCounts.count, q.size(0), "queries");
        checkCounts(documentCounts.cumulative, documentCounts.count, d.size(0), "documents");
        TORCH_CHECK(documentsPerQuery >= 0 &&
                        (documentsPerQuery == 0 ||
                         static_cast<int64_t>(documentsPerQuery) * queryCounts.count == documentCounts.count),
                    documentCounts.count, " documents are not ", documentsPerQuery, " for each of ", queryCounts.count,
                    " queries");
        auto pairs = c10::make_intrusive<Pairs>();
        pairs->queries.assign(queryCounts.cumulative, queryCounts.cumulative + queryCounts.count + 1);
        pairs->documents.assign(documentCounts.cumulative, documentCounts.cumulative + documentCounts.count + 1);
        pairs->documentsPerQuery = documentsPerQuery;
        if (competesWithZero != nullptr) {
            pairs->competesWithZero = std::make_unique<bool[]>(static_cast<size_t>(documentCounts.count));
            std::copy_n(competesWithZero, documentCounts.count, pairs->competesWithZero.get());
        }
        if (isComposed || !q.device().is_cpu() || q.scalar_type() != at::kFloat) return composed(q, d, *pairs);
        const bool isRecorded = at::GradMode::is_enabled() && (q.requires_grad() || d.requires_grad());
        return MaxSim::apply(q.contiguous(), d.contiguous(), pairs, isRecorded);
    });
}
