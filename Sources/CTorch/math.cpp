#include "guard.h"
#include "products.h"

#include <ATen/ops/cdist.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/logcumsumexp.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/silu.h>

#include <memory>
#include <type_traits>

using namespace ettin;

namespace {

at::Tensor unary(CTUnary op, const at::Tensor &a) {
    switch (op) {
        case CT_NEGATE: return a.neg();
        case CT_EXP: return a.exp();
        case CT_LOG: return a.log();
        case CT_SQRT: return a.sqrt();
        case CT_RSQRT: return a.rsqrt();
        case CT_COS: return a.cos();
        case CT_SIN: return a.sin();
        case CT_TANH: return a.tanh();
        case CT_SIGMOID: return a.sigmoid();
        case CT_RELU: return a.relu();
        case CT_SILU: return at::silu(a);
        case CT_GELU: return at::gelu(a, "none");
        case CT_GELU_TANH: return at::gelu(a, "tanh");
        case CT_ERFINV: return a.erfinv();
        case CT_ABS: return a.abs();
        case CT_IS_FINITE: return a.isfinite();
        case CT_LOGICAL_NOT: return a.logical_not();
    }
    TORCH_CHECK(false, "unknown unary operation ", static_cast<int>(op));
}

// Tensor and scalar right-hand sides share one table.
template <typename Right>
at::Tensor binary(CTBinary op, const at::Tensor &a, const Right &b) {
    switch (op) {
        case CT_ADD: return a.add(b);
        case CT_SUBTRACT: return a.sub(b);
        case CT_MULTIPLY: return a.mul(b);
        case CT_DIVIDE: return a.div(b);
        case CT_EQUAL: return a.eq(b);
        case CT_LESS: return a.lt(b);
        case CT_LESS_EQUAL: return a.le(b);
        case CT_POWER: return a.pow(b);
        case CT_MAXIMUM:
            if constexpr (std::is_same_v<Right, at::Scalar>) return a.clamp_min(b);
            else return at::maximum(a, b);
        case CT_MINIMUM:
            if constexpr (std::is_same_v<Right, at::Scalar>) return a.clamp_max(b);
            else return at::minimum(a, b);
    }
    TORCH_CHECK(false, "unknown binary operation ", static_cast<int>(op));
}

at::Tensor reduce(CTReduction op, const at::Tensor &a, at::IntArrayRef dimensions, bool keep) {
    switch (op) {
        case CT_SUM: return dimensions.empty() ? a.sum() : a.sum(dimensions, keep);
        case CT_MEAN: return dimensions.empty() ? a.mean() : a.mean(dimensions, keep);
        case CT_MAX: return a.amax(dimensions, keep);
        case CT_MIN: return a.amin(dimensions, keep);
        case CT_NORM: return dimensions.empty() ? a.norm() : a.norm(2, dimensions, keep);
    }
    TORCH_CHECK(false, "unknown reduction ", static_cast<int>(op));
}

}  // namespace

CTStatus ct_math_unary(CTUnary op, const CTTensor *a, CTTensor **out) {
    return produce(out, [&] { return unary(op, a->value); });
}

CTStatus ct_math_binary(CTBinary op, const CTTensor *a, const CTTensor *b, CTTensor **out) {
    return produce(out, [&] { return binary(op, a->value, b->value); });
}

CTStatus ct_math_binary_scalar(CTBinary op, const CTTensor *a, double b, CTTensor **out) {
    return produce(out, [&] { return binary(op, a->value, at::Scalar(b)); });
}

CTStatus ct_math_reduce(CTReduction op, const CTTensor *a, const int64_t *dimensions, int32_t dimensionCount,
                        bool keepDimensions, CTTensor **out) {
    return produce(out, [&] { return reduce(op, a->value, shapeOf(dimensions, dimensionCount), keepDimensions); });
}

CTStatus ct_math_argmax(const CTTensor *a, int64_t dimension, CTTensor **out) {
    return produce(out, [&] { return a->value.argmax(dimension); });
}

CTStatus ct_math_top_k(const CTTensor *a, int64_t count, int64_t dimension, CTTensor **values, CTTensor **indices) {
    return guarded([&] {
        auto [top, positions] = a->value.topk(count, dimension);
        auto first = std::make_unique<CTTensor>(CTTensor{top});
        *indices = new CTTensor{positions};
        *values = first.release();
    });
}

CTStatus ct_math_log_sum_exp(const CTTensor *a, int64_t dimension, CTTensor **out) {
    return produce(out, [&] { return a->value.logsumexp(dimension); });
}

CTStatus ct_math_log_cumulative_sum_exp(const CTTensor *a, int64_t dimension, CTTensor **out) {
    return produce(out, [&] { return at::logcumsumexp(a->value, dimension); });
}

CTStatus ct_math_masked_fill(const CTTensor *a, const CTTensor *mask, double value, CTTensor **out) {
    return produce(out, [&] { return a->value.masked_fill(mask->value, at::Scalar(value)); });
}

CTStatus ct_math_distances(const CTTensor *a, const CTTensor *b, double p, CTTensor **out) {
    return produce(out, [&] { return at::cdist(a->value, b->value, p); });
}

CTStatus ct_math_matmul(const CTTensor *a, const CTTensor *b, CTTensor **out) {
    return produce(out, [&] {
        const at::Tensor &x = a->value, &y = b->value;
        return multipliesInFloat(x) && multipliesInFloat(y) ? matmulInFloat(x, y) : x.matmul(y);
    });
}

CTStatus ct_math_is_equal(const CTTensor *a, const CTTensor *b, bool *out) {
    return guarded([&] { *out = a->value.equal(b->value); });
}
