// The C interface over libtorch. Nothing above this header sees C++.
//
// Conventions
// - Every fallible function returns a CTStatus and writes its results through out-parameters, which are left
//   untouched unless the status is CT_OK.
// - Handles returned through an out-parameter are owned by the caller and released with the type's `_free`;
//   arguments are borrowed for the duration of the call.
// - The text of the last failure on this thread is ct_error_message(); read it in the same call that failed.
// - Functions never let a C++ exception out.
// - Recovery scopes (ct_scope_*) are per thread: once an operation inside an open scope fails for want of memory or
//   for a device fault, later operations of the scope do nothing and return CT_SKIPPED.
#ifndef CTORCH_H
#define CTORCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum CTStatus {
    CT_OK = 0,
    CT_SKIPPED = 1,        // an earlier operation of the open recovery scope failed
    CT_OUT_OF_MEMORY = 2,  // host or device memory
    CT_DEVICE = 3,         // a device fault or a missing device
    CT_USAGE = 4,          // shape, dtype or index mistake of the caller
} CTStatus;

typedef enum CTDType {
    CT_BOOL = 0,
    CT_UINT8 = 1,
    CT_INT8 = 2,
    CT_INT16 = 3,
    CT_INT32 = 4,
    CT_INT64 = 5,
    CT_FLOAT16 = 6,
    CT_BFLOAT16 = 7,
    CT_FLOAT32 = 8,
    CT_FLOAT64 = 9,
    CT_UINT16 = 10,
    CT_UINT32 = 11,
    CT_UINT64 = 12,
    CT_FLOAT8_E4M3 = 13,
    CT_FLOAT8_E5M2 = 14,
} CTDType;

typedef enum CTDeviceType {
    CT_CPU = 0,
    CT_CUDA = 1,
    CT_MPS = 2,
} CTDeviceType;

typedef struct CTDevice {
    CTDeviceType type;
    int32_t index;  // -1: the current device of the type
} CTDevice;

typedef struct CTTensor CTTensor;

// MARK: Errors and recovery scopes (error.cpp)

const char *ct_error_message(void);
void ct_scope_open(void);   // scopes nest; a failure belongs to the outermost
// Closes a scope. When it was the outermost and an operation in it failed, returns that failure's status, whose text
// ct_error_message() then gives.
CTStatus ct_scope_close(void);
bool ct_scope_is_open(void);
// True when an operation in the open scope has failed, so that what follows is skipped.
bool ct_scope_has_failed(void);
// Closes a scope that was opened where none had failed, as ct_scope_close does, but keeps its failure, whose status it
// returns and whose text ct_error_message() then gives, from the scopes around it.
CTStatus ct_scope_close_attempt(void);

// MARK: Devices and the library (device.cpp)

const char *ct_device_torch_version(void);
// Text owned by the library, valid until the next call on this thread.
const char *ct_device_build_summary(void);
const char *ct_device_cpu_capability(void);
// Instruction-set extensions of the processor, sorted, separated by spaces.
const char *ct_device_cpu_features(void);
// The folder libtorch_cpu was loaded from; valid until the next call on this thread.
const char *ct_device_library_folder(void);
bool ct_device_is_available(CTDeviceType type);
int32_t ct_device_count(CTDeviceType type);
// Loads libtorch_cuda from libtorch's own folder. CT_DEVICE when the build has none or it cannot be loaded.
CTStatus ct_device_load_cuda(void);
CTStatus ct_device_synchronize(CTDevice device);
// Seeds libtorch's own generators of all devices.
void ct_device_seed(uint64_t seed);
void ct_device_set_thread_count(int32_t count);
int32_t ct_device_thread_count(void);

// MARK: Threads (threads.cpp)

// As pthread_create.
typedef int (*CTThreadStart)(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *context);
// How many threads, the calling one among them, can run at one time, up to `count`: that many are started, and ended.
// OpenMP runtimes end the process when they are refused a thread. `start` is for tests; null: pthread_create.
int32_t ct_threads_startable(int32_t count, CTThreadStart start);

// MARK: Memory (memory.cpp)

