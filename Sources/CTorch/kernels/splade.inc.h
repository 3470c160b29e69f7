// SPLADE's pooling of the vocabulary projection, log(1 + max(0, hidden · Wᵀ + b)) pooled over the tokens of a sequence.
//
// - A logit is pooled while it is in a register: only the result of each sequence is in memory.
// - The maximum is taken of the logits themselves, and the logarithm once of each maximum: it is monotone.
// - Tasks are shares of the vocabulary. In each, a block of rows stays in the second-level cache while the share's
//   panels pass by.
// - A training pass packs the weight share by share, as it changes with every step, and keeps the row of each maximum.

// log(1 + x) for x ≥ 0, 4e-7 of the result; NaN where x is NaN or infinite. With 1 + x = 2ᵉ m, m in [√½, √2), it is
// e ln 2 + 2 artanh((m - 1) / (m + 1)). Where e is 0, m - 1 is x itself, so that little of a small x is lost.
static inline Floats logarithmOfOnePlus(Floats x) {
    const Ints bits = bitsAs<Ints>((Floats)(1.0f + x));
    const Ints exponent = (bits - 0x3f3504f3) >> 23;
    const Floats m = bitsAs<Floats>(bits - (exponent << 23));
    const Floats f = exponent == 0 ? x : m - 1.0f;
    const Floats s = f / (2.0f + f);
    const Floats square = s * s;
    Floats p = square * (2.0f / 9) + (2.0f / 7);
    p = p * square + (2.0f / 5);
    p = p * square + (2.0f / 3);
    p = p * square + 2.0f;
    return __builtin_convertvector(exponent, Floats) * 0.693147181f + p * s + x * 0.0f;
}

static inline Floats saturated(Floats x, int32_t logarithms) {
    for (int32_t i = 0; i < logarithms; i++) x = logarithmOfOnePlus(x);
    return x;
}

static_assert(64 % panelWidth == 0, "panels fill the places of a sequence");

enum class Pool { sum, maximum, maximumWithPlaces };

// What pooling writes for the columns of some panels; `output` is that of their first column.
struct PoolTarget {
    float *output;
    int32_t *places;     // as output, or null
    int64_t stride;      // of output, between sequences
    int64_t columns;
    int32_t logarithms;
};

// An epilogue that adds a row to the result of its sequence, which starts as 0. NaN stays.
template <Pool pool>
struct PoolRow {
    const PoolTarget &to;
    const int32_t *owners;  // of each row
    int64_t firstRow;       // the number of row 0

    inline void operator()(int64_t row, int64_t panel, const Floats (&sums)[panelVectors]) const {
        float *at = to.output + owners[row] * to.stride + panel * panelWidth;
        const int64_t left = to.columns - panel * panelWidth;
        for (int j = 0; j < panelVectors; j++) {
            const int64_t count = std::min<int64_t>(W, left - j * W);
            if (count <= 0) break;
            const Floats value = maximum((Floats)0.0f, sums[j]), before = loadUpTo(at + j * W, count);
            if constexpr (pool == Pool::sum) {
                storeUpTo(at + j * W, before + saturated(value, to.logarithms), count);
            } else if constexpr (pool == Pool::maximum) {
                storeUpTo(at + j * W, maximum(value, before) + value * 0.0f, count);
            } else {
                const Floats candidate = value + value * 0.0f;
                // Ties and a second NaN leave the first.
                const auto isNext = ~(candidate <= before) & (before == before);
                storeUpTo(at + j * W, isNext ? candidate : before, count);
                int32_t *place = to.places + owners[row] * spladePlaces(to.stride) + panel * panelWidth + j * W;
                storeVector(place, isNext ? (Ints)static_cast<int32_t>(firstRow + row) : loadVector<Ints>(place));
            }
        }
    }
};

static std::vector<int32_t> rowOwners(int64_t rows, const int32_t *cuSeqlens, int32_t sequences) {
    std::vector<int32_t> owners(static_cast<size_t>(rows));
    for (int32_t s = 0; s < sequences; s++) {
        for (int32_t row = cuSeqlens[s]; row < cuSeqlens[s + 1]; row++) owners[static_cast<size_t>(row)] = s;
    }
    return owners;
}

