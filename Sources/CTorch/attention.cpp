// Attention over packed sequences, differentiable: the operators ettin::varlen_attention_forward and …_backward, with
// one implementation for each device.
//
// - CPU: the project's kernels, float32 and bfloat16.
// - CUDA: libtorch's flash attention with cumulative lengths and a window.
// - Elsewhere, and for what neither takes (dropout, other dtypes): the reference.
//
// Lengths are checked and brought to the device once for a batch, not by each of its layers.
//
// Packed attention takes queries, keys and values as one matrix, whose gradient is then one matrix too: the gradients
// of three views would each be spread over a matrix of zeros, and these added.
#include "attention.h"
#include "guard.h"
#include "products.h"
#include "kernels/kernels.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/_fused_sdp_choice.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <memory>

using namespace ettin;

// How many rows belong to each sequence of a batch: cumulative, int32, contiguous.
struct CTSequenceLengths {
    at::Tensor query, key;                  // on the CPU; one tensor where every query has its key
    at::Tensor queryOnDevice, keyOnDevice;  // the same where the rows are
    at::Tensor attended;                    // how many keys of each sequence are attended to, on the CPU; undefined: all
    int64_t longestQuery = 0, longestKey = 0;

    int64_t queryRows() const { return query.const_data_ptr<int32_t>()[query.numel() - 1]; }
    int64_t keyRows() const { return key.const_data_ptr<int32_t>()[key.numel() - 1]; }
};

