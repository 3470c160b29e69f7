// Fused inference: tensors in and out of the CPU kernels, which see only pointers.
#include "fused.h"
#include "guard.h"

#include <ATen/ops/empty.h>

using namespace ettin;

namespace {

at::ScalarType activationType(Precision precision) {
    return precision == Precision::float32 ? at::kFloat : at::kBFloat16;
}

const at::Tensor &requireRows(const at::Tensor &rows, const char *name, at::ScalarType type, int64_t width) {
    TORCH_CHECK(rows.device().is_cpu() && rows.is_contiguous() && rows.dim() == 2 && rows.size(1) == width &&
                    rows.scalar_type() == type,
                name, " must be contiguous ", type, " [rows, ", width, "] on the CPU; found ", rows.scalar_type(), " ",
                rows.sizes(), " on ", rows.device());
    return rows;
}

const float *vectorOf(const CTTensor *tensor, int64_t width) {
    if (tensor == nullptr) return nullptr;
    const at::Tensor &value = tensor->value;
    TORCH_CHECK(value.device().is_cpu() && value.is_contiguous() && value.scalar_type() == at::kFloat &&
                    value.dim() == 1 && value.size(0) == width,
                "a norm's parameters must be float32 [", width, "] on the CPU; found ", value.scalar_type(), " ",
                value.sizes(), " on ", value.device());
    return value.const_data_ptr<float>();
}

LayerNormParameters normOf(const CTFusedNorm &norm, int64_t width) {
    return {vectorOf(norm.weight, width), vectorOf(norm.bias, width), static_cast<float>(norm.epsilon)};
}

const PackedMatrix *matrix(const CTPackedMatrix *packed) { return packed ? packed->value.get() : nullptr; }

}  // namespace

void ct_fused_free(CTPackedMatrix *packed) { delete packed; }

CTStatus ct_fused_pack(const CTTensor *weight, const CTTensor *bias, CTPrecision precision, bool isGated,
                       CTPackedMatrix **out) {
    return guarded([&] {
        const at::Tensor values = weight->value.detach().to(at::kFloat).contiguous();
        TORCH_CHECK(values.dim() == 2 && values.device().is_cpu(), "a packed weight must be a matrix on the CPU; found ",
                    values.sizes(), " on ", values.device());
        TORCH_CHECK(!isGated || values.size(0) % 2 == 0, "a gated weight must have an even number of rows; found ",
                    values.size(0));
        at::Tensor offsets;
        if (bias != nullptr) offsets = bias->value.detach().to(at::kFloat).contiguous();
        *out = new CTPackedMatrix{kernels().pack(values.const_data_ptr<float>(),
                                                 bias ? offsets.const_data_ptr<float>() : nullptr, values.size(0),
                                                 values.size(1), static_cast<Precision>(precision), isGated)};
    });
}

CTStatus ct_fused_embed(const CTTensor *embeddings, const int32_t *ids, int64_t count, CTFusedNorm norm,
                        CTTensor **out) {
    return produce(out, [&] {
        const at::Tensor &table = embeddings->value;
        TORCH_CHECK(table.device().is_cpu() && table.is_contiguous() && table.dim() == 2 &&
                        (table.scalar_type() == at::kFloat || table.scalar_type() == at::kBFloat16),
                    "embeddings must be float32 or bfloat16 [vocabulary, hidden] on the CPU; found ",
                    table.scalar_type(), " ", table.sizes());
        for (int64_t i = 0; i < count; i++) {
            TORCH_CHECK(ids[i] >= 0 && ids[i] < table.size(0), "token id ", ids[i], " is not below ", table.size(0));
        }
        at::Tensor rows = at::empty({count, table.size(1)}, at::kFloat);
        kernels().embed(table.const_data_ptr(), table.scalar_type() == at::kBFloat16, ids, count, table.size(1),
                        normOf(norm, table.size(1)), rows.mutable_data_ptr<float>());
        return rows;
    });
}

CTStatus ct_fused_linear(const CTTensor *input, const CTPackedMatrix *weight, CTGate activation, bool isFloatOutput,
                         CTTensor **out) {
    return produce(out, [&] {
        const PackedMatrix &packed = *weight->value;
        const at::ScalarType type = activationType(packed.precision);
        const at::Tensor rows = input->value.to(type).contiguous();
        requireRows(rows, "the input of a packed product", type, packed.depth);
        const int64_t columns = packed.isGated ? packed.columns / 2 : packed.columns;
        at::Tensor result = at::empty({rows.size(0), columns}, isFloatOutput ? at::kFloat : type);
        packed.table->linear({.rows = rows.size(0),
                              .input = rows.const_data_ptr(),
                              .weight = &packed,
                              .activation = static_cast<Gate>(activation),
                              .output = result.mutable_data_ptr(),
                              .isFloatOutput = isFloatOutput});
        return result;
    });
}

CTStatus ct_fused_layer(CTTensor *residual, const CTTensor *mixed, const CTFusedLayer *layer, CTTensor **out) {
    return produce(out, [&] {
        const PackedMatrix *projection = matrix(layer->projection), *output = matrix(layer->output);
        TORCH_CHECK(projection != nullptr || output != nullptr, "a fused layer needs a product");
        const PackedMatrix &any = output ? *output : *projection;
        const int64_t hidden = any.depth;
        const at::ScalarType type = activationType(any.precision);
        requireWritable(residual->value);
        const at::Tensor &x = requireRows(residual->value, "the residual", at::kFloat, hidden);
        const int64_t rows = x.size(0);
        if (mixed != nullptr) {
            requireRows(mixed->value, "the mixed values", type, hidden);
            TORCH_CHECK(mixed->value.size(0) == rows, "mixed values have ", mixed->value.size(0), " rows, the residual ",
                        rows);
        }
        const bool isFloatFinal = projection == nullptr && layer->isFloatFinal;
        at::Tensor result = at::empty({rows, projection ? projection->columns : hidden}, isFloatFinal ? at::kFloat : type);
        any.table->layer({.rows = rows,
                          .residual = x.mutable_data_ptr<float>(),
                          .mixed = mixed ? mixed->value.const_data_ptr() : nullptr,
                          .output = output,
                          .mlpNorm = normOf(layer->mlpNorm, hidden),
                          .input = matrix(layer->input),
                          .gate = static_cast<Gate>(layer->gate),
                          .down = matrix(layer->down),
                          .nextNorm = normOf(layer->nextNorm, hidden),
                          .projection = projection,
                          .projected = projection ? result.mutable_data_ptr() : nullptr,
                          .final = projection ? nullptr : result.mutable_data_ptr(),
                          .isFloatFinal = isFloatFinal});
        return result;
    });
}
