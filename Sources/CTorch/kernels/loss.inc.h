// Cross-entropy of hidden · Wᵀ + b and its gradients, in chunks of rows.
//
// - What is kept of a chunk is E = exp(logits - r) with a reference r of each row, made while the logits are still in
//   registers: they never reach memory, and each is exponentiated once. r is the row's largest logit in the first panel;
//   where another exceeds it by so much that E might overflow, the block is computed again from the true maximum.
// - With f = scale / ΣE the gradient of the logits is f E less `scale` at the label. f goes to the other operand of each
//   product: dH = f (E W), dW = Eᵀ (f H). The label's own coefficient, a difference that may be small, is left out of E
//   and added in float32.
// - E W is taken from each block of columns while it is in the second-level cache; Eᵀ (f H) needs the sums of all
//   columns and follows when the chunk is complete, from E in the order a product reads its right side.

// Rows of one task, and panels of vocabulary it computes at a time: E, both operands and the sums of dH fit the
// second-level cache.
constexpr int64_t lossBlockRows = 32 * tileRows;
constexpr int64_t lossBlockPanels = 256 / panelWidth;

template <typename Product>
class LossPass {
    using T = Stored<Product>;
    static constexpr int64_t group = Product::group;

public:
    explicit LossPass(const LinearCrossEntropyArguments &arguments)
        : a(arguments), panels((a.classes + panelWidth - 1) / panelWidth), widthGroups(a.width / group),
          widthPanels((a.width + panelWidth - 1) / panelWidth), threads(threadCount()) {
        weight = elements(panels * panelWidth * a.width);
        if (a.hiddenGradient) transposed = elements(panels * panelWidth * widthPanels * panelWidth);
    }

    void run() {
        packWeight();
        const int64_t chunks = (a.rows + a.chunkRows - 1) / a.chunkRows;
        const int64_t longest = roundedUp((a.rows + chunks - 1) / chunks, tileRows);
        if (wantsWeight()) {
            stride = roundedUp(longest, group);
            exponentials = elements(panels * panelWidth * stride);
            scaled = elements((a.width + 1) * stride);
            const int64_t count = panels * panelWidth * (a.width + 1);
            sums = static_cast<float *>(bytes(static_cast<size_t>(count) * sizeof(float)));
        }
        for (int64_t first = 0; first < a.rows; first += longest) chunk(first, std::min(longest, a.rows - first));
        if (wantsWeight()) finishWeight();
    }

private:
    void *bytes(size_t count) {
        memory.push_back(allocateAligned(count));
        return memory.back().get();
    }

    T *elements(int64_t count) { return static_cast<T *>(bytes(static_cast<size_t>(count) * sizeof(T))); }

    bool wantsWeight() const { return a.weightGradient != nullptr; }

    // Both orders in which products read the weight: columns of vocabulary over the depth of the width, and the
    // other way round. Vocabulary beyond the last is zero.
    void packWeight() {
        const T *from = static_cast<const T *>(a.weight);
        parallelTasks(panels, [&](int64_t panel, int) {
            T *to = weight + panel * panelWidth * a.width;
            const int64_t count = std::min<int64_t>(panelWidth, a.classes - panel * panelWidth);
            for (int64_t lane = 0; lane < panelWidth; lane++) {
                const T *row = from + (panel * panelWidth + lane) * a.width;
                for (int64_t k = 0; k < widthGroups; k++) {
                    T *at = to + (k * panelWidth + lane) * group;
                    if (lane < count) {
                        __builtin_memcpy(at, row + k * group, sizeof(int32_t));
                    } else {
                        __builtin_memset(at, 0, sizeof(int32_t));
                    }
                }
            }
            if (transposed == nullptr) return;
            // [block of vocabulary][panel of the width][group of vocabulary][lane][member]
            for (int64_t lane = 0; lane < panelWidth; lane++) {
                const int64_t inBlock = panel % lossBlockPanels * panelWidth + lane;
                const int64_t blockFirst = panel / lossBlockPanels * lossBlockPanels;
                const int64_t depth = std::min(lossBlockPanels, panels - blockFirst) * panelWidth;
                const T *row = from + (panel * panelWidth + lane) * a.width;
                for (int64_t j = 0; j < widthPanels; j++) {
                    T *block = transposedBlock(blockFirst) + j * depth * panelWidth;
                    T *at = block + inBlock / group * panelWidth * group + inBlock % group;
                    for (int64_t i = 0; i < panelWidth; i++) {
                        const int64_t column = j * panelWidth + i;
                        at[i * group] = lane < count && column < a.width ? row[column] : T(0);
                    }
                }
            }
        });
    }