namespace {

using OptionalTensor = std::optional<at::Tensor>;
using Lengths = CTSequenceLengths;

// What stays the same between the forward and the backward pass of one call.
struct Shape {
    const Lengths &lengths;
    Window window;
    double scale;
    OptionalTensor cosines, sines;
};

void check(const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values, const Shape &shape) {
    TORCH_CHECK(queries.dim() == 3 && keys.dim() == 3 && keys.sizes() == values.sizes() &&
                    queries.sizes().slice(1) == keys.sizes().slice(1),
                "attention needs queries [Tq, H, d], keys and values [Tk, H, d]; found ", queries.sizes(), ", ",
                keys.sizes(), ", ", values.sizes());
    TORCH_CHECK(queries.scalar_type() == keys.scalar_type() && queries.scalar_type() == values.scalar_type(),
                "attention needs one dtype; found ", queries.scalar_type(), ", ", keys.scalar_type(), ", ",
                values.scalar_type());
    const int64_t queryRows = shape.lengths.queryRows(), keyRows = shape.lengths.keyRows();
    TORCH_CHECK(queryRows == queries.size(0) && keyRows == keys.size(0), "cumulative lengths end at ", queryRows,
                " and ", keyRows, "; the tensors have ", queries.size(0), " and ", keys.size(0), " rows");
    TORCH_CHECK(shape.cosines.has_value() == shape.sines.has_value(), "a rotation needs cosines and sines");
    for (const auto &table : {shape.cosines, shape.sines}) {
        TORCH_CHECK(!table || (keys.size(2) % 2 == 0 && table->dim() == 2 && table->size(0) == keys.size(0) &&
                               table->size(1) == keys.size(2) / 2 && table->scalar_type() == at::kFloat),
                    "a rotation of keys ", keys.sizes(), " needs float32 [Tk, d / 2]; found ",
                    table ? table->sizes() : at::IntArrayRef());
    }
}

bool needsGradient(const OptionalTensor &x) { return x && at::GradMode::is_enabled() && x->requires_grad(); }

// Whether the device has an implementation that takes these tensors.
bool hasKernel(const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values, const Shape &shape,
               double dropout) {
    const int64_t width = queries.size(2);
    if (dropout > 0 || !(shape.scale > 0) || width == 0 || width > widestHead || queries.size(1) == 0) return false;
    if (needsGradient(shape.cosines) || needsGradient(shape.sines)) return false;
    const auto dtype = queries.scalar_type();
    if (shape.lengths.attended.defined()) {
        // Nothing but the forward pass on the CPU knows of keys that are not attended to.
        if (!queries.is_cpu() || needsGradient(queries) || needsGradient(keys) || needsGradient(values)) return false;
    }
    if (queries.is_cpu()) return dtype == at::kFloat || dtype == at::kBFloat16;
    if (!queries.is_cuda() || width % 8 != 0 || queries.size(0) == 0) return false;
    // libtorch knows what its flash attention takes: device generation, dtype, head width, the user's own choice. Where
    // it would rather use cuDNN, flash attention would do too.
    const auto batched = [](const at::Tensor &x) { return x.detach().unsqueeze(0).transpose(1, 2); };
    const int64_t choice = at::_fused_sdp_choice(batched(queries), batched(keys), batched(values), std::nullopt, 0,
                                                 false, shape.scale);
    constexpr int64_t flash = 1, cuDNN = 3;
    return (dtype == at::kHalf || dtype == at::kBFloat16) && (choice == flash || choice == cuDNN);
}

// MARK: CPU

// Rows may lie anywhere, heads and elements of a row must follow each other.
at::Tensor rowWise(const at::Tensor &x) {
    return x.stride(2) == 1 && x.stride(1) == x.size(2) && x.stride(0) >= 0 ? x : x.contiguous();
}

// The arguments point into the tensors, which the caller keeps.
AttentionArguments kernelArguments(const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values,
                                   const at::Tensor &cuQuery, const at::Tensor &cuKey, Window window, double scale,
                                   const OptionalTensor &cosines, const OptionalTensor &sines, const at::Tensor &output,
                                   const at::Tensor &logSumExp) {
    AttentionArguments a{};
    a.queries = queries.const_data_ptr();
    a.keys = keys.const_data_ptr();
    a.values = values.const_data_ptr();
    a.queryStride = queries.stride(0);
    a.keyStride = keys.stride(0);
    a.valueStride = values.stride(0);
    a.heads = queries.size(1);
    a.width = queries.size(2);
    a.cuQuery = cuQuery.const_data_ptr<int32_t>();
    a.cuKey = cuKey.const_data_ptr<int32_t>();
    a.sequences = static_cast<int32_t>(cuQuery.numel() - 1);
    a.left = window.left;
    a.right = window.right;
    a.scale = static_cast<float>(scale);
    if (cosines) {
        a.cosines = cosines->const_data_ptr<float>();
        a.sines = sines->const_data_ptr<float>();
    }
    a.output = output.data_ptr();
    a.logSumExp = logSumExp.data_ptr<float>();
    return a;
}

OptionalTensor contiguous(const OptionalTensor &x) { return x ? OptionalTensor(x->contiguous()) : std::nullopt; }

at::Tensor exact(const at::Tensor &x) { return x.to(at::kFloat); }

std::tuple<at::Tensor, at::Tensor> runKernel(const at::Tensor &queries, const at::Tensor &keys,
                                             const at::Tensor &values, const at::Tensor &cuQuery,
                                             const at::Tensor &cuKey, const int32_t *attended, Window window,
                                             double scale, const OptionalTensor &cosines,
                                             const OptionalTensor &sines) {
    if (multipliesInFloat(queries)) {
        const auto [output, logSumExp] = runKernel(exact(queries), exact(keys), exact(values), cuQuery, cuKey,
                                                   attended, window, scale, cosines, sines);
        return {output.to(queries.scalar_type()), logSumExp};
    }
    const at::Tensor q = rowWise(queries), k = rowWise(keys), v = rowWise(values);
    const OptionalTensor c = contiguous(cosines), s = contiguous(sines);
    at::Tensor output = at::empty(q.sizes(), q.options());
    at::Tensor logSumExp = at::empty({q.size(1), q.size(0)}, q.options().dtype(at::kFloat));
    AttentionArguments arguments = kernelArguments(q, k, v, cuQuery, cuKey, window, scale, c, s, output, logSumExp);
    arguments.attended = attended;
    kernels().attention(arguments, q.scalar_type() == at::kBFloat16);
    return {output, logSumExp};
}

// The operator. The lengths on the device and the longest are for devices other than the CPU.
std::tuple<at::Tensor, at::Tensor> forwardOnCPU(const at::Tensor &queries, const at::Tensor &keys,
                                                const at::Tensor &values, const at::Tensor &cuQuery,
                                                const at::Tensor &cuKey, const at::Tensor &, const at::Tensor &,
                                                int64_t, int64_t, int64_t left, int64_t right, double scale,
                                                const OptionalTensor &cosines, const OptionalTensor &sines) {
    return runKernel(queries, keys, values, cuQuery, cuKey, nullptr, {left, right}, scale, cosines, sines);
}

// With keys that are not attended to; no gradients.
at::Tensor attendingInPart(const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values,
                           const Shape &shape) {
    at::AutoDispatchBelowAutograd below;
    const Lengths &lengths = shape.lengths;
    return std::get<0>(runKernel(queries, keys, values, lengths.query, lengths.key,
                                 lengths.attended.const_data_ptr<int32_t>(), shape.window, shape.scale,
                                 shape.cosines, shape.sines));
}

void backwardOnCPU(const at::Tensor &gradient, const at::Tensor &queries, const at::Tensor &keys,
                   const at::Tensor &values, const at::Tensor &output, const at::Tensor &logSumExp,
                   const at::Tensor &cuQuery, const at::Tensor &cuKey, const at::Tensor &, const at::Tensor &, int64_t,
                   int64_t, int64_t left, int64_t right, double scale, const OptionalTensor &cosines,
                   const OptionalTensor &sines, at::Tensor queryGradients, at::Tensor keyGradients,
                   at::Tensor valueGradients) {
    if (multipliesInFloat(queries)) {
        const auto like = [](const at::Tensor &x) { return at::empty(x.sizes(), x.options().dtype(at::kFloat)); };
        const at::Tensor dq = like(queries), dk = like(keys), dv = like(values);
        backwardOnCPU(exact(gradient), exact(queries), exact(keys), exact(values), exact(output), logSumExp, cuQuery,
                      cuKey, {}, {}, 0, 0, left, right, scale, cosines, sines, dq, dk, dv);
        queryGradients.copy_(dq);
        keyGradients.copy_(dk);
        valueGradients.copy_(dv);
        return;
    }
    const at::Tensor q = rowWise(queries), k = rowWise(keys), v = rowWise(values), g = gradient.contiguous();
    const OptionalTensor c = contiguous(cosines), s = contiguous(sines);
    AttentionBackwardArguments b{};
    b.forward = kernelArguments(q, k, v, cuQuery, cuKey, {left, right}, scale, c, s, output, logSumExp);
    b.outputGradient = g.const_data_ptr();
    b.queryGradients = queryGradients.data_ptr();
    b.keyGradients = keyGradients.data_ptr();
    b.valueGradients = valueGradients.data_ptr();
    b.queryGradientStride = queryGradients.stride(0);
    b.keyGradientStride = keyGradients.stride(0);
    b.valueGradientStride = valueGradients.stride(0);
    kernels().attentionBackward(b, q.scalar_type() == at::kBFloat16);
}

// MARK: CUDA

// Queries and keys as flash attention takes them: turned.
struct FlashInputs {
    at::Tensor queries, keys;
    OptionalTensor queryCosines, querySines;

