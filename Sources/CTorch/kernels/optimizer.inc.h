// What an optimizer does to all parameters at once. Every tensor is cut into chunks of one size, and sums are those of
// the chunks in order: results depend neither on the number of threads nor on which of them came first.

constexpr int64_t optimizerChunk = 1 << 14;

struct OptimizerPart {
    int64_t tensor, first, count;
};

static std::vector<OptimizerPart> optimizerParts(const OptimizerTensor *tensors, int64_t count) {
    std::vector<OptimizerPart> parts;
    for (int64_t t = 0; t < count; t++) {
        for (int64_t first = 0; first < tensors[t].count; first += optimizerChunk) {
            parts.push_back({t, first, std::min(optimizerChunk, tensors[t].count - first)});
        }
    }
    return parts;
}

// The lanes of a vector, added in order.
static inline double laneSum(Floats v) {
    double result = 0;
    for (int i = 0; i < W; i++) result += static_cast<double>(v[i]);
    return result;
}

// Adds to a sum in float32 for a few vectors at a time, so that its error does not grow with the chunk.
template <typename Term>
static inline double chunkSum(int64_t count, Term &&term) {
    constexpr int64_t run = 64 * W;
    double result = 0;
    for (int64_t start = 0; start < count; start += run) {
        Floats part = (Floats)0.0f;
        const int64_t end = std::min(count, start + run);
        for (int64_t i = start; i < end; i += W) part += term(i, std::min<int64_t>(W, end - i));
        result += laneSum(part);
    }
    return result;
}

// > Source: Wortsman et al., arXiv 2304.13013, section 3.5; the debiased decays of torch-optimi.
static void stableAdamW(const StableAdamWArguments &a) {
    const auto parts = optimizerParts(a.tensors, a.tensorCount);
    const auto count = static_cast<int64_t>(parts.size());
    std::vector<double> sums(parts.size());
    const float least = a.epsilon * a.epsilon;
    parallelTasks(count, [&](int64_t p, int) {
        const auto &part = parts[static_cast<size_t>(p)];
        const OptimizerTensor &t = a.tensors[part.tensor];
        const float *gradients = t.gradient + part.first;
        float *first = t.firstMoment + part.first, *second = t.secondMoment + part.first;
        sums[static_cast<size_t>(p)] = chunkSum(part.count, [&](int64_t i, int64_t n) {
            const Floats g = loadUpTo(gradients + i, n), square = g * g, m = loadUpTo(first + i, n);
            const Floats v = a.beta2 * loadUpTo(second + i, n) + (1 - a.beta2) * square;
            storeUpTo(first + i, m + (1 - a.beta1) * (g - m), n);
            storeUpTo(second + i, v, n);
            return square / maximum((Floats)least, v);
        });
    });
    std::vector<float> rates(static_cast<size_t>(a.tensorCount));
    std::vector<double> tensorSums(static_cast<size_t>(a.tensorCount));
    for (size_t p = 0; p < parts.size(); p++) tensorSums[static_cast<size_t>(parts[p].tensor)] += sums[p];
    for (size_t t = 0; t < rates.size(); t++) {
        const double mean = tensorSums[t] / static_cast<double>(std::max<int64_t>(1, a.tensors[t].count));
        rates[t] = a.learningRate / static_cast<float>(std::max(1.0, std::sqrt(mean)));
    }
    parallelTasks(count, [&](int64_t p, int) {
        const auto &part = parts[static_cast<size_t>(p)];
        const OptimizerTensor &t = a.tensors[part.tensor];
        const float rate = rates[static_cast<size_t>(part.tensor)];
        const float kept = 1 - rate * a.decayRate * t.weightDecay;
        float *values = t.parameter + part.first;
        const float *first = t.firstMoment + part.first, *second = t.secondMoment + part.first;
        forEachVector(part.count, [&](int64_t i, int64_t n) {
            const Floats update = loadUpTo(first + i, n) / (__builtin_elementwise_sqrt(loadUpTo(second + i, n)) + a.epsilon);
            storeUpTo(values + i, loadUpTo(values + i, n) * kept - rate * update, n);
        });
    });
}

static void gradientNorm(GradientNormArguments &a) {
    const auto parts = optimizerParts(a.tensors, a.tensorCount);
    std::vector<double> squares(parts.size()), magnitudes(parts.size());
    parallelTasks(static_cast<int64_t>(parts.size()), [&](int64_t p, int) {
        const auto &part = parts[static_cast<size_t>(p)];
        const float *gradients = a.tensors[part.tensor].gradient + part.first;
        Floats sizes = (Floats)0.0f;
        squares[static_cast<size_t>(p)] = chunkSum(part.count, [&](int64_t i, int64_t n) {
            const Floats g = loadUpTo(gradients + i, n);
            sizes += magnitude(g);
            return g * g;
        });
        magnitudes[static_cast<size_t>(p)] = laneSum(sizes);
    });
    a.sumOfSquares = a.sumOfMagnitudes = 0;
    for (size_t p = 0; p < parts.size(); p++) {
        a.sumOfSquares += squares[p];
        a.sumOfMagnitudes += magnitudes[p];
    }
}