    T *transposedBlock(int64_t firstPanel) const {
        return transposed + firstPanel * panelWidth * widthPanels * panelWidth;
    }

    void chunk(int64_t first, int64_t count) {
        if (wantsWeight() && count % group != 0) clearRow(count);
        const int64_t few = (count + lossBlockRows - 1) / lossBlockRows;
        // As many blocks for each thread, if each still fills its tiles.
        const int64_t even = roundedUp(few, threads);
        const int64_t blocks = count >= even * 2 * tileRows ? even : few;
        const int64_t height = roundedUp((count + blocks - 1) / blocks, tileRows);
        parallelTasks((count + height - 1) / height, [&](int64_t task, int) {
            block(first, task * height, std::min(height, count - task * height));
        });
        if (wantsWeight()) addWeight(first, count);
    }

    // The last group of an odd chunk reads one row too many.
    void clearRow(int64_t row) {
        for (int64_t panel = 0; panel < panels; panel++) {
            T *to = exponentialGroup(panel, row / group) + row % group;
            for (int64_t lane = 0; lane < panelWidth; lane++) to[lane * group] = T(0);
        }
        for (int64_t d = 0; d <= a.width; d++) scaled[d * stride + row] = T(0);
    }

    T *exponentialGroup(int64_t panel, int64_t rowGroup) const {
        return exponentials + (panel * stride / group + rowGroup) * panelWidth * group;
    }

    // What a task knows of its rows.
    struct Rows {
        float reference[lossBlockRows], target[lossBlockRows];
        Floats highest[lossBlockRows], total[lossBlockRows];
        Floats weighted[lossBlockRows];  // Σ E (logit - r), for the entropy
    };

    // Calls body(row, sums with bias) for each row of a block and one panel.
    template <typename Body>
    void logits(const T *hidden, int64_t count, int64_t panel, Body &&body) const {
        Floats bias[panelVectors];
        for (int j = 0; j < panelVectors; j++) {
            const int64_t at = panel * panelWidth + j * W, left = std::clamp<int64_t>(a.classes - at, 0, W);
            bias[j] = a.bias && left > 0 ? loadUpTo(a.bias + at, left) : (Floats)0.0f;
        }
        const T *right = weight + panel * panelWidth * a.width;
        forEachTile(count, [&](int64_t row, auto height) {
            Floats tile[height][panelVectors] = {};
            multiply<Product, height, panelVectors>(hidden + row * a.width, a.width, right, widthGroups, tile);
            for (int i = 0; i < height; i++) {
                for (int j = 0; j < panelVectors; j++) tile[i][j] += bias[j];
                body(row + i, tile[i]);
            }
        });
    }

    // Rows first + offset ..< first + offset + count: losses, E, and their part of dH.
    void block(int64_t first, int64_t offset, int64_t count) {
        const int64_t row0 = first + offset;
        const T *hidden = static_cast<const T *>(a.hidden) + row0 * a.width;
        const size_t rowBytes = sizeof(Rows);
        const size_t blockBytes = static_cast<size_t>(lossBlockRows * lossBlockPanels * panelWidth) * sizeof(T);
        const size_t sumBytes = static_cast<size_t>(lossBlockRows * widthPanels * panelWidth) * sizeof(float);
        uint8_t *buffer = threadBuffer(1, rowBytes + blockBytes + sumBytes);
        Rows &rows = *reinterpret_cast<Rows *>(buffer);
        T *scratch = reinterpret_cast<T *>(buffer + rowBytes);
        float *hiddenSums = reinterpret_cast<float *>(buffer + rowBytes + blockBytes);

        logits(hidden, count, 0, [&](int64_t row, const Floats (&x)[panelVectors]) {
            float top = -INFINITY;
            float values[panelWidth];
            for (int j = 0; j < panelVectors; j++) store(values + j * W, x[j]);
            for (int64_t i = 0; i < std::min<int64_t>(panelWidth, a.classes); i++) top = std::max(top, values[i]);
            rows.reference[row] = top;
        });
        for (bool isDone = false; !isDone;) {
            walk(first, offset, count, hidden, rows, scratch, hiddenSums);
            isDone = true;
            for (int64_t row = 0; row < count; row++) {
                const float top = largest(rows.highest[row]);
                // E stays below e⁶⁰, and far from what float32 and bfloat16 cannot hold once summed and multiplied.
                if (top > rows.reference[row] + 60) {
                    rows.reference[row] = top;
                    isDone = false;
                }
            }
        }
        finishRows(row0, offset, count, hidden, rows, hiddenSums);
    }

