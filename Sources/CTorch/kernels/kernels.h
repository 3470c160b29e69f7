// What the CPU kernels offer, whatever the instruction set they were compiled for.
//
// One source (kernels.inc.h and what it includes) is compiled once for each instruction set; `kernels()` gives the best
// the processor runs. Kernels see pointers and sizes, never tensors.
//
// Shape letters: T rows (tokens), D hidden, I intermediate, H heads, K head width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace ettin {

enum class InstructionSet : int32_t { portable = 0, avx2 = 1, avx512 = 2, avx512BF16 = 3 };

// Element type of a product's operands. int8: weights with one scale a column, activations with one scale a row.
enum class Precision : int32_t { float32 = 0, bfloat16 = 1, int8 = 2 };

enum class Gate : int32_t { none = 0, gelu = 1, geluTanh = 2, relu = 3, silu = 4 };

struct FreeAligned {
    void operator()(void *memory) const;
};
using AlignedMemory = std::unique_ptr<void, FreeAligned>;
// Large blocks are kept for the next caller (memory.h).
AlignedMemory allocateAligned(size_t bytes);

struct KernelTable;

// A weight matrix [columns, depth] in the order the product reads it: panels of as many columns as one tile is wide,
// in each the column's elements in groups of 1, 2 or 4 along the depth.
struct PackedMatrix {
    const KernelTable *table;
    Precision precision;
    int64_t columns;  // of the weight; a gated one gives half as many results
    int64_t depth;
    int64_t panels;
    bool isGated;
    AlignedMemory elements;
    AlignedMemory scales;        // float [panels * panelWidth], int8 only
    AlignedMemory corrections;   // int32 [panels * panelWidth], int8 only: 128 times the sum of each column
    AlignedMemory bias;          // float [panels * panelWidth], or none
};

// Rows are contiguous in every matrix below unless a stride is given. "Activations" are float32 where the precision is
// float32 and bfloat16 otherwise.
struct LayerNormParameters {
    const float *weight;
    const float *bias;  // may be null
    float epsilon;
};

// out[T, columns] = gate(in[T, depth] · Wᵀ + b)
struct LinearArguments {
    int64_t rows;
    const void *input;             // activations [T, depth]
    const PackedMatrix *weight;
    Gate activation;               // on the results, or on a gated weight's values
    void *output;                  // [T, columns]
    bool isFloatOutput;            // float32 in place of activations
};

// out[T, N] = left[T, D] · right[D, N], all float32, perhaps added to what is there. A row or a column of the left operand
// is contiguous: one of its strides is 1.
struct ProductArguments {
    int64_t rows, columns, depth;
    const float *left;
    int64_t leftRowStride, leftDepthStride;
    const float *right;            // [D, N]
    float *output;                 // [T, N]
    bool adds;
};

// What follows attention in a layer, and what precedes it in the next one:
//   x += mixed · Woᵀ;  x += W₂(gate(W₁ n) ∘ (Wg n)) with n = norm(x);  projected = Wqkv norm'(x)
// After the last layer there is no next projection and `final` receives norm'(x).
struct LayerArguments {
    int64_t rows;
    float *residual;                // [T, D], changed in place
    const void *mixed;              // activations [T, D]; null: only the projection is wanted
    const PackedMatrix *output;     // Wo
    LayerNormParameters mlpNorm;
    const PackedMatrix *input;      // W₁ and Wg, gated
    Gate gate;
    const PackedMatrix *down;       // W₂
    LayerNormParameters nextNorm;   // weight may be null: no norm
    const PackedMatrix *projection; // Wqkv of the next layer, or null
    void *projected;                // activations [T, 3 D]
    void *final;                    // activations [T, D]
    bool isFloatFinal;              // float32 in place of activations
};

struct AttentionArguments {
    const void *queries, *keys, *values;  // [T, H, K] each, rows `…Stride` elements apart
    int64_t queryStride, keyStride, valueStride;
    int64_t heads, width;
    const int32_t *cuQuery, *cuKey;       // cumulative lengths, sequences + 1
    int32_t sequences;
    // How many keys of each sequence, from its first, are attended to, or null for all: then a query may see none, whose
    // output is 0. Forward only.
    const int32_t *attended;
    int64_t left, right;                  // negative: unbounded
    float scale;
    // Rotation of queries and keys by row, float [T, K / 2], or null: a row for each key.
    const float *cosines, *sines;
    void *output;                         // [Tq, H, K], rows H · K apart
    float *logSumExp;                     // [H, Tq] or null
};

struct AttentionBackwardArguments {
    AttentionArguments forward;           // with output and logSumExp as the forward pass left them
    const void *outputGradient;           // [Tq, H, K]
    void *queryGradients, *keyGradients, *valueGradients;  // as queries, keys and values
    int64_t queryGradientStride, keyGradientStride, valueGradientStride;
};