// Large blocks of host memory that nobody uses are kept for the next request, up to this many bytes (1 GiB at first), and
// never more than brings what is kept and in use to one and a half times the most that was in use lately.
void ct_memory_set_kept_limit(uint64_t bytes);
uint64_t ct_memory_kept_bytes(void);
// Gives all of them back to the operating system.
void ct_memory_release_kept(void);

// MARK: Tensors (tensor.cpp)

void ct_tensor_free(CTTensor *tensor);
CTStatus ct_tensor_empty(const int64_t *shape, int32_t rank, CTDType dtype, CTDevice device, CTTensor **out);
CTStatus ct_tensor_full(const int64_t *shape, int32_t rank, double value, CTDType dtype, CTDevice device,
                        CTTensor **out);
CTStatus ct_tensor_arange(int64_t start, int64_t end, CTDType dtype, CTDevice device, CTTensor **out);
// Copies `byteCount` bytes of row-major elements; CT_USAGE when they are not what shape and dtype need.
CTStatus ct_tensor_from_bytes(const void *bytes, int64_t byteCount, const int64_t *shape, int32_t rank, CTDType dtype,
                              CTTensor **out);
// Wraps memory without copying; `release(context)` runs when the last tensor over it is gone, and never when this fails.
// What changes tensors in place refuses such a tensor and its views with CT_USAGE: the memory may be a read-only mapping
// of a file.
CTStatus ct_tensor_borrow(const void *bytes, int64_t byteCount, const int64_t *shape, int32_t rank, CTDType dtype,
                          void (*release)(void *context), void *context, CTTensor **out);
// Whether the elements lie in borrowed memory.
bool ct_tensor_is_borrowed(const CTTensor *tensor);
int32_t ct_tensor_rank(const CTTensor *tensor);
int64_t ct_tensor_size(const CTTensor *tensor, int32_t dimension);
int64_t ct_tensor_element_count(const CTTensor *tensor);
CTDType ct_tensor_dtype(const CTTensor *tensor);
CTDevice ct_tensor_device(const CTTensor *tensor);
CTStatus ct_tensor_converted(const CTTensor *tensor, CTDType dtype, CTDevice device, CTTensor **out);
CTStatus ct_tensor_contiguous(const CTTensor *tensor, CTTensor **out);
// Another handle of the same tensor.
CTStatus ct_tensor_alias(const CTTensor *tensor, CTTensor **out);
CTStatus ct_tensor_clone(const CTTensor *tensor, CTTensor **out);
// Copies the elements, row-major, to host memory of exactly `byteCount` bytes; waits for the device.
CTStatus ct_tensor_read(const CTTensor *tensor, void *bytes, int64_t byteCount);
// Overwrites `tensor` in place with `source` (broadcast, converted).
CTStatus ct_tensor_assign(CTTensor *tensor, const CTTensor *source);

// MARK: Autograd (autograd.cpp)

bool ct_autograd_is_enabled(void);
void ct_autograd_set_enabled(bool enabled);
CTStatus ct_autograd_set_requires_gradient(CTTensor *tensor, bool required);
bool ct_autograd_requires_gradient(const CTTensor *tensor);
// `gradient`, of the shape of `tensor`, is what comes from above; null for a scalar, whose is 1.
CTStatus ct_autograd_backward(const CTTensor *tensor, const CTTensor *gradient);
// Writes NULL when the tensor has no gradient.
CTStatus ct_autograd_gradient(const CTTensor *tensor, CTTensor **out);
CTStatus ct_autograd_clear_gradient(CTTensor *tensor);
CTStatus ct_autograd_detached(const CTTensor *tensor, CTTensor **out);
// Computes outputs from one or two inputs (the second may be null) without keeping what lies between: `body` is called
// now, without recording, and once more when gradients are taken, recording. It writes two new handles, which it hands
// over; without a second output, only the first, and so does this function. `release(context)` runs when it will not be
// called again. `trains`: `body` reads leaves that require gradients, which it is called for even where no input does.
CTStatus ct_autograd_recomputed(const CTTensor *first, const CTTensor *second, bool trains,
                                CTStatus (*body)(void *context, CTTensor *first, CTTensor *second, CTTensor **out1,
                                                 CTTensor **out2),
                                void (*release)(void *context), void *context, CTTensor **out1, CTTensor **out2);