    void walk(int64_t first, int64_t offset, int64_t count, const T *hidden, Rows &rows, T *scratch,
              float *hiddenSums) const {
        for (int64_t row = 0; row < count; row++) {
            rows.highest[row] = (Floats)-INFINITY;
            rows.total[row] = (Floats)0.0f;
            rows.weighted[row] = (Floats)0.0f;
        }
        const bool wantsEntropy = a.entropies != nullptr;
        const int64_t *labels = a.labels + first + offset;
        for (int64_t panel0 = 0; panel0 < panels; panel0 += lossBlockPanels) {
            const int64_t width = std::min(lossBlockPanels, panels - panel0);
            const int64_t columns = width * panelWidth;
            for (int64_t p = 0; p < width; p++) {
                const int64_t panel = panel0 + p;
                const int64_t left = a.classes - panel * panelWidth;
                logits(hidden, count, panel, [&](int64_t row, const Floats (&x)[panelVectors]) {
                    T *to = scratch + row * columns + p * panelWidth;
                    const float reference = rows.reference[row];
                    for (int j = 0; j < panelVectors; j++) {
                        Floats value = x[j], e = exponential(value - reference);
                        if (left < (j + 1) * W) {
                            const auto isThere = laneNumbers() < (Ints)clampedToInt(left - j * W);
                            e = bitsAs<Floats>(bitsAs<Ints>(e) & isThere);
                            value = bitsAs<Floats>((bitsAs<Ints>(value) & isThere) |
                                                   (bitsAs<Ints>((Floats)-INFINITY) & ~isThere));
                        }
                        rows.highest[row] = maximum(rows.highest[row], value);
                        rows.total[row] += e;
                        if (wantsEntropy) rows.weighted[row] += e * (x[j] - reference);
                        store(to + j * W, e);
                    }
                    const int64_t lane = labels[row] - panel * panelWidth;
                    if (lane >= 0 && lane < panelWidth) {
                        float values[panelWidth];
                        for (int j = 0; j < panelVectors; j++) store(values + j * W, x[j]);
                        rows.target[row] = values[lane];
                        to[lane] = T(0);
                    }
                });
            }
            if (wantsWeight()) keep(scratch, columns, offset, count, panel0, width);
            if (a.hiddenGradient) addHidden(scratch, columns, count, panel0, hiddenSums);
        }
    }

    // E in groups of rows, as the right side of a product over rows.
    void keep(const T *scratch, int64_t columns, int64_t offset, int64_t count, int64_t panel0, int64_t width) const {
        for (int64_t p = 0; p < width; p++) {
            for (int64_t row = 0; row < count; row += group) {
                T *to = exponentialGroup(panel0 + p, (offset + row) / group);
                const T *from = scratch + row * columns + p * panelWidth;
                for (int j = 0; j < panelVectors; j++) {
                    if constexpr (group == 1) {
                        store(to + j * W, load(from + j * W));
                    } else {
                        const auto even = __builtin_convertvector(loadVector<Halves>(from + j * W), UInts);
                        UInts odd = (UInts)0u;
                        if (row + 1 < count) {
                            odd = __builtin_convertvector(loadVector<Halves>(from + columns + j * W), UInts);
                        }
                        storeVector(to + j * W * group, even | (odd << 16));
                    }
                }
            }
        }
    }

    void addHidden(const T *scratch, int64_t columns, int64_t count, int64_t panel0, float *hiddenSums) const {
        const int64_t stride = widthPanels * panelWidth;
        for (int64_t j = 0; j < widthPanels; j++) {
            const T *right = transposedBlock(panel0) + j * columns * panelWidth;
            forEachTile(count, [&](int64_t row, auto height) {
                Floats tile[height][panelVectors] = {};
                float *to = hiddenSums + row * stride + j * panelWidth;
                if (panel0 > 0) {
                    for (int i = 0; i < height; i++) {
                        for (int v = 0; v < panelVectors; v++) tile[i][v] = load(to + i * stride + v * W);
                    }
                }
                multiply<Product, height, panelVectors>(scratch + row * columns, columns, right, columns / group, tile);
                for (int i = 0; i < height; i++) {
                    for (int v = 0; v < panelVectors; v++) store(to + i * stride + v * W, tile[i][v]);
                }
            });
        }
    }

