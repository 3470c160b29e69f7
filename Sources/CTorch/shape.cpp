#include "guard.h"

#include "kernels/parallel.h"

#include <ATen/Dispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <vector>

using namespace ettin;

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Rows lo ..< hi of the operand, one for each row of the result.
struct Segment {
    int64_t lo, hi;
};

// Writes each maximum, or 0, and its row, or -1, where `places` is not null.
template <typename Value>
void segmentMax(const Value *rows, int64_t width, Segment segment, Value *__restrict out, int32_t *__restrict places) {
    const bool isEmpty = segment.lo >= segment.hi;
    for (int64_t d = 0; d < width; d++) out[d] = isEmpty ? Value(0) : rows[segment.lo * width + d];
    if (places != nullptr) std::fill_n(places, width, isEmpty ? -1 : static_cast<int32_t>(segment.lo));
    for (int64_t row = segment.lo + 1; row < segment.hi; row++) {
        const Value *__restrict values = rows + row * width;
        // Without branches, so that lanes are compared together. A NaN stays, as in libtorch's maximum.
        const auto isLarger = [&](int64_t d) {
            return (values[d] > out[d]) | ((values[d] != values[d]) & (out[d] == out[d]));
        };
        if (places == nullptr) {
            for (int64_t d = 0; d < width; d++) out[d] = isLarger(d) ? values[d] : out[d];
            continue;
        }
        for (int64_t d = 0; d < width; d++) {
            const bool isNew = isLarger(d);
            places[d] = isNew ? static_cast<int32_t>(row) : places[d];
            out[d] = isNew ? values[d] : out[d];
        }
    }
}

// `places` is int32 like the result, or undefined.
at::Tensor runSegmentMax(const at::Tensor &a, const std::vector<Segment> &segments, const at::Tensor &places) {
    const at::Tensor rows = a.contiguous();
    const int64_t count = static_cast<int64_t>(segments.size()), width = rows.size(1);
    at::Tensor out = at::empty({count, width}, rows.options());
    AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, rows.scalar_type(), "segment_max", [&] {
        const scalar_t *values = rows.const_data_ptr<scalar_t>();
        scalar_t *maxima = out.mutable_data_ptr<scalar_t>();
        int32_t *found = places.defined() ? places.mutable_data_ptr<int32_t>() : nullptr;
        parallelTasks(count, [&](int64_t s, int) {
            segmentMax(values, width, segments[static_cast<size_t>(s)], maxima + s * width,
                       found ? found + s * width : nullptr);
        });
    });
    return out;
}

struct SegmentMax : torch::autograd::Function<SegmentMax> {
    static at::Tensor forward(AutogradContext *context, const at::Tensor &a, const std::vector<Segment> &segments) {
        const at::Tensor places = at::empty({static_cast<int64_t>(segments.size()), a.size(1)}, at::kInt);
        context->saved_data["rows"] = a.size(0);
        context->save_for_backward({places});
        return runSegmentMax(a, segments, places);
    }

    static variable_list backward(AutogradContext *context, const variable_list &above) {
        const at::Tensor places = context->get_saved_variables()[0].to(at::kLong);
        const at::Tensor isThere = places.ge(0).to(above[0].scalar_type());
        const at::Tensor gradient = at::zeros({context->saved_data["rows"].toInt(), places.size(1)},
                                              above[0].options());
        // An empty segment adds 0 to the first row.
        return {gradient.scatter_add_(0, places.clamp_min(0), above[0].mul(isThere)), at::Tensor()};
    }
};

// Of libtorch's operators, for other devices. Where several rows have the maximum, they share the gradient.
at::Tensor composedSegmentMax(const at::Tensor &a, const std::vector<Segment> &segments) {
    std::vector<int64_t> rows, groups;
    for (size_t s = 0; s < segments.size(); s++) {
        for (int64_t row = segments[s].lo; row < segments[s].hi; row++) {
            rows.push_back(row);
            groups.push_back(static_cast<int64_t>(s));
        }
    }
    const at::Tensor counted = a.index_select(0, at::tensor(rows, at::kLong).to(a.device()));
    return at::zeros({static_cast<int64_t>(segments.size()), a.size(1)}, a.options())
        .index_reduce(0, at::tensor(groups, at::kLong).to(a.device()), counted, "amax", /*include_self=*/false);
}

}  // namespace

CTStatus ct_shape_reshape(const CTTensor *a, const int64_t *shape, int32_t rank, CTTensor **out) {
    return produce(out, [&] { return a->value.reshape(shapeOf(shape, rank)); });
}

CTStatus ct_shape_transpose(const CTTensor *a, int64_t first, int64_t second, CTTensor **out) {
    return produce(out, [&] { return a->value.transpose(first, second); });
}

CTStatus ct_shape_narrow(const CTTensor *a, int64_t dimension, int64_t start, int64_t length, CTTensor **out) {
    return produce(out, [&] { return a->value.narrow(dimension, start, length); });
}

CTStatus ct_shape_concatenate(const CTTensor *const *tensors, int32_t count, int64_t dimension, CTTensor **out) {
    return produce(out, [&] {
        std::vector<at::Tensor> values;
        values.reserve(static_cast<size_t>(count));
        for (int32_t i = 0; i < count; i++) values.push_back(tensors[i]->value);
        return at::cat(values, dimension);
    });
}

CTStatus ct_shape_index_select(const CTTensor *a, int64_t dimension, const CTTensor *indices, CTTensor **out) {
    return produce(out, [&] { return a->value.index_select(dimension, indices->value); });
}

CTStatus ct_shape_gather(const CTTensor *a, int64_t dimension, const CTTensor *indices, CTTensor **out) {
    return produce(out, [&] { return a->value.gather(dimension, indices->value); });
}

CTStatus ct_shape_assign_rows(CTTensor *tensor, const CTTensor *indices, const CTTensor *rows) {
    return guarded([&] {
        requireWritable(tensor->value);
        tensor->value.detach().index_copy_(0, indices->value, rows->value.detach());
    });
}

CTStatus ct_shape_index_add(const CTTensor *a, const CTTensor *indices, int64_t rows, CTTensor **out) {
    return produce(out, [&] {
        std::vector<int64_t> shape = a->value.sizes().vec();
        TORCH_CHECK(!shape.empty(), "index_add needs at least one dimension");
        shape[0] = rows;
        return at::zeros(shape, a->value.options()).index_add(0, indices->value, a->value);
    });
}

CTStatus ct_shape_segment_max(const CTTensor *a, const int64_t *lo, const int64_t *hi, int64_t segments,
                              CTTensor **out) {
    return produce(out, [&] {
        const at::Tensor &x = a->value;
        TORCH_CHECK(x.dim() == 2 && x.size(0) <= std::numeric_limits<int32_t>::max(),
                    "segments are rows of a matrix, not of ", x.sizes());
        std::vector<Segment> list;
        for (int64_t s = 0; s < segments; s++) {
            TORCH_CHECK(lo[s] >= hi[s] || (lo[s] >= 0 && hi[s] <= x.size(0)), "rows ", lo[s], " ..< ", hi[s],
                        " of a tensor with ", x.size(0));
            list.push_back({lo[s], hi[s]});
        }
        if (x.size(0) == 0) return at::zeros({segments, x.size(1)}, x.options());
        if (!x.device().is_cpu()) return composedSegmentMax(x, list);
        const bool isRecorded = at::GradMode::is_enabled() && x.requires_grad();
        return isRecorded ? SegmentMax::apply(x, list) : runSegmentMax(x, list, {});
    });
}