// One new query for each sequence over its cache, and before that, where new keys are given, their entry into it.
struct DecodeArguments {
    const void *queries;                  // [B, H, K], sequences `rowStride` elements apart
    const void *newKeys, *newValues;      // as the queries, or null: the cache holds them already
    int64_t rowStride;
    const float *cosines, *sines;         // rotation of queries and new keys, [B, K / 2], or null
    void *keys, *values;                  // [pages, pageSize, H, K], changed in place where new keys are given
    const int32_t *pages;                 // the pages of all sequences' places, end to end
    const int32_t *firstPages;            // [B]: which of `pages` is a sequence's first
    int64_t pageSize;
    const int32_t *places;                // [B], below `counts`: where the new key and value go
    const int32_t *counts;                // [B], at least 1: places to attend to, the new one among them
    int64_t sequences, heads, width;
    float scale;
    void *output;                         // [B, H, K]
};

// Heads the attention kernels take.
constexpr int64_t widestHead = 256;

// Cross-entropy of hidden · weightᵀ + bias with its gradients; see loss.inc.h. Elements are bfloat16 or float32.
struct LinearCrossEntropyArguments {
    int64_t rows, classes, width;  // the width is even
    int64_t chunkRows;             // rows of logits held at a time, about
    const void *hidden;            // [rows, width]
    const void *weight;            // [classes, width]
    const float *bias;             // [classes] or null
    const int64_t *labels;         // [rows], each in 0 ..< classes
    float zLoss;                   // coefficient of the squared logarithm of the sum of exponentials
    float scale;                   // of the gradients
    bool weighsByProbability;      // losses and gradients of a row times the probability of its label
    float *losses;                 // [rows]
    float *entropies;              // [rows], of the predicted distributions, or null
    float *hits;                   // [rows], 1 where the label's logit is the largest, else 0; null as entropies
    float *labelGradients;         // [rows], derivative of the loss by the label's logit
    void *hiddenGradient;          // [rows, width] or null
    float *weightGradient;         // [classes, width] or null
    float *biasGradient;           // [classes] or null; needs weightGradient
    bool isBFloat16;
};

// For each sequence and each column of the weight, the maximum over the sequence's rows, or their sum, of
// log(1 + max(0, hidden · Wᵀ + b)); see splade.inc.h.
struct SpladePoolingArguments {
    int64_t rows;
    const void *hidden;            // activations [T, depth]
    const PackedMatrix *weight;
    const int32_t *cuSeqlens;      // cumulative lengths, sequences + 1
    int32_t sequences;
    bool isSum;
    int32_t logarithms;            // how often x becomes log(1 + x): 1 or 2
    float *output;                 // [sequences, columns]
};

// The same with a weight that is not packed, as a training pass has it.
struct SpladeTrainingArguments {
    int64_t rows, width, vocabulary;
    const void *hidden;            // [rows, width], bfloat16 or float32
    const float *weight;           // [vocabulary, width], rounded as `hidden` is
    const float *bias;             // [vocabulary] or null
    const int32_t *cuSeqlens;      // cumulative lengths, sequences + 1
    int32_t sequences;
    bool isSum;
    int32_t logarithms;            // 1 or 2
    bool isBFloat16;
    float *output;                 // [sequences, vocabulary]
    int32_t *places;               // [sequences, spladePlaces(vocabulary)]: the row of each maximum, -1 where it is 0; or null
};

// The places of a sequence fill whole vectors of every instruction set.
constexpr int64_t spladePlaces(int64_t vocabulary) { return (vocabulary + 63) / 64 * 64; }

struct SpladeBackwardArguments {
    SpladeTrainingArguments forward;  // of maxima, with output and places as the forward pass left them
    const float *outputGradient;      // [sequences, vocabulary]
    void *hiddenGradient;             // [rows, width], as `hidden`, or null
    float *weightGradient;            // [vocabulary, width] or null
    bool addsToWeight;                // to what is in weightGradient
    float *biasGradient;              // [vocabulary] or null
};

// For queries and documents of several rows each, the sum over a query's rows of the largest product with a row of the
// document; see maxsim.inc.h.
struct MaxSimArguments {
    int64_t width;
    const float *queries, *documents;  // [rows, width]
    const int32_t *cuQueries, *cuDocuments;  // cumulative lengths, count + 1
    int32_t queryCount, documentCount;
    int32_t documentsPerQuery;     // 0: every query meets every document; else query q meets so many, from q · so many on
    const bool *competesWithZero;  // [documentCount]: whether the largest product is at least 0; or null
    float *scores;                 // [queryCount, documentCount], or [documentCount]
    // For each query, each document that it meets and each row of the query: the document's row with the largest product,
    // -1 where 0 is larger or the document has no rows; or null.
    int32_t *places;
};

struct MaxSimBackwardArguments {
    MaxSimArguments forward;       // with places as the forward pass left them
    const float *scoreGradients;   // as scores
    float *queryGradients;         // as queries, or null
    float *documentGradients;      // as documents, or null
};

// The score with a document that has no rows: below that of every other, and finite.
constexpr float emptyDocumentScore = -1e9f;