// All rows against panels `first` ..< `last` of a weight.
template <typename Product>
static void poolPanels(const void *hidden, const std::vector<int32_t> &owners, int32_t sequences, bool isSum,
                       const PackedMatrix &weight, int64_t first, int64_t last, const PoolTarget &to) {
    using T = Stored<Product>;
    const int64_t rows = static_cast<int64_t>(owners.size());
    const int64_t block = std::clamp<int64_t>((448 << 10) / (weight.depth * 4), 4 * tileRows, 32 * tileRows);
    const int64_t column = first * panelWidth, count = std::min(to.columns, last * panelWidth) - column;
    for (int32_t s = 0; s < sequences; s++) {
        std::fill_n(to.output + s * to.stride + column, count, 0.0f);
        if (to.places) std::fill_n(to.places + s * spladePlaces(to.stride) + column, (last - first) * panelWidth, -1);
    }
    for (int64_t row = 0; row < rows; row += block) {
        const int64_t height = std::min(block, rows - row);
        const auto left = prepareStored<Product>(0, static_cast<const T *>(hidden) + row * weight.depth, height,
                                                 weight.depth);
        const int32_t *owner = owners.data() + row;
        if (isSum) {
            multiply(left, height, weight, first, last, PoolRow<Pool::sum>{to, owner, row});
        } else if (to.places) {
            multiply(left, height, weight, first, last, PoolRow<Pool::maximumWithPlaces>{to, owner, row});
        } else {
            multiply(left, height, weight, first, last, PoolRow<Pool::maximum>{to, owner, row});
        }
    }
    if (isSum) return;
    for (int32_t s = 0; s < sequences; s++) {
        float *at = to.output + s * to.stride + column;
        forEachVector(count, [&](int64_t i, int64_t n) {
            storeUpTo(at + i, saturated(loadUpTo(at + i, n), to.logarithms), n);
        });
    }
}

template <typename Product>
static void spladePoolingOf(const SpladePoolingArguments &a) {
    const PackedMatrix &weight = *a.weight;
    const auto owners = rowOwners(a.rows, a.cuSeqlens, a.sequences);
    const int64_t tasks = std::min<int64_t>(weight.panels, threadCount() * 8);
    const PoolTarget to = {a.output, nullptr, weight.columns, weight.columns, a.logarithms};
    parallelTasks(tasks, [&](int64_t task, int) {
        poolPanels<Product>(a.hidden, owners, a.sequences, a.isSum, weight, weight.panels * task / tasks,
                            weight.panels * (task + 1) / tasks, to);
    });
}

static void spladePooling(const SpladePoolingArguments &a) {
    switch (a.weight->precision) {
        case Precision::float32: return spladePoolingOf<Float32Product>(a);
        case Precision::bfloat16: return spladePoolingOf<BFloat16Product>(a);
        case Precision::int8: break;  // refused before
    }
}

// MARK: Training

// Panels that a task packs at a time: with 768 rows of depth 3 MB in float32.
constexpr int64_t spladePackedPanels = 1024 / panelWidth;

// The weight is packed share by share, and each share given up after its products.
template <typename Product>
static void spladeTrainingOf(const SpladeTrainingArguments &a) {
    const auto owners = rowOwners(a.rows, a.cuSeqlens, a.sequences);
    const int64_t panels = (a.vocabulary + panelWidth - 1) / panelWidth;
    const int64_t wanted = std::min<int64_t>(panels, threadCount() * 4);
    const int64_t tasks = std::max(wanted, (panels + spladePackedPanels - 1) / spladePackedPanels);
    parallelTasks(tasks, [&](int64_t task, int) {
        const int64_t first = panels * task / tasks * panelWidth;
        const int64_t columns = std::min(a.vocabulary, panels * (task + 1) / tasks * panelWidth) - first;
        const auto weight = pack(a.weight + first * a.width, a.bias ? a.bias + first : nullptr, columns, a.width,
                                 precisionOf<Product>, false);
        const PoolTarget to = {a.output + first, a.places ? a.places + first : nullptr, a.vocabulary, columns,
                               a.logarithms};
        poolPanels<Product>(a.hidden, owners, a.sequences, a.isSum, *weight, 0, weight->panels, to);
    });
}

static void spladeTraining(const SpladeTrainingArguments &a) {
    a.isBFloat16 ? spladeTrainingOf<BFloat16Product>(a) : spladeTrainingOf<Float32Product>(a);
}

// The gradient of maxima is a gather: each result with a gradient and a weight above 0 belongs to one row. What is added
// to a row, or to a column of the weight, is added by one thread in the order of the columns, or of the sequences.
template <typename Product>
class SpladeGradients {
    using T = Stored<Product>;

public:
    explicit SpladeGradients(const SpladeBackwardArguments &arguments)
        : b(arguments), a(arguments.forward),
          memory(allocateAligned(std::max<size_t>(64, static_cast<size_t>(a.sequences * a.vocabulary) * sizeof(float)))),
          logits(static_cast<float *>(memory.get())) {}

    void run() const {
        parallelTasks(a.sequences, [&](int64_t s, int) { differentiate(s); });
        if (b.hiddenGradient) {
            const auto groups = sequenceGroups();
            parallelTasks(static_cast<int64_t>(groups.size()), [&](int64_t task, int) {
                const auto [first, last] = groups[static_cast<size_t>(task)];
                addToHidden(first, last);
            });
        }
        if (b.weightGradient || b.biasGradient) {
            parallelTasks((a.vocabulary + weightColumns - 1) / weightColumns, [&](int64_t task, int) {
                addToWeight(task * weightColumns, std::min(weightColumns, a.vocabulary - task * weightColumns));
            });
        }
    }

private:
    // Columns whose weights, or whose gradients, stay in the second-level cache beside the rows of a sequence.
    static constexpr int64_t hiddenColumns = 64, weightColumns = 256;

