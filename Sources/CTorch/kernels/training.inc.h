// What a training step does between its products: the gate of the MLP and the sum of a residual with its norm, each with
// its derivative. One pass over memory each; arithmetic is float32 whatever is stored.

// MARK: Gated activation

// An activation and its derivative.
struct ValueAndSlope {
    Floats value, slope;
};

static inline ValueAndSlope activatedWithSlope(Floats x, Gate gate) {
    switch (gate) {
        case Gate::none: return {x, (Floats)1.0f};
        case Gate::gelu: {
            // x Φ(x) and Φ(x) + x φ(x)
            const Floats cumulative = 0.5f * (1.0f + errorFunction(x * 0.707106781f));
            const Floats density = 0.398942280f * exponential(-0.5f * x * x);
            return {x * cumulative, cumulative + x * density};
        }
        case Gate::geluTanh: {
            const Floats square = x * x;
            const Floats s = sigmoid(1.595769122f * x * (1.0f + 0.044715f * square));
            return {x * s, s + x * s * (1.0f - s) * 1.595769122f * (1.0f + 0.134145f * square)};
        }
        case Gate::relu: {
            const Floats one = bitsAs<Floats>(bitsAs<Ints>((Floats)1.0f) & (x > 0.0f));
            return {x * one, one};
        }
        case Gate::silu: {
            const Floats s = sigmoid(x);
            return {x * s, s + x * s * (1.0f - s)};
        }
    }
    return {x, (Floats)1.0f};
}

// Rows of one task of the elementwise kernels below.
constexpr int64_t trainingBlock = 32;

// body(row, number of its block)
template <typename Body>
static inline void forEachRow(int64_t rows, int64_t block, Body &&body) {
    parallelTasks((rows + block - 1) / block, [&](int64_t task, int) {
        for (int64_t row = task * block; row < std::min(rows, (task + 1) * block); row++) body(row, task);
    });
}

template <typename T>
static void gatedOf(const GatedArguments &a) {
    const int64_t width = a.width;
    forEachRow(a.rows, trainingBlock, [&](int64_t row, int64_t) {
        const T *values = static_cast<const T *>(a.input) + row * 2 * width, *gates = values + width;
        if (a.outputGradient == nullptr) {
            T *out = static_cast<T *>(a.output) + row * width;
            forEachVector(width, [&](int64_t i, int64_t count) {
                storeUpTo(out + i, activated<float>(loadUpTo(values + i, count), a.gate) * loadUpTo(gates + i, count), count);
            });
            return;
        }
        const T *above = static_cast<const T *>(a.outputGradient) + row * width;
        T *out = static_cast<T *>(a.output) + row * 2 * width;
        forEachVector(width, [&](int64_t i, int64_t count) {
            const auto [value, slope] = activatedWithSlope(loadUpTo(values + i, count), a.gate);
            const Floats g = loadUpTo(above + i, count);
            storeUpTo(out + i, g * slope * loadUpTo(gates + i, count), count);
            storeUpTo(out + width + i, g * value, count);
        });
    });
}

static void gated(const GatedArguments &a) { a.isBFloat16 ? gatedOf<BFloat>(a) : gatedOf<float>(a); }

// MARK: Residual and norm

template <typename T>
static void addNormOf(const AddNormArguments &a) {
    const int64_t width = a.width;
    forEachRow(a.rows, trainingBlock, [&](int64_t row, int64_t) {
        const float *residual = a.residual + row * width;
        const T *delta = a.delta ? static_cast<const T *>(a.delta) + row * width : nullptr;
        float *to = delta ? a.sum + row * width : nullptr;
        const float *sums = delta ? to : residual;
        T *out = static_cast<T *>(a.output) + row * width;
        Floats total = (Floats)0.0f;
        forEachVector(width, [&](int64_t i, int64_t count) {
            Floats x = loadUpTo(residual + i, count);
            if (delta) {
                x += loadUpTo(delta + i, count);
                storeUpTo(to + i, x, count);
            }
            total += x;
        });
        const float mean = sum(total) / static_cast<float>(width);
        Floats squares = (Floats)0.0f;
        for (int64_t i = 0; i + W <= width; i += W) {
            const Floats d = load(sums + i) - mean;
            squares += d * d;
        }
        float variance = sum(squares);
        for (int64_t i = width / W * W; i < width; i++) variance += (sums[i] - mean) * (sums[i] - mean);
        const float factor = 1 / std::sqrt(variance / static_cast<float>(width) + a.norm.epsilon);
        forEachVector(width, [&](int64_t i, int64_t count) {
            Floats y = (loadUpTo(sums + i, count) - mean) * factor * loadUpTo(a.norm.weight + i, count);
            if (a.norm.bias) y += loadUpTo(a.norm.bias + i, count);
            storeUpTo(out + i, y, count);
        });
        a.statistics[2 * row] = mean;
        a.statistics[2 * row + 1] = factor;
    });
}

static void addNorm(const AddNormArguments &a) { a.isBFloat16 ? addNormOf<BFloat>(a) : addNormOf<float>(a); }

// With n = (x - mean) · factor and h = dy ∘ w: dx = factor (h - mean(h) - n mean(h ∘ n)) plus what reaches the sum
// by itself; dw and db are sums over rows, kept apart for each slice of them.
template <typename T>
static void addNormBackwardOf(const AddNormBackwardArguments &a) {
    const int64_t width = a.width;
    forEachRow(a.rows, addNormSliceRows, [&](int64_t row, int64_t slice) {
        const float *x = a.sum + row * width;
        const float mean = a.statistics[2 * row], factor = a.statistics[2 * row + 1];
        const T *above = static_cast<const T *>(a.outputGradient) + row * width;
        float *weightGradient = a.weightGradients + slice * width;
        float *biasGradient = a.biasGradients ? a.biasGradients + slice * width : nullptr;
        Floats totalH = (Floats)0.0f, totalHN = (Floats)0.0f;
        // Lanes beyond the width hold no gradient, so they add nothing.
        forEachVector(width, [&](int64_t i, int64_t count) {
            const Floats n = (loadUpTo(x + i, count) - mean) * factor, g = loadUpTo(above + i, count);
            const Floats h = g * loadUpTo(a.weight + i, count);
            totalH += h;
            totalHN += h * n;
            storeUpTo(weightGradient + i, loadUpTo(weightGradient + i, count) + g * n, count);
            if (biasGradient) storeUpTo(biasGradient + i, loadUpTo(biasGradient + i, count) + g, count);
        });
        const float meanH = sum(totalH) / static_cast<float>(width), meanHN = sum(totalHN) / static_cast<float>(width);
        float *residual = a.residualGradient + row * width;
        T *delta = a.deltaGradient ? static_cast<T *>(a.deltaGradient) + row * width : nullptr;
        forEachVector(width, [&](int64_t i, int64_t count) {
            const Floats n = (loadUpTo(x + i, count) - mean) * factor;
            const Floats h = loadUpTo(above + i, count) * loadUpTo(a.weight + i, count);
            Floats g = factor * (h - meanH - n * meanHN);
            if (a.sumGradient) g += loadUpTo(a.sumGradient + row * width + i, count);
            storeUpTo(residual + i, g, count);
            if (delta) storeUpTo(delta + i, g, count);
        });
    });
}

static void addNormBackward(const AddNormBackwardArguments &a) {
    a.isBFloat16 ? addNormBackwardOf<BFloat>(a) : addNormBackwardOf<float>(a);
}