// MARK: Elementwise operations and reductions (math.cpp)

typedef enum CTUnary {
    CT_NEGATE = 0,
    CT_EXP = 1,
    CT_LOG = 2,
    CT_SQRT = 3,
    CT_RSQRT = 4,
    CT_COS = 5,
    CT_SIN = 6,
    CT_TANH = 7,
    CT_SIGMOID = 8,
    CT_RELU = 9,
    CT_SILU = 10,
    CT_GELU = 11,       // exact, with erf
    CT_GELU_TANH = 12,  // tanh approximation
    CT_ERFINV = 13,
    CT_ABS = 14,
    CT_IS_FINITE = 15,
    CT_LOGICAL_NOT = 16,
} CTUnary;

typedef enum CTBinary {
    CT_ADD = 0,
    CT_SUBTRACT = 1,
    CT_MULTIPLY = 2,
    CT_DIVIDE = 3,
    CT_MAXIMUM = 4,
    CT_MINIMUM = 5,
    CT_EQUAL = 6,
    CT_LESS = 7,
    CT_LESS_EQUAL = 8,
    CT_POWER = 9,
} CTBinary;

typedef enum CTReduction {
    CT_SUM = 0,
    CT_MEAN = 1,
    CT_MAX = 2,
    CT_MIN = 3,
    CT_NORM = 4,  // Euclidean
} CTReduction;

CTStatus ct_math_unary(CTUnary op, const CTTensor *a, CTTensor **out);
CTStatus ct_math_binary(CTBinary op, const CTTensor *a, const CTTensor *b, CTTensor **out);
CTStatus ct_math_binary_scalar(CTBinary op, const CTTensor *a, double b, CTTensor **out);
// With `dimensionCount` 0 all dimensions are reduced.
CTStatus ct_math_reduce(CTReduction op, const CTTensor *a, const int64_t *dimensions, int32_t dimensionCount,
                        bool keepDimensions, CTTensor **out);
CTStatus ct_math_argmax(const CTTensor *a, int64_t dimension, CTTensor **out);
CTStatus ct_math_top_k(const CTTensor *a, int64_t count, int64_t dimension, CTTensor **values, CTTensor **indices);
// log Σ exp over one dimension.
CTStatus ct_math_log_sum_exp(const CTTensor *a, int64_t dimension, CTTensor **out);
// The same over what one dimension has up to and including each element.
CTStatus ct_math_log_cumulative_sum_exp(const CTTensor *a, int64_t dimension, CTTensor **out);
// `value` where the bool `mask`, which broadcasts, is true.
CTStatus ct_math_masked_fill(const CTTensor *a, const CTTensor *mask, double value, CTTensor **out);
// The p-norms of the differences of all rows of a [N, D] and b [M, D]: [N, M].
CTStatus ct_math_distances(const CTTensor *a, const CTTensor *b, double p, CTTensor **out);
CTStatus ct_math_matmul(const CTTensor *a, const CTTensor *b, CTTensor **out);
CTStatus ct_math_is_equal(const CTTensor *a, const CTTensor *b, bool *out);

// MARK: Shapes and indices (shape.cpp)