// gate(first half of each row) ∘ second half; with a gradient given, the derivative instead.
struct GatedArguments {
    int64_t rows, width;          // of a result
    const void *input;            // [rows, 2 width]
    const void *outputGradient;   // [rows, width] or null
    Gate gate;
    void *output;                 // [rows, width], or [rows, 2 width] for the derivative
    bool isBFloat16;
};

// sum = residual + delta; output = norm(sum)
struct AddNormArguments {
    int64_t rows, width;
    const float *residual;        // [rows, width]
    const void *delta;            // [rows, width], bfloat16 or float32; null: nothing is added
    LayerNormParameters norm;
    float *sum;                   // [rows, width]; null where nothing is added
    void *output;                 // [rows, width], bfloat16 or float32, as delta
    float *statistics;            // [rows, 2]: mean and inverse standard deviation
    bool isBFloat16;
};

struct AddNormBackwardArguments {
    int64_t rows, width;
    const float *sum, *statistics, *weight;
    const float *sumGradient;     // [rows, width] or null
    const void *outputGradient;   // [rows, width], bfloat16 or float32
    float *residualGradient;      // [rows, width]
    void *deltaGradient;          // [rows, width], as outputGradient, or null
    float *weightGradients;       // [addNormSlices(rows), width], zero: the sums over the rows of each slice
    float *biasGradients;         // the same, or null
    bool isBFloat16;
};

// Rows whose gradients of a norm's parameters are summed together: a fixed number, so that the sum depends neither on the
// number of threads nor on which of them came first.
constexpr int64_t addNormSliceRows = 256;
constexpr int64_t addNormSlices(int64_t rows) { return (rows + addNormSliceRows - 1) / addNormSliceRows; }

// Elements first ..< first + count of a matrix, each zero or scaled; which, is a function of (seed, stream, its number).
struct DropoutArguments {
    int64_t first, count;
    const void *input;
    void *output;                 // may be the input
    uint64_t seed, stream;
    uint32_t threshold;           // of 65536: the share that becomes zero
    float scale;                  // of the others
    bool isBFloat16;
};

// One tensor of an optimizer's step.
struct OptimizerTensor {
    int64_t count;
    float *parameter;
    const float *gradient;
    float *firstMoment, *secondMoment;
    float weightDecay;
};

struct StableAdamWArguments {
    const OptimizerTensor *tensors;
    int64_t tensorCount;
    float learningRate, beta1, beta2, epsilon;  // decays of this step, debiased
    float decayRate;              // of the weight decay, before clipping: 1 / reference rate where decoupled, else 1
};

struct GradientNormArguments {
    const OptimizerTensor *tensors;
    int64_t tensorCount;
    double sumOfSquares, sumOfMagnitudes;  // results
};

struct KernelTable {
    InstructionSet instructionSet;
    int64_t panelWidth;
    // weight [columns, depth] float32, row-major. A gated weight has its gates in the second half of its rows.
    std::unique_ptr<PackedMatrix> (*pack)(const float *weight, const float *bias, int64_t columns, int64_t depth,
                                          Precision precision, bool isGated);
    void (*linear)(const LinearArguments &arguments);
    void (*product)(const ProductArguments &arguments);
    void (*layer)(const LayerArguments &arguments);
    // Normalises rows of an embedding: x[T, D] = norm(table[ids]).
    void (*embed)(const void *table, bool isBFloat16, const int32_t *ids, int64_t rows, int64_t width,
                  const LayerNormParameters &norm, float *out);
    void (*attention)(const AttentionArguments &arguments, bool isBFloat16);
    void (*attentionBackward)(const AttentionBackwardArguments &arguments, bool isBFloat16);
    void (*decode)(const DecodeArguments &arguments, bool isBFloat16);
    void (*linearCrossEntropy)(const LinearCrossEntropyArguments &arguments);
    void (*spladePooling)(const SpladePoolingArguments &arguments);
    void (*spladeTraining)(const SpladeTrainingArguments &arguments);
    void (*spladeBackward)(const SpladeBackwardArguments &arguments);
    void (*maxSim)(const MaxSimArguments &arguments);
    void (*maxSimBackward)(const MaxSimBackwardArguments &arguments);
    void (*gated)(const GatedArguments &arguments);
    void (*addNorm)(const AddNormArguments &arguments);
    void (*addNormBackward)(const AddNormBackwardArguments &arguments);
    void (*dropout)(const DropoutArguments &arguments);
    void (*stableAdamW)(const StableAdamWArguments &arguments);
    void (*gradientNorm)(GradientNormArguments &arguments);
};

// The table for the best instruction set of this processor, or for a lesser one that this thread has asked for.
const KernelTable &kernels();
// Nil when this build or processor has none of that kind.
const KernelTable *kernels(InstructionSet set);
// Makes kernels() give that table on this thread from now on. False, and no change, where this build or processor has none.
bool useKernels(InstructionSet set);

}  // namespace ettin