    FlashInputs(const at::Tensor &q, const at::Tensor &k, const at::Tensor &cuQuery, const at::Tensor &cuKey,
                const OptionalTensor &cosines, const OptionalTensor &sines)
        : queries(q), keys(k) {
        if (!cosines) return;
        queryCosines = queryRows(*cosines, cuQuery, cuKey);
        querySines = queryRows(*sines, cuQuery, cuKey);
        queries = rotated(q, *queryCosines, *querySines);
        keys = rotated(k, *cosines, *sines);
    }
};

bool isCausal(int64_t left, int64_t right) { return left < 0 && right == 0; }

std::tuple<at::Tensor, at::Tensor> forwardOnCUDA(const at::Tensor &queries, const at::Tensor &keys,
                                                 const at::Tensor &values, const at::Tensor &cuQuery,
                                                 const at::Tensor &cuKey, const at::Tensor &cuQueryOnDevice,
                                                 const at::Tensor &cuKeyOnDevice, int64_t longestQuery,
                                                 int64_t longestKey, int64_t left, int64_t right, double scale,
                                                 const OptionalTensor &cosines, const OptionalTensor &sines) {
    const FlashInputs in(queries, keys, cuQuery, cuKey, cosines, sines);
    const auto results =
        at::_flash_attention_forward(in.queries, in.keys, values, cuQueryOnDevice, cuKeyOnDevice, longestQuery,
                                     longestKey, 0, isCausal(left, right), false, scale, left, right);
    return {std::get<0>(results), std::get<1>(results)};
}

void backwardOnCUDA(const at::Tensor &gradient, const at::Tensor &queries, const at::Tensor &keys,
                    const at::Tensor &values, const at::Tensor &output, const at::Tensor &logSumExp,
                    const at::Tensor &cuQuery, const at::Tensor &cuKey, const at::Tensor &cuQueryOnDevice,
                    const at::Tensor &cuKeyOnDevice, int64_t longestQuery, int64_t longestKey, int64_t left,
                    int64_t right, double scale, const OptionalTensor &cosines, const OptionalTensor &sines,
                    at::Tensor queryGradients, at::Tensor keyGradients, at::Tensor valueGradients) {
    const FlashInputs in(queries, keys, cuQuery, cuKey, cosines, sines);
    // Without dropout the random state is not read.
    const at::Tensor state = at::empty({2}, cuQuery.options().dtype(at::kLong)).to(queries.device());
    auto [dq, dk, dv] = at::_flash_attention_backward(
        gradient.contiguous(), in.queries, in.keys, values, output, logSumExp, cuQueryOnDevice, cuKeyOnDevice,
        longestQuery, longestKey, 0, isCausal(left, right), state, at::empty({0}, state.options()), scale, left, right);
    queryGradients.copy_(in.queryCosines ? rotated(dq, *in.queryCosines, -*in.querySines) : dq);
    keyGradients.copy_(cosines ? rotated(dk, *cosines, -*sines) : dk);
    valueGradients.copy_(dv);
}

// MARK: The operators

template <typename Signature>
auto handle(const char *name) {
    return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

at::Tensor part(const at::Tensor &packed, int64_t index) { return packed.select(1, index); }

using Context = torch::autograd::AutogradContext;

// Runs the device's forward pass, and keeps `inputs` and what else the backward pass needs.
at::Tensor runForward(Context *context, const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values,
                      const Shape &shape, std::initializer_list<at::Tensor> inputs) {
    at::AutoDispatchBelowAutograd below;
    static const auto run = handle<decltype(forwardOnCPU)>("ettin::varlen_attention_forward");
    const Lengths &lengths = shape.lengths;
    auto [output, logSumExp] =
        run.call(queries, keys, values, lengths.query, lengths.key, lengths.queryOnDevice, lengths.keyOnDevice,
                 lengths.longestQuery, lengths.longestKey, shape.window.left, shape.window.right, shape.scale,
                 shape.cosines, shape.sines);
    const auto kept = [](const OptionalTensor &x) { return x ? *x : at::Tensor(); };
    torch::autograd::variable_list saved{output,
                                         logSumExp,
                                         lengths.query,
                                         lengths.key,
                                         lengths.queryOnDevice,
                                         lengths.keyOnDevice,
                                         kept(shape.cosines),
                                         kept(shape.sines)};
    saved.insert(saved.end(), inputs);
    context->save_for_backward(std::move(saved));
    context->saved_data["bounds"] = c10::List<int64_t>(
        {lengths.longestQuery, lengths.longestKey, shape.window.left, shape.window.right});
    context->saved_data["scale"] = shape.scale;
    return output;
}

// The first of the inputs among what runForward kept.
constexpr size_t firstInput = 8;

void runBackward(Context *context, const torch::autograd::variable_list &saved, const at::Tensor &gradient,
                 const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values,
                 const at::Tensor &queryGradients, const at::Tensor &keyGradients, const at::Tensor &valueGradients) {
    static const auto run = handle<decltype(backwardOnCPU)>("ettin::varlen_attention_backward");
    const auto optional = [](const at::Tensor &x) { return x.defined() ? OptionalTensor(x) : std::nullopt; };
    const c10::List<int64_t> bounds = context->saved_data["bounds"].toIntList();
    run.call(gradient, queries, keys, values, saved[0], saved[1], saved[2], saved[3], saved[4], saved[5], bounds[0],
             bounds[1], bounds[2], bounds[3], context->saved_data["scale"].toDouble(), optional(saved[6]),
             optional(saved[7]), queryGradients, keyGradients, valueGradients);
}

struct SeparateAttention : torch::autograd::Function<SeparateAttention> {
    static at::Tensor forward(Context *context, const at::Tensor &queries, const at::Tensor &keys,
                              const at::Tensor &values, const Shape &shape) {
        return runForward(context, queries, keys, values, shape, {queries, keys, values});
    }

    static torch::autograd::variable_list backward(Context *context, torch::autograd::variable_list gradients) {
        at::AutoDispatchBelowAutograd below;
        const auto saved = context->get_saved_variables();
        torch::autograd::variable_list results;
        for (size_t i = 0; i < 3; i++) {
            const at::Tensor &input = saved[firstInput + i];
            results.push_back(at::empty(input.sizes(), input.options()));
        }
        runBackward(context, saved, gradients[0], saved[firstInput], saved[firstInput + 1], saved[firstInput + 2],
                    results[0], results[1], results[2]);
        results.emplace_back();  // the shape has none
        return results;
    }
};

struct PackedAttention : torch::autograd::Function<PackedAttention> {
    static at::Tensor forward(Context *context, const at::Tensor &projections, const Shape &shape) {
        return runForward(context, part(projections, 0), part(projections, 1), part(projections, 2), shape,
                          {projections});
    }

    static torch::autograd::variable_list backward(Context *context, torch::autograd::variable_list gradients) {
        at::AutoDispatchBelowAutograd below;
        const auto saved = context->get_saved_variables();
        const at::Tensor &projections = saved[firstInput];
        const at::Tensor result = at::empty(projections.sizes(), projections.options());
        runBackward(context, saved, gradients[0], part(projections, 0), part(projections, 1), part(projections, 2),
                    part(result, 0), part(result, 1), part(result, 2));
        return {result, at::Tensor()};
    }
};

at::Tensor reference(const at::Tensor &queries, const at::Tensor &keys, const at::Tensor &values, const Shape &shape,
                     double dropout) {
    if (multipliesInFloat(queries)) {
        return reference(exact(queries), exact(keys), exact(values), shape, dropout).to(queries.scalar_type());
    }
    const at::Tensor &cuQuery = shape.lengths.query, &cuKey = shape.lengths.key, &attended = shape.lengths.attended;
    if (!shape.cosines) {
        return referenceAttention(queries, keys, values, cuQuery, cuKey, attended, shape.window, shape.scale, dropout);
    }
    const auto forQueries = [&](const at::Tensor &x) { return queryRows(x, cuQuery, cuKey); };
    return referenceAttention(rotated(queries, forQueries(*shape.cosines), forQueries(*shape.sines)),
                              rotated(keys, *shape.cosines, *shape.sines), values, cuQuery, cuKey, attended,
                              shape.window, shape.scale, dropout);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(ettin, library) {
    library.def(
        "varlen_attention_forward(Tensor queries, Tensor keys, Tensor values, Tensor cu_seqlens_q, "
        "Tensor cu_seqlens_k, Tensor cu_seqlens_q_on_device, Tensor cu_seqlens_k_on_device, int max_seqlen_q, "
        "int max_seqlen_k, int left, int right, float scale, Tensor? cosines, Tensor? sines) -> (Tensor, Tensor)");
    library.def(
        "varlen_attention_backward(Tensor gradient, Tensor queries, Tensor keys, Tensor values, Tensor output, "
        "Tensor logsumexp, Tensor cu_seqlens_q, Tensor cu_seqlens_k, Tensor cu_seqlens_q_on_device, "
        "Tensor cu_seqlens_k_on_device, int max_seqlen_q, int max_seqlen_k, int left, int right, float scale, "
        "Tensor? cosines, Tensor? sines, Tensor(a!) query_gradients, Tensor(b!) key_gradients, "
        "Tensor(c!) value_gradients) -> ()");
}

// Some lengths are on the CPU, the rest on the device: the key with the higher priority, the device's, decides.
TORCH_LIBRARY_IMPL(ettin, CPU, library) {
    library.impl("varlen_attention_forward", forwardOnCPU);
    library.impl("varlen_attention_backward", backwardOnCPU);
}

TORCH_LIBRARY_IMPL(ettin, CUDA, library) {
    library.impl("varlen_attention_forward", forwardOnCUDA);
    library.impl("varlen_attention_backward", backwardOnCUDA);
}

CTStatus ct_attention_lengths(const int32_t *cuSeqlensQuery, const int32_t *cuSeqlensKey, const int32_t *attended,
                              int32_t sequenceCount, CTDevice device, CTSequenceLengths **out) {
    return guarded([&] {
        const auto ends = static_cast<size_t>(sequenceCount) + 1;
        const int32_t *cuQuery = cuSeqlensQuery, *cuKey = cuSeqlensKey ? cuSeqlensKey : cuSeqlensQuery;
        TORCH_CHECK(cuQuery[0] == 0 && cuKey[0] == 0, "cumulative lengths start at ", cuQuery[0], " and ", cuKey[0]);
        auto lengths = std::make_unique<CTSequenceLengths>();
        for (int32_t s = 0; s < sequenceCount; s++) {
            const int64_t tq = int64_t{cuQuery[s + 1]} - cuQuery[s], tk = int64_t{cuKey[s + 1]} - cuKey[s];
            TORCH_CHECK(tq >= 0 && tq <= tk, "sequence ", s, " has ", tq, " queries and ", tk, " keys");
            TORCH_CHECK(!attended || (attended[s] <= tk && attended[s] >= std::min<int64_t>(tk, 1)), "sequence ", s,
                        " attends to ", attended ? attended[s] : 0, " of ", tk, " keys");
            lengths->longestQuery = std::max(lengths->longestQuery, tq);
            lengths->longestKey = std::max(lengths->longestKey, tk);
        }
        const auto copied = [&](const int32_t *values) {
            return at::tensor(at::ArrayRef<int32_t>(values, ends), at::kInt);
        };
        const c10::Device place = deviceOf(device);
        lengths->query = copied(cuQuery);
        lengths->queryOnDevice = lengths->query.to(place);
        lengths->key = cuSeqlensKey ? copied(cuKey) : lengths->query;
        lengths->keyOnDevice = cuSeqlensKey ? lengths->key.to(place) : lengths->queryOnDevice;
        if (attended) {
            const at::ArrayRef<int32_t> counts(attended, static_cast<size_t>(sequenceCount));
            lengths->attended = at::tensor(counts, at::kInt);
        }
        *out = lengths.release();
    });
}

void ct_attention_lengths_free(CTSequenceLengths *lengths) { delete lengths; }

CTStatus ct_attention_variable_length(const CTTensor *queries, const CTTensor *keys, const CTTensor *values,
                                      const CTSequenceLengths *lengths, int64_t left, int64_t right, double scale,
                                      const CTTensor *cosines, const CTTensor *sines, double dropout, CTTensor **out) {
    return produce(out, [&] {
        const at::Tensor &q = queries->value, &k = keys->value, &v = values->value;
        const Shape shape{made(lengths, "sequence lengths"), {left, right}, scale, optional(cosines), optional(sines)};
        check(q, k, v, shape);
        if (!hasKernel(q, k, v, shape, dropout)) return reference(q, k, v, shape, dropout);
        if (shape.lengths.attended.defined()) return attendingInPart(q, k, v, shape);
        return SeparateAttention::apply(q, k, v, shape);
    });
}

CTStatus ct_attention_packed(const CTTensor *projections, const CTSequenceLengths *lengths, int64_t left,
                             int64_t right, double scale, const CTTensor *cosines, const CTTensor *sines,
                             double dropout, CTTensor **out) {
    return produce(out, [&] {
        const at::Tensor &packed = projections->value;
        TORCH_CHECK(packed.dim() == 4 && packed.size(1) == 3,
                    "packed attention needs projections [T, 3, H, d]; found ", packed.sizes());
        const Shape shape{made(lengths, "sequence lengths"), {left, right}, scale, optional(cosines), optional(sines)};
        const at::Tensor queries = part(packed, 0), keys = part(packed, 1), values = part(packed, 2);
        check(queries, keys, values, shape);
        if (!hasKernel(queries, keys, values, shape, dropout)) {
            return reference(queries, keys, values, shape, dropout);
        }
        if (shape.lengths.attended.defined()) return attendingInPart(queries, keys, values, shape);
        return PackedAttention::apply(packed, shape);
    });
}