    // The derivative by the largest logit z of y = log(1 + z) is e⁻ʸ, and so again for the second logarithm.
    void differentiate(int64_t s) const {
        const float *above = b.outputGradient + s * a.vocabulary, *output = a.output + s * a.vocabulary;
        float *to = logits + s * a.vocabulary;
        forEachVector(a.vocabulary, [&](int64_t i, int64_t n) {
            const Floats y = loadUpTo(output + i, n);
            Floats slope = exponential(-y);
            if (a.logarithms == 2) slope *= exponential(1.0f - exponential(y));
            const Floats gradient = loadUpTo(above + i, n) * slope;
            storeUpTo(to + i, y == 0.0f ? (Floats)0.0f : gradient, n);
        });
    }

    // Sequences that are taken together, so that the weight is read once for all of them: some for each thread.
    std::vector<std::pair<int32_t, int32_t>> sequenceGroups() const {
        const int64_t most = std::clamp<int64_t>(a.rows / (4 * threadCount()), 1, 1024);
        std::vector<std::pair<int32_t, int32_t>> groups;
        for (int32_t s = 0; s < a.sequences; s++) {
            if (groups.empty() || a.cuSeqlens[s + 1] - a.cuSeqlens[groups.back().first] > most) groups.push_back({s, s});
            groups.back().second = s + 1;
        }
        return groups;
    }

    void addToHidden(int32_t firstSequence, int32_t lastSequence) const {
        const int64_t firstRow = a.cuSeqlens[firstSequence], count = a.cuSeqlens[lastSequence] - firstRow;
        T *gradient = static_cast<T *>(b.hiddenGradient) + firstRow * a.width;
        float *sums;
        float *rounded = nullptr;
        if constexpr (std::is_same_v<T, float>) {
            sums = gradient;
        } else {
            const int64_t elements = (count + hiddenColumns) * a.width;
            sums = reinterpret_cast<float *>(threadBuffer(1, static_cast<size_t>(elements) * sizeof(float)));
            rounded = sums + count * a.width;
        }
        std::fill_n(sums, count * a.width, 0.0f);
        for (int64_t column = 0; column < a.vocabulary; column += hiddenColumns) {
            const int64_t columns = std::min(hiddenColumns, a.vocabulary - column);
            const float *weight = a.weight + column * a.width;
            if (rounded) {
                // As the forward pass multiplied by it.
                forEachVector(columns * a.width, [&](int64_t i, int64_t n) {
                    storeUpTo(rounded + i, toFloats(toHalves(loadUpTo(weight + i, n))), n);
                });
                weight = rounded;
            }
            for (int32_t s = firstSequence; s < lastSequence; s++) {
                const float *factors = logits + s * a.vocabulary + column;
                const int32_t *places = a.places + s * spladePlaces(a.vocabulary) + column;
                for (int64_t i = 0; i < columns; i++) {
                    if (factors[i] == 0 || places[i] < 0) continue;
                    addScaled(sums + (places[i] - firstRow) * a.width, factors[i], weight + i * a.width, a.width);
                }
            }
        }
        if constexpr (!std::is_same_v<T, float>) {
            forEachVector(count * a.width,
                          [&](int64_t i, int64_t n) { storeUpTo(gradient + i, loadUpTo(sums + i, n), n); });
        }
    }

    void addToWeight(int64_t column, int64_t columns) const {
        float *to = b.weightGradient ? b.weightGradient + column * a.width : nullptr;
        if (to && !b.addsToWeight) std::fill_n(to, columns * a.width, 0.0f);
        float *bias = b.biasGradient ? b.biasGradient + column : nullptr;
        if (bias) std::fill_n(bias, columns, 0.0f);
        for (int32_t s = 0; s < a.sequences; s++) {
            const float *factors = logits + s * a.vocabulary + column;
            const int32_t *places = a.places + s * spladePlaces(a.vocabulary) + column;
            for (int64_t i = 0; i < columns; i++) {
                if (factors[i] == 0 || places[i] < 0) continue;
                const T *row = static_cast<const T *>(a.hidden) + places[i] * a.width;
                if (to) addScaled(to + i * a.width, factors[i], row, a.width);
                if (bias) bias[i] += factors[i];
            }
        }
    }

    const SpladeBackwardArguments &b;
    const SpladeTrainingArguments &a;
    AlignedMemory memory;
    float *logits;  // the gradient of each largest logit, [sequences, vocabulary]
};

static void spladeBackward(const SpladeBackwardArguments &arguments) {
    if (arguments.forward.isBFloat16) {
        SpladeGradients<BFloat16Product>(arguments).run();
    } else {
        SpladeGradients<Float32Product>(arguments).run();
    }
}