CTStatus ct_shape_reshape(const CTTensor *a, const int64_t *shape, int32_t rank, CTTensor **out);
CTStatus ct_shape_transpose(const CTTensor *a, int64_t first, int64_t second, CTTensor **out);
CTStatus ct_shape_narrow(const CTTensor *a, int64_t dimension, int64_t start, int64_t length, CTTensor **out);
CTStatus ct_shape_concatenate(const CTTensor *const *tensors, int32_t count, int64_t dimension, CTTensor **out);
CTStatus ct_shape_index_select(const CTTensor *a, int64_t dimension, const CTTensor *indices, CTTensor **out);
// The elements of one dimension at int64 `indices`, which has as many dimensions as `a`.
CTStatus ct_shape_gather(const CTTensor *a, int64_t dimension, const CTTensor *indices, CTTensor **out);
// Overwrites row indices[i] of `tensor` in place with row i of `rows`.
CTStatus ct_shape_assign_rows(CTTensor *tensor, const CTTensor *indices, const CTTensor *rows);
// A zero tensor of `rows` rows to which row i of `a` is added at row indices[i].
CTStatus ct_shape_index_add(const CTTensor *a, const CTTensor *indices, int64_t rows, CTTensor **out);
// The element-wise maximum of rows lo[s] ..< hi[s] of `a` [N, D] for each segment s: [segments, D], zeros for an empty
// one. Differentiable: the gradient goes to the first row that has the maximum.
CTStatus ct_shape_segment_max(const CTTensor *a, const int64_t *lo, const int64_t *hi, int64_t segments,
                              CTTensor **out);

// MARK: Neural network operations (nn.cpp)

// `addsInPlace`: on the CPU, the gradient of a weight that has one already is added to it row by row, without a gradient of
// the size of the weight in between; sums of several passes are taken in another order then.
CTStatus ct_nn_embedding(const CTTensor *weight, const CTTensor *ids, int64_t paddingID, bool addsInPlace,
                         CTTensor **out);
// `addsInPlace`: as for an embedding, and products may be our own, where those are faster.
CTStatus ct_nn_linear(const CTTensor *input, const CTTensor *weight, const CTTensor *bias, bool addsInPlace,
                      CTTensor **out);
CTStatus ct_nn_layer_norm(const CTTensor *input, const CTTensor *weight, const CTTensor *bias, double epsilon,
                          CTTensor **out);
CTStatus ct_nn_softmax(const CTTensor *input, int64_t dimension, bool isLog, CTTensor **out);
// Mean over the labels that are not `ignoreIndex`; logits [N, C] in any floating dtype, labels [N] int64.
CTStatus ct_nn_cross_entropy(const CTTensor *logits, const CTTensor *labels, int64_t ignoreIndex, CTTensor **out);

// MARK: The loss of a language model (loss.cpp)

// Cross-entropy of hidden [N, D] · weightᵀ [D, V] (+ bias [V]) against labels [N] int64, never more than `chunkRows` rows
// of logits at a time: the mean or sum over rows whose label is not `ignoreIndex` (0 without any), plus zLoss · logsumexp²
// of each. Products are in the type of `hidden`. Writes the scalar loss, differentiable with respect to hidden, weight
// and bias, and the losses of all rows [N], which are not. `weighsByProbability` multiplies the loss and the gradients of
// a row with the probability of its label, which counts as a constant. Writes the entropies of the predicted
// distributions [N] and whether the label has the largest logit [N], 1 or 0, where both pointers are given; these are not
// differentiable either. `isComposed` leaves out our kernels.
CTStatus ct_loss_linear_cross_entropy(const CTTensor *hidden, const CTTensor *weight, const CTTensor *bias,
                                      const CTTensor *labels, int64_t ignoreIndex, double zLoss, bool isMean,
                                      bool weighsByProbability, int64_t chunkRows, bool isComposed, CTTensor **loss,
                                      CTTensor **rowLosses, CTTensor **entropies, CTTensor **hits);

// MARK: Elementwise steps of a training pass (training.cpp)

typedef enum CTGate {
    CT_GATE_NONE = 0,
    CT_GATE_GELU = 1,
    CT_GATE_GELU_TANH = 2,
    CT_GATE_RELU = 3,
    CT_GATE_SILU = 4,
} CTGate;

// gate(first half of each row) · second half: [T, 2 I] to [T, I]. Differentiable; `isComposed` leaves out our kernels.
CTStatus ct_training_gated(const CTTensor *input, CTGate gate, bool isComposed, CTTensor **out);
// The rows that `indices`, int64 and without repetition, name. Differentiable.
CTStatus ct_training_select_rows(const CTTensor *a, const CTTensor *indices, CTTensor **out);
// sum = residual + delta, in the residual's type; output = norm(sum), in that of delta. Differentiable.
CTStatus ct_training_add_norm(const CTTensor *residual, const CTTensor *delta, const CTTensor *weight,
                              const CTTensor *bias, double epsilon, bool isComposed, CTTensor **sum,
                              CTTensor **output);
