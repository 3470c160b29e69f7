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

#include <algorithm>
#include <memory>
#include <vector>

using namespace ettin;

// Checked against the sequences once, and against the caches it is used with by its largest page.
struct CTCachePlaces {
    std::vector<int32_t> pages, firstPages, places, counts;
    int64_t pageSize;
    int32_t largestPage = -1;

    int64_t sequences() const { return static_cast<int64_t>(counts.size()); }
    // The row of a flattened cache that holds a place of a sequence.
    int64_t row(int64_t sequence, int64_t place) const {
        const auto page = static_cast<size_t>(firstPages[static_cast<size_t>(sequence)] + place / pageSize);
        return pages[page] * pageSize + place % pageSize;
    }
};

namespace {

void check(const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values, const CTCachePlaces &places) {
    TORCH_CHECK(queries.dim() == 3 && keys.dim() == 4 && keys.sizes() == values.sizes() &&
                    queries.size(0) == places.sequences() && queries.size(1) == keys.size(2) &&
                    queries.size(2) == keys.size(3),
                "decoding needs queries [B, H, d], keys and values [pages, page size, H, d] for ", places.sequences(),
                " sequences; found ", queries.sizes(), ", ", keys.sizes(), ", ", values.sizes());
    TORCH_CHECK(keys.size(1) == places.pageSize && places.largestPage < keys.size(0), "places of pages of ",
                places.pageSize, " up to number ", places.largestPage, " are not in a cache of ", keys.sizes());
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

DecodeArguments argumentsFor(const at::Tensor &keys, const at::Tensor &values, const CTCachePlaces &places,
                             double scale, const at::Tensor &output) {
    DecodeArguments a{};
    a.keys = keys.data_ptr();
    a.values = values.data_ptr();
    a.pages = places.pages.data();
    a.firstPages = places.firstPages.data();
    a.pageSize = places.pageSize;
    a.counts = places.counts.data();
    a.sequences = places.sequences();
    a.heads = keys.size(2);
    a.width = keys.size(3);
    a.scale = static_cast<float>(scale);
    a.output = output.data_ptr();
    return a;
}

std::vector<int64_t> flatShape(const at::Tensor &cache) { return {-1, cache.size(2), cache.size(3)}; }

at::Tensor decode(const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values,
                  const CTCachePlaces &places, double scale) {
    check(queries, keys, values, places);
    if (kernelTakes(queries, keys, values, scale)) {
        const at::Tensor rows = queries.contiguous();
        const at::Tensor output = at::empty_like(rows);
        DecodeArguments a = argumentsFor(keys, values, places, scale, output);
        a.queries = rows.data_ptr();
        a.rowStride = a.heads * a.width;
        kernels().decode(a, rows.scalar_type() == at::kBFloat16);
        return output;
    }
    const auto &counts = places.counts;
    std::vector<at::Tensor> outputs;
    for (size_t first = 0; first < counts.size();) {
        size_t last = first + 1;
        while (last < counts.size() && counts[last] == counts[first]) last++;
        const auto group = static_cast<int64_t>(last - first);
        std::vector<int64_t> rows;
        for (size_t s = first; s < last; s++) {
            for (int64_t place = 0; place < counts[s]; place++) {
                rows.push_back(places.row(static_cast<int64_t>(s), place));
            }
        }
        const at::Tensor at = at::tensor(rows).to(keys.device());
        // [B · count, H, d] → [B, H, count, d]
        const auto filled = [&](const at::Tensor &x) {
            return x.view(flatShape(x))
                .index_select(0, at)
                .view({group, counts[first], x.size(2), x.size(3)})
                .transpose(1, 2);
        };
        outputs.push_back(
            at::scaled_dot_product_attention(queries.narrow(0, static_cast<int64_t>(first), group).unsqueeze(2),
                                             filled(keys), filled(values), std::nullopt, 0, false, scale)
                .squeeze(2));
        first = last;
    }
    if (outputs.empty()) return at::zeros_like(queries);
    return outputs.size() == 1 ? outputs[0] : at::cat(outputs);
}

at::Tensor decodeStep(const at::Tensor &qkv, const at::Tensor &cosines, const at::Tensor &sines, const at::Tensor &keys,
                      const at::Tensor &values, const CTCachePlaces &places, double scale) {
    TORCH_CHECK(qkv.dim() == 4 && qkv.size(1) == 3, "a decoding step needs projections [B, 3, H, d]; found ",
                qkv.sizes());
    const at::Tensor queries = qkv.select(1, 0), newKeys = qkv.select(1, 1), newValues = qkv.select(1, 2);
    check(queries, keys, values, places);
    TORCH_CHECK(places.places.size() == places.counts.size(), "a decoding step needs places for new tokens");
    TORCH_CHECK(qkv.size(3) % 2 == 0 && cosines.dim() == 2 && cosines.size(0) == places.sequences() &&
                    cosines.size(1) == qkv.size(3) / 2 && cosines.sizes() == sines.sizes() &&
                    cosines.scalar_type() == at::kFloat && sines.scalar_type() == at::kFloat,
                "a decoding step needs float32 cosines and sines [B, d / 2]; found ", cosines.sizes(), " and ",
                sines.sizes());
    if (kernelTakes(queries, keys, values, scale) && !(at::GradMode::is_enabled() && qkv.requires_grad())) {
        const at::Tensor rows = qkv.contiguous(), c = cosines.contiguous(), s = sines.contiguous();
        const at::Tensor output = at::empty(queries.sizes(), queries.options());
        DecodeArguments a = argumentsFor(keys, values, places, scale, output);
        const int64_t width = a.heads * a.width * rows.element_size();
        const auto *bytes = static_cast<const uint8_t *>(rows.data_ptr());
        a.queries = bytes;
        a.newKeys = bytes + width;
        a.newValues = bytes + 2 * width;
        a.rowStride = 3 * a.heads * a.width;
        a.cosines = c.const_data_ptr<float>();
        a.sines = s.const_data_ptr<float>();
        a.places = places.places.data();
        kernels().decode(a, rows.scalar_type() == at::kBFloat16);
        return output;
    }
    std::vector<int64_t> rows;
    for (int64_t s = 0; s < places.sequences(); s++) {
        rows.push_back(places.row(s, places.places[static_cast<size_t>(s)]));
    }
    const at::Tensor at = at::tensor(rows).to(keys.device());
    keys.view(flatShape(keys)).index_copy_(0, at, rotated(newKeys, cosines, sines));
    values.view(flatShape(values)).index_copy_(0, at, newValues);
    return decode(rotated(queries, cosines, sines), keys, values, places, scale);
}

}  // namespace

CTStatus ct_attention_places(const int32_t *pages, int32_t pageCount, int64_t pageSize, const int32_t *places,
                             const int32_t *counts, int32_t sequenceCount, CTCachePlaces **out) {
    return guarded([&] {
        TORCH_CHECK(pageSize > 0, "pages hold ", pageSize, " places");
        auto result = std::make_unique<CTCachePlaces>();
        result->pageSize = pageSize;
        result->pages.assign(pages, pages + pageCount);
        result->counts.assign(counts, counts + sequenceCount);
        if (places != nullptr) result->places.assign(places, places + sequenceCount);
        int64_t needed = 0;
        for (int32_t s = 0; s < sequenceCount; s++) {
            TORCH_CHECK(counts[s] > 0, "sequence ", s, " fills ", counts[s], " places");
            TORCH_CHECK(places == nullptr || (places[s] >= 0 && places[s] < counts[s]), "sequence ", s,
                        " writes place ", places ? places[s] : 0, " of ", counts[s]);
            result->firstPages.push_back(static_cast<int32_t>(needed));
            needed += (counts[s] + pageSize - 1) / pageSize;
        }
        TORCH_CHECK(needed == pageCount, "sequences fill ", needed, " pages; found ", pageCount);
        for (const int32_t page : result->pages) {
            TORCH_CHECK(page >= 0, "there is no page ", page);
            result->largestPage = std::max(result->largestPage, page);
        }
        *out = result.release();
    });
}

void ct_attention_places_free(CTCachePlaces *places) { delete places; }

CTStatus ct_attention_decode(const CTTensor *queries, const CTTensor *keys, const CTTensor *values,
                             const CTCachePlaces *places, double scale, CTTensor **out) {
    return produce(out, [&] {
        return decode(queries->value, keys->value, values->value, made(places, "cache places"), scale);
    });
}

CTStatus ct_attention_decode_step(const CTTensor *projections, const CTTensor *cosines, const CTTensor *sines,
                                  CTTensor *keys, CTTensor *values, const CTCachePlaces *places, double scale,
                                  CTTensor **out) {
    return produce(out, [&] {
        requireWritable(keys->value);
        requireWritable(values->value);
        return decodeStep(projections->value, cosines->value, sines->value, keys->value, values->value,
                          made(places, "cache places"), scale);
    });
}