    void finishRows(int64_t row0, int64_t offset, int64_t count, const T *hidden, const Rows &rows,
                    const float *hiddenSums) const {
        for (int64_t row = 0; row < count; row++) {
            const float total = sum(rows.total[row]), logSumExp = rows.reference[row] + std::log(total);
            // Differences from the reference: the logarithm of the sum alone has lost the last bits of large logits.
            const float target = rows.target[row] - rows.reference[row];
            const float share = a.weighsByProbability ? std::exp(target) / total : 1.0f, scale = a.scale * share;
            a.losses[row0 + row] = share * (std::log(total) - target + a.zLoss * logSumExp * logSumExp);
            if (a.entropies) {
                a.entropies[row0 + row] = std::log(total) - sum(rows.weighted[row]) / total;
                a.hits[row0 + row] = rows.target[row] >= largest(rows.highest[row]) ? 1.0f : 0.0f;
            }
            const float factor = scale * (1 + 2 * a.zLoss * logSumExp) / total;
            const float label = std::exp(target) * factor - scale;
            a.labelGradients[row0 + row] = label;
            const T *h = hidden + row * a.width;
            if (a.hiddenGradient) {
                const T *w = static_cast<const T *>(a.weight) + a.labels[row0 + row] * a.width;
                const float *from = hiddenSums + row * widthPanels * panelWidth;
                T *to = static_cast<T *>(a.hiddenGradient) + (row0 + row) * a.width;
                forEachVector(a.width, [&](int64_t i, int64_t n) {
                    storeUpTo(to + i, loadUpTo(from + i, n) * factor + loadUpTo(w + i, n) * label, n);
                });
            }
            if (wantsWeight()) {
                T *to = scaled + offset + row;
                forEachVector(a.width, [&](int64_t i, int64_t n) {
                    T values[W];
                    store(values, loadUpTo(h + i, n) * factor);
                    for (int64_t j = 0; j < n; j++) to[(i + j) * stride] = values[j];
                });
                storePart(to + a.width * stride, (Floats)factor, 1);
            }
        }
    }

    // Adds (f H)ᵀ E of a chunk to the sums [panel][width + 1][lane], the last row of which is the bias's.
    void addWeight(int64_t first, int64_t count) {
        const int64_t height = a.width + 1, groups = (count + group - 1) / group;
        parallelTasks(panels, [&](int64_t panel, int) {
            float *to = sums + panel * height * panelWidth;
            forEachTile(height, [&](int64_t row, auto tileHeight) {
                Floats tile[tileHeight][panelVectors] = {};
                float *at = to + row * panelWidth;
                if (first > 0) {
                    for (int i = 0; i < tileHeight; i++) {
                        for (int v = 0; v < panelVectors; v++) tile[i][v] = load(at + i * panelWidth + v * W);
                    }
                }
                multiply<Product, tileHeight, panelVectors>(scaled + row * stride, stride,
                                                            exponentialGroup(panel, 0), groups, tile);
                for (int i = 0; i < tileHeight; i++) {
                    for (int v = 0; v < panelVectors; v++) store(at + i * panelWidth + v * W, tile[i][v]);
                }
            });
        });
    }

    void finishWeight() {
        const int64_t height = a.width + 1;
        parallelTasks(panels, [&](int64_t panel, int) {
            const float *from = sums + panel * height * panelWidth;
            const int64_t count = std::min<int64_t>(panelWidth, a.classes - panel * panelWidth);
            for (int64_t lane = 0; lane < count; lane++) {
                float *to = a.weightGradient + (panel * panelWidth + lane) * a.width;
                for (int64_t d = 0; d < a.width; d++) to[d] = from[d * panelWidth + lane];
                if (a.biasGradient) a.biasGradient[panel * panelWidth + lane] = from[a.width * panelWidth + lane];
            }
        });
        for (int64_t row = 0; row < a.rows; row++) {
            const float label = a.labelGradients[row];
            float *to = a.weightGradient + a.labels[row] * a.width;
            const T *h = static_cast<const T *>(a.hidden) + row * a.width;
            forEachVector(a.width, [&](int64_t i, int64_t n) {
                storeUpTo(to + i, loadUpTo(to + i, n) + loadUpTo(h + i, n) * label, n);
            });
            if (a.biasGradient) a.biasGradient[a.labels[row]] += label;
        }
    }

    const LinearCrossEntropyArguments &a;
    const int64_t panels, widthGroups, widthPanels;
    const int threads;
    int64_t stride = 0;  // rows of a chunk in `scaled`
    T *weight = nullptr, *transposed = nullptr, *exponentials = nullptr, *scaled = nullptr;
    float *sums = nullptr;
    std::vector<AlignedMemory> memory;  // of all these
};

static void linearCrossEntropy(const LinearCrossEntropyArguments &a) {
    a.isBFloat16 ? LossPass<BFloat16Product>(a).run() : LossPass<Float32Product>(a).run();
}