// norm(input) in another type: with the bits of ct_training_add_norm for an addend of that type and a sum that is `input`.
// Differentiable.
CTStatus ct_training_norm(const CTTensor *input, const CTTensor *weight, const CTTensor *bias, double epsilon,
                          CTDType dtype, CTTensor **output);

// Zeroes elements with the given probability and scales the others. Which, is a function of seed, stream and the number
// of the element, counted row-major from `firstElement`. Differentiable.
CTStatus ct_training_dropout(const CTTensor *input, double probability, uint64_t seed, uint64_t stream,
                             int64_t firstElement, CTTensor **out);

// MARK: Optimizers (optimizer.cpp)

typedef struct CTAdamW {
    double learningRate, beta1, beta2, epsilon, weightDecay;
} CTAdamW;

// One step of AdamW, all tensors in one pass: parameters and moments change in place. `step` counts from 1.
CTStatus ct_optimizer_adamw(CTTensor *const *parameters, CTTensor *const *gradients, CTTensor *const *firstMoments,
                            CTTensor *const *secondMoments, int32_t count, int64_t step, CTAdamW options);

typedef struct CTStableAdamW {
    double learningRate;
    double referenceRate;  // of the decoupled decay: learningRate / referenceRate · weightDecay; 0: not decoupled
    double beta1, beta2, epsilon;
} CTStableAdamW;

// One step of StableAdamW: parameters and moments change in place. `step` counts from 1; `weightDecays` has one for each
// parameter.
CTStatus ct_optimizer_stable_adamw(CTTensor *const *parameters, CTTensor *const *gradients,
                                   CTTensor *const *firstMoments, CTTensor *const *secondMoments,
                                   const double *weightDecays, int32_t count, int64_t step, CTStableAdamW options);
// The norms of all gradients as one vector: Euclidean, and the sum of magnitudes.
CTStatus ct_optimizer_gradient_norms(CTTensor *const *gradients, int32_t count, double *euclidean, double *magnitudes);
// Multiplies every tensor by a number, in place.
CTStatus ct_optimizer_scale(CTTensor *const *tensors, int32_t count, double factor);
// average ← average · decay + value · (1 - decay), in place.
CTStatus ct_optimizer_average(CTTensor *const *averages, CTTensor *const *values, int32_t count, double decay);

// MARK: Attention over packed sequences (attention.cpp, attention-decode.cpp)

// How many queries and keys each sequence of a batch has, checked and copied once for all of the batch's layers.
typedef struct CTSequenceLengths CTSequenceLengths;

// Sequence s owns rows cu[s] ..< cu[s + 1], no more of the queries than of the keys. `cuSeqlensKey` null: as the
// queries. `attended`: how many of a sequence's keys, from the first, are attended to, at least 1 where it has any; null
// for all. `device` holds the rows. Writes a new object, to be freed with ct_attention_lengths_free.
CTStatus ct_attention_lengths(const int32_t *cuSeqlensQuery, const int32_t *cuSeqlensKey, const int32_t *attended,
                              int32_t sequenceCount, CTDevice device, CTSequenceLengths **out);
void ct_attention_lengths_free(CTSequenceLengths *lengths);

// softmax(q kᵀ scale) v for each sequence alone. Queries [Tq, H, d], keys and values [Tk, H, d]. The last query of a
// sequence stands at its last key; a query at key position p sees keys p - left ... p + right (a negative bound is no
// bound), and gives 0 where it sees none. With `cosines` and `sines`, float32 [Tk, d / 2] or NULL both, queries and keys
// are first turned by their positions. Differentiable.
CTStatus ct_attention_variable_length(const CTTensor *queries, const CTTensor *keys, const CTTensor *values,
                                      const CTSequenceLengths *lengths, int64_t left, int64_t right, double scale,
                                      const CTTensor *cosines, const CTTensor *sines, double dropout, CTTensor **out);

