#include "guard.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <vector>

using namespace ettin;

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

CTStatus ct_shape_assign_rows(CTTensor *tensor, const CTTensor *indices, const CTTensor *rows) {
    return guarded([&] { tensor->value.detach().index_copy_(0, indices->value, rows->value.detach()); });
}

CTStatus ct_shape_index_add(const CTTensor *a, const CTTensor *indices, int64_t rows, CTTensor **out) {
    return produce(out, [&] {
        std::vector<int64_t> shape = a->value.sizes().vec();
        TORCH_CHECK(!shape.empty(), "index_add needs at least one dimension");
        shape[0] = rows;
        return at::zeros(shape, a->value.options()).index_add(0, indices->value, a->value);
    });
}
