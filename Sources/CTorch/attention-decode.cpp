// Attention of one new query for each sequence over its cache of keys and values.
#include "attention.h"
#include "guard.h"
#include "kernels/kernels.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <vector>

using namespace ettin;

namespace {

void check(const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values, const int32_t *counts,
           int32_t sequences) {
    TORCH_CHECK(queries.dim() == 3 && keys.dim() == 4 && keys.sizes() == values.sizes() &&
                    queries.size(0) == sequences && keys.size(0) == sequences && queries.size(1) == keys.size(2) &&
                    queries.size(2) == keys.size(3),
                "decoding needs queries [B, H, d], keys and values [B, capacity, H, d] for ", sequences,
                " sequences; found ", queries.sizes(), ", ", keys.sizes(), ", ", values.sizes());
    for (int32_t s = 0; s < sequences; s++) {
        TORCH_CHECK(counts[s] > 0 && counts[s] <= keys.size(1), "sequence ", s, " fills ", counts[s], " of ",
                    keys.size(1), " places");
    }
}

// The kernel reads caches as they are allocated, and does not keep what a gradient would need.
bool kernelTakes(const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values, double scale) {
    const bool needsGradient = at::GradMode::is_enabled() &&
                               (queries.requires_grad() || keys.requires_grad() || values.requires_grad());
    const auto dtype = queries.scalar_type();
    return queries.is_cpu() && keys.is_cpu() && values.is_cpu() && !needsGradient &&
           (dtype == at::kFloat || dtype == at::kBFloat16) && keys.scalar_type() == dtype &&
           values.scalar_type() == dtype && keys.is_contiguous() && values.is_contiguous() &&
           queries.size(2) <= widestHead && queries.size(2) > 0 && scale > 0;
}

DecodeArguments argumentsFor(const at::Tensor &keys, const at::Tensor &values, const int32_t *counts, double scale,
                             const at::Tensor &output) {
    DecodeArguments a{};
    a.keys = keys.data_ptr();
    a.values = values.data_ptr();
    a.capacity = keys.size(1);
    a.counts = counts;
    a.sequences = keys.size(0);
    a.heads = keys.size(2);
    a.width = keys.size(3);
    a.scale = static_cast<float>(scale);
    a.output = output.data_ptr();
    return a;
}

at::Tensor decode(const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values, const int32_t *counts,
                  int32_t sequences, double scale) {
    check(queries, keys, values, counts, sequences);
    if (kernelTakes(queries, keys, values, scale)) {
        const at::Tensor rows = queries.contiguous();
        const at::Tensor output = at::empty_like(rows);
        DecodeArguments a = argumentsFor(keys, values, counts, scale, output);
        a.queries = rows.data_ptr();
        a.rowStride = a.heads * a.width;
        kernels().decode(a, rows.scalar_type() == at::kBFloat16);
        return output;
    }
    std::vector<at::Tensor> outputs;
    for (int32_t first = 0; first < sequences;) {
        int32_t last = first + 1;
        while (last < sequences && counts[last] == counts[first]) last++;
        // [B, capacity, H, d] → [B, H, count, d]
        const auto filled = [&](const at::Tensor &x) {
            return x.narrow(0, first, last - first).narrow(1, 0, counts[first]).transpose(1, 2);
        };
        outputs.push_back(at::scaled_dot_product_attention(queries.narrow(0, first, last - first).unsqueeze(2),
                                                           filled(keys), filled(values), std::nullopt, 0, false, scale)
                              .squeeze(2));
        first = last;
    }
    if (outputs.empty()) return at::zeros_like(queries);
    return outputs.size() == 1 ? outputs[0] : at::cat(outputs);
}

at::Tensor decodeStep(const at::Tensor &qkv, const at::Tensor &cosines, const at::Tensor &sines, const at::Tensor &keys,
                      const at::Tensor &values, const int32_t *places, const int32_t *counts, int32_t sequences,
                      double scale) {
    TORCH_CHECK(qkv.dim() == 4 && qkv.size(1) == 3, "a decoding step needs projections [B, 3, H, d]; found ",
                qkv.sizes());
    const at::Tensor queries = qkv.select(1, 0), newKeys = qkv.select(1, 1), newValues = qkv.select(1, 2);
    check(queries, keys, values, counts, sequences);
    TORCH_CHECK(qkv.size(3) % 2 == 0 && cosines.dim() == 2 && cosines.size(0) == sequences &&
                    cosines.size(1) == qkv.size(3) / 2 && cosines.sizes() == sines.sizes() &&
                    cosines.scalar_type() == at::kFloat && sines.scalar_type() == at::kFloat,
                "a decoding step needs float32 cosines and sines [B, d / 2]; found ", cosines.sizes(), " and ",
                sines.sizes());
    for (int32_t s = 0; s < sequences; s++) {
        TORCH_CHECK(places[s] >= 0 && places[s] < counts[s], "sequence ", s, " writes place ", places[s], " of ",
                    counts[s]);
    }
    if (kernelTakes(queries, keys, values, scale) && !(at::GradMode::is_enabled() && qkv.requires_grad())) {
        const at::Tensor rows = qkv.contiguous(), c = cosines.contiguous(), s = sines.contiguous();
        const at::Tensor output = at::empty(queries.sizes(), queries.options());
        DecodeArguments a = argumentsFor(keys, values, counts, scale, output);
        const int64_t width = a.heads * a.width * rows.element_size();
        const auto *bytes = static_cast<const uint8_t *>(rows.data_ptr());
        a.queries = bytes;
        a.newKeys = bytes + width;
        a.newValues = bytes + 2 * width;
        a.rowStride = 3 * a.heads * a.width;
        a.cosines = c.const_data_ptr<float>();
        a.sines = s.const_data_ptr<float>();
        a.places = places;
        kernels().decode(a, rows.scalar_type() == at::kBFloat16);
        return output;
    }
    std::vector<int64_t> rows;
    for (int64_t s = 0; s < sequences; s++) rows.push_back(s * keys.size(1) + places[s]);
    const at::Tensor at = at::tensor(rows).to(keys.device());
    const std::vector<int64_t> flat{-1, keys.size(2), keys.size(3)};
    keys.view(flat).index_copy_(0, at, rotated(newKeys, cosines, sines));
    values.view(flat).index_copy_(0, at, newValues);
    return decode(rotated(queries, cosines, sines), keys, values, counts, sequences, scale);
}

}  // namespace

CTStatus ct_attention_decode(const CTTensor *queries, const CTTensor *keys, const CTTensor *values,
                             const int32_t *counts, int32_t sequenceCount, double scale, CTTensor **out) {
    return produce(out, [&] {
        return decode(queries->value, keys->value, values->value, counts, sequenceCount, scale);
    });
}

CTStatus ct_attention_decode_step(const CTTensor *projections, const CTTensor *cosines, const CTTensor *sines,
                                  CTTensor *keys, CTTensor *values, const int32_t *places, const int32_t *counts,
                                  int32_t sequenceCount, double scale, CTTensor **out) {
    return produce(out, [&] {
        return decodeStep(projections->value, cosines->value, sines->value, keys->value, values->value, places, counts,
                          sequenceCount, scale);
    });
}