// The same for projections [T, 3, H, d] (query, key, value) of the same tokens.
CTStatus ct_attention_packed(const CTTensor *projections, const CTSequenceLengths *lengths, int64_t left,
                             int64_t right, double scale, const CTTensor *cosines, const CTTensor *sines,
                             double dropout, CTTensor **out);

// Where in a cache of pages the tokens of some sequences lie, checked once for all layers. The CPU's kernel reads it as
// it is; without the kernel, as on other devices, each layer copies the rows it needs to the device.
typedef struct CTCachePlaces CTCachePlaces;

// Sequence s has filled the first counts[s] > 0 of its places, which lie in ⌈counts[s] / pageSize⌉ pages; `pages` names
// those of all sequences, end to end, `pageCount` in all. A new token goes to place places[s] < counts[s], which counts
// it; `places` null: there are none. Writes a new object, to be freed with ct_attention_places_free.
CTStatus ct_attention_places(const int32_t *pages, int32_t pageCount, int64_t pageSize, const int32_t *places,
                             const int32_t *counts, int32_t sequenceCount, CTCachePlaces **out);
void ct_attention_places_free(CTCachePlaces *places);

// softmax(q kᵀ scale) v of one query [B, H, d] for each sequence over its places, in any order, of a cache: keys and
// values [pages, page size, H, d].
CTStatus ct_attention_decode(const CTTensor *queries, const CTTensor *keys, const CTTensor *values,
                             const CTCachePlaces *places, double scale, CTTensor **out);

// The same for projections [B, 3, H, d] (query, key, value) of one new token for each sequence, of which the query and
// the key are first turned by float32 cosines and sines [B, d / 2]. The turned key and the value are written to the
// caches, in place. Not differentiable on the CPU.
CTStatus ct_attention_decode_step(const CTTensor *projections, const CTTensor *cosines, const CTTensor *sines,
                                  CTTensor *keys, CTTensor *values, const CTCachePlaces *places, double scale,
                                  CTTensor **out);

// MARK: CPU kernels (kernels/kernels.cpp)

typedef enum CTInstructionSet {
    CT_PORTABLE = 0,
    CT_AVX2 = 1,
    CT_AVX512 = 2,
    CT_AVX512_BF16 = 3,
} CTInstructionSet;

// The set the kernels run with: the best this processor has, unless this thread chose another.
CTInstructionSet ct_kernels_instruction_set(void);
// Chooses another for this thread from now on, for tests and measurements; false where this build or processor has none
// of that kind.
bool ct_kernels_use(CTInstructionSet set);
// Whether the processor itself multiplies bfloat16, with the set of this thread; products are taken in float32 otherwise.
bool ct_kernels_multiply_bfloat16(void);

// MARK: Crashes (crash.cpp)

// From now on a signal that means a crash, or an uncaught C++ exception, ends the process with a short message in place of
// a backtrace: what went wrong, then `text`, which is copied (1000 bytes of it). The process still dies of the signal.
void ct_crash_report(const char *text);

// MARK: Fused inference on the CPU (fused.cpp)

// Element type of a packed product: int8 has a scale for each column of the weight and each row of activations.
typedef enum CTPrecision {
    CT_PRECISION_FLOAT32 = 0,
    CT_PRECISION_BFLOAT16 = 1,
    CT_PRECISION_INT8 = 2,
} CTPrecision;

// A weight in the order the kernels read it, for the instruction set of this processor.
typedef struct CTPackedMatrix CTPackedMatrix;

typedef struct CTFusedNorm {
    const CTTensor *weight;  // float32 [D]; null: no norm
    const CTTensor *bias;    // may be null
    double epsilon;
} CTFusedNorm;

// What lies between the attention of one layer and that of the next; see LayerArguments in kernels.h.
typedef struct CTFusedLayer {
    const CTPackedMatrix *output;
    CTFusedNorm mlpNorm;
    const CTPackedMatrix *input;
    CTGate gate;
    const CTPackedMatrix *down;
    CTFusedNorm nextNorm;
    const CTPackedMatrix *projection;  // null after the last layer
    bool isFloatFinal;                 // the last norm's output in float32
} CTFusedLayer;

