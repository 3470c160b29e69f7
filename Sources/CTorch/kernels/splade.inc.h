// SPLADE's pooling of the vocabulary projection, log(1 + max(0, hidden · Wᵀ + b)) pooled over the tokens of a sequence.
//
// - A logit is pooled while it is in a register: only the result of each sequence is in memory.
// - The maximum is taken of the logits themselves, and the logarithm once of each maximum: it is monotone.
// - Tasks are shares of the vocabulary. In each, a block of rows stays in the second-level cache while the share's
//   panels pass by.

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

// An epilogue that adds a row to the result of its sequence, which starts as 0. NaN stays.
template <bool isSum>
struct PoolRow {
    const SpladePoolingArguments &a;
    const int32_t *owners;  // of each row

    inline void operator()(int64_t row, int64_t panel, const Floats (&sums)[panelVectors]) const {
        const int64_t columns = a.weight->columns;
        float *at = a.output + owners[row] * columns + panel * panelWidth;
        const int64_t left = columns - panel * panelWidth;
        for (int j = 0; j < panelVectors; j++) {
            const int64_t count = std::min<int64_t>(W, left - j * W);
            if (count <= 0) break;
            const Floats value = maximum((Floats)0.0f, sums[j]), before = loadUpTo(at + j * W, count);
            if constexpr (isSum) {
                storeUpTo(at + j * W, before + saturated(value, a.logarithms), count);
            } else {
                storeUpTo(at + j * W, maximum(value, before) + value * 0.0f, count);
            }
        }
    }
};

template <typename Product>
static void spladePoolingOf(const SpladePoolingArguments &a) {
    using T = Stored<Product>;
    const PackedMatrix &weight = *a.weight;
    std::vector<int32_t> owners(static_cast<size_t>(a.rows));
    for (int32_t s = 0; s < a.sequences; s++) {
        for (int32_t row = a.cuSeqlens[s]; row < a.cuSeqlens[s + 1]; row++) owners[static_cast<size_t>(row)] = s;
    }
    const int64_t block = std::clamp<int64_t>((448 << 10) / (weight.depth * 4), 4 * tileRows, 32 * tileRows);
    const int64_t tasks = std::min<int64_t>(weight.panels, threadCount() * 8);
    parallelTasks(tasks, [&](int64_t task, int) {
        const int64_t first = weight.panels * task / tasks, last = weight.panels * (task + 1) / tasks;
        const int64_t column = first * panelWidth, count = std::min(weight.columns, last * panelWidth) - column;
        for (int32_t s = 0; s < a.sequences; s++) std::fill_n(a.output + s * weight.columns + column, count, 0.0f);
        for (int64_t row = 0; row < a.rows; row += block) {
            const int64_t rows = std::min(block, a.rows - row);
            const T *hidden = static_cast<const T *>(a.hidden) + row * weight.depth;
            const auto left = prepareStored<Product>(0, hidden, rows, weight.depth);
            const int32_t *owner = owners.data() + row;
            if (a.isSum) {
                multiply(left, rows, weight, first, last, PoolRow<true>{a, owner});
            } else {
                multiply(left, rows, weight, first, last, PoolRow<false>{a, owner});
            }
        }
        if (a.isSum) return;
        for (int32_t s = 0; s < a.sequences; s++) {
            float *at = a.output + s * weight.columns + column;
            forEachVector(count, [&](int64_t i, int64_t n) {
                storeUpTo(at + i, saturated(loadUpTo(at + i, n), a.logarithms), n);
            });
        }
    });
}

static void spladePooling(const SpladePoolingArguments &a) {
    switch (a.weight->precision) {
        case Precision::float32: return spladePoolingOf<Float32Product>(a);
        case Precision::bfloat16: return spladePoolingOf<BFloat16Product>(a);
        case Precision::int8: break;  // refused before
    }
}