// weight [columns, depth] of any floating type. A gated weight has values in the first half of its rows, gates in the
// second, and gives activation(values) times gates.
CTStatus ct_fused_pack(const CTTensor *weight, const CTTensor *bias, CTPrecision precision, bool isGated,
                       CTPackedMatrix **out);
void ct_fused_free(CTPackedMatrix *packed);
// Normalised embeddings, float32 [count, D].
CTStatus ct_fused_embed(const CTTensor *embeddings, const int32_t *ids, int64_t count, CTFusedNorm norm,
                        CTTensor **out);
// activation(input · weightᵀ + bias); input is converted to what the product reads.
CTStatus ct_fused_linear(const CTTensor *input, const CTPackedMatrix *weight, CTGate activation, bool isFloatOutput,
                         CTTensor **out);
// Changes the residual [T, D] in place; gives the next layer's projections [T, 3 D], or the final norm's output.
// `mixed` null: only the projection or norm of the residual.
CTStatus ct_fused_layer(CTTensor *residual, const CTTensor *mixed, const CTFusedLayer *layer, CTTensor **out);

// MARK: Sparse and late interaction (retrieval.cpp, splade.cpp, maxsim.cpp)

typedef struct CTSpladePooling {
    const int32_t *cuSeqlens;  // cumulative lengths of the sequences, the last of them the number of rows
    int32_t sequenceCount;
    bool isSum;                // the sum over a sequence's tokens in place of the maximum
    int32_t logarithms;        // how often x becomes log(1 + x): 1 or 2
} CTSpladePooling;

// float32 [sequences, V]: for each sequence the maximum or sum of log(1 + relu(hidden · weightᵀ + bias)). `hidden`
// [T, D] is converted to what the product reads. No logits are kept.
CTStatus ct_splade_pooling_packed(const CTTensor *hidden, const CTPackedMatrix *weight, CTSpladePooling pooling,
                                  CTTensor **out);
// The same for weight [V, D] and bias [V] or null, on any device, in the type of `hidden`. Differentiable: a maximum's
// gradient goes to the first token that has it. The CPU's kernels keep no logits. What is composed of libtorch's operators,
// on other devices, for other types and where `isComposed` leaves out the kernels, has no more at a time than those of
// `chunkRows` tokens, unless gradients are recorded. On the CPU the gradient of a weight that has one is added to it.
CTStatus ct_splade_pooling(const CTTensor *hidden, const CTTensor *weight, const CTTensor *bias,
                           CTSpladePooling pooling, int64_t chunkRows, bool isComposed, CTTensor **out);

// Rows of each query or document: cumulative counts, the last of them the number of rows.
typedef struct CTRowCounts {
    const int32_t *cumulative;
    int32_t count;
} CTRowCounts;

// scores[q, d] = Σ over rows of query q of the largest product with a row of document d, [queries, documents], on the
// CPU; pairwise: of query i with document i only, [documents]. Rows are float32, `width` elements each.
CTStatus ct_maxsim_rows(const float *queries, CTRowCounts queryCounts, const float *documents,
                        CTRowCounts documentCounts, int64_t width, bool isPairwise, float *scores);

// The same for tensors [rows, width], on any device, differentiable: the gradient of a largest product goes to the first
// row that has it. `documentsPerQuery` 0: every query with every document, [queries, documents]; else query q with
// documents q · n ..< (q + 1) · n, [queries, n]. `competesWithZero`, one for each document, or null: the largest product
// is at least 0, to which no gradient goes; a document without rows then scores 0, and -10⁹ otherwise. `isComposed`
// leaves out our kernels.
CTStatus ct_maxsim(const CTTensor *queries, CTRowCounts queryCounts, const CTTensor *documents,
                   CTRowCounts documentCounts, int32_t documentsPerQuery, const bool *competesWithZero, bool isComposed,
                   CTTensor **out);

#ifdef __cplusplus
}
#endif

#endif
