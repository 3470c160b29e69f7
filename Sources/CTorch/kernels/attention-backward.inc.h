// The gradient of attention over packed sequences, in memory linear in the tokens: weights are made again from the
// scores and the saved log-sum-exp, a block at a time (FlashAttention-2, arXiv 2307.08691).
//
// With P the weights, D the row sums of dO ∘ O and dS = P ∘ (dO Vᵀ - D), all transposed so that keys are rows:
//   dV = Pᵀ dO,  dK = scale dSᵀ Q,  dQᵀ = scale Kᵀ dSᵀ
//
// A task is a range of one head's keys: it packs the queries that see them, walks through its keys in blocks, and
// writes their gradients. Where the keys of a head are divided among tasks, each has sums of its own for the queries,
// which are added in a fixed order afterwards: results do not depend on which thread was first.

// Keys of one block: rows of register tiles, and the depth of the product that gives dQᵀ.
constexpr int64_t gradientKeys = 16 * tileRows;
// Queries of one round: the depth of the products that give dK and dV.
constexpr int64_t gradientQueries = 256;
static_assert(gradientQueries % panelWidth == 0 && gradientKeys % 2 == 0 && tileRows % 2 == 0);

// MARK: One block of keys

template <typename Product>
struct GradientScratch {
    using T = Stored<Product>;
    alignas(64) T keys[gradientKeys * widestHead];
    alignas(64) T values[gradientKeys * widestHead];
    alignas(64) T turnedKeys[widestHead * gradientKeys];                    // Kᵀ
    alignas(64) T pairs[gradientKeys * widestHead];                         // keys in groups, before they are turned
    alignas(64) T weights[gradientKeys * gradientQueries];                  // Pᵀ
    alignas(64) T scores[gradientKeys * gradientQueries];                   // dSᵀ as rows
    alignas(64) T scorePanels[gradientKeys * gradientQueries];              // and as panels
    alignas(64) float keySums[gradientKeys * widestHead];                   // dK
    alignas(64) float valueSums[gradientKeys * widestHead];                 // dV
};

// A range of keys of one head of one sequence, and the panels of queries that see any of them.
struct GradientTask {
    int32_t sequence;
    int64_t head;
    int64_t firstKey, lastKey;
    int64_t firstPanel, endPanel;
    int64_t work;
    int64_t firstSum;  // of its own sums for the queries, in floats; negative: it has the head to itself
};

// Queries of the sequence that see any of the keys `first` ... `last`: an empty range where there is none.
static inline std::pair<int64_t, int64_t> queriesSeeing(const AttentionArguments &a, const Sequence &s, int64_t first,
                                                        int64_t last) {
    const int64_t low = a.right < 0 ? 0 : std::max<int64_t>(0, first - a.right - s.offset());
    const int64_t high = a.left < 0 ? s.queryCount - 1 : std::min(s.queryCount - 1, last + a.left - s.offset());
    return {low, high};
}

// Keys any of the queries `first` ... `last` sees, without regard to how many keys there are.
static inline std::pair<int64_t, int64_t> keysSeenBy(const AttentionArguments &a, const Sequence &s, int64_t first,
                                                     int64_t last) {
    const int64_t low = a.left < 0 ? 0 : std::max<int64_t>(0, first + s.offset() - a.left);
    const int64_t high = a.right < 0 ? s.keyCount - 1 : std::min(s.keyCount - 1, last + s.offset() + a.right);
    return {low, high};
}

template <typename Product>
static void packQueries(const AttentionBackwardArguments &b, const Sequence &s, const GradientTask &task,
                        const PackedQueries<Product> &packed) {
    using T = Stored<Product>;
    const AttentionArguments &a = b.forward;
    const int64_t width = a.width, half = width / 2, stride = PackedQueries<Product>::rowElements(width);
    const int64_t panels = task.endPanel - task.firstPanel;
    const T *queries = static_cast<const T *>(a.queries) + task.head * width;
    const T *gradients = static_cast<const T *>(b.outputGradient) + task.head * width;
    const T *outputs = static_cast<const T *>(a.output) + task.head * width;
    alignas(64) float turned[widestHead];
    for (int64_t panel = 0; panel < panels; panel++) {
        const int64_t first = (task.firstPanel + panel) * panelWidth;
        const int64_t count = std::min<int64_t>(panelWidth, s.queryCount - first);
        __builtin_memset(packed.rows, 0, sizeof(T) * static_cast<size_t>(panelWidth * stride));
        for (int64_t i = 0; i < count; i++) {
            const int64_t row = s.firstQuery + first + i, position = s.firstKey + s.offset() + first + i;
            rotateRow(queries + row * a.queryStride, width, a.cosines ? a.cosines + position * half : nullptr,
                      a.sines ? a.sines + position * half : nullptr, 1, turned);
            roundRow(turned, width, packed.rows + i * stride);
        }
        packed.packPanel(panel, panels, packed.queryColumns, packed.queryDepth);

        for (int64_t i = 0; i < panelWidth; i++) {
            // Padding has no gradient, and its weights come out as 0.
            packed.logSumExp[panel * panelWidth + i] = 1e30f;
            packed.products[panel * panelWidth + i] = 0;
            if (i >= count) {
                __builtin_memset(packed.rows + i * stride, 0, sizeof(T) * static_cast<size_t>(width));
                continue;
            }
            const int64_t row = s.firstQuery + first + i;
            const T *gradient = gradients + row * a.heads * width, *output = outputs + row * a.heads * width;
            __builtin_memcpy(packed.rows + i * stride, gradient, sizeof(T) * static_cast<size_t>(width));
            Floats product = (Floats)0.0f;
            forEachVector(width, [&](int64_t c, int64_t n) {
                product = __builtin_elementwise_fma(loadUpTo(gradient + c, n), loadUpTo(output + c, n), product);
            });
            packed.products[panel * panelWidth + i] = sum(product);
            packed.logSumExp[panel * panelWidth + i] = a.logSumExp[task.head * a.cuQuery[a.sequences] + row] * log2e;
        }
        packed.packPanel(panel, panels, packed.gradientColumns, packed.gradientDepth);
    }
    __builtin_memset(packed.sums, 0,
                     sizeof(float) * static_cast<size_t>(panels * PackedQueries<Product>::sumsPanel(width)));
}

// Rows of keys and values of one block, padded to whole tiles, and Kᵀ.
template <typename Product>
static void prepareKeys(const AttentionArguments &a, const Sequence &s, int64_t head, int64_t firstKey, int64_t rows,
                        GradientScratch<Product> &scratch) {
    using T = Stored<Product>;
    constexpr int group = Product::group;
    const int64_t width = a.width, half = width / 2, stride = roundedUp(width, W);
    const T *keys = static_cast<const T *>(a.keys) + head * width;
    const T *values = static_cast<const T *>(a.values) + head * width;
    alignas(64) float turned[widestHead];
    const size_t padded = static_cast<size_t>(gradientKeys * stride) * sizeof(T);
    if (rows < gradientKeys || width < stride) {
        __builtin_memset(scratch.keys, 0, padded);
        __builtin_memset(scratch.values, 0, padded);
    }
    for (int64_t i = 0; i < rows; i++) {
        const int64_t row = s.firstKey + firstKey + i;
        rotateRow(keys + row * a.keyStride, width, a.cosines ? a.cosines + row * half : nullptr,
                  a.sines ? a.sines + row * half : nullptr, 1, turned);
        roundRow(turned, width, scratch.keys + i * stride);
        __builtin_memcpy(scratch.values + i * stride, values + row * a.valueStride,
                         sizeof(T) * static_cast<size_t>(width));
    }
    if constexpr (group == 1) {
        transposeElements(scratch.keys, stride, scratch.turnedKeys, gradientKeys, gradientKeys, stride);
    } else {
        for (int64_t row = 0; row < gradientKeys; row += 2) {
            for (int64_t c = 0; c < stride; c += W) {
                const T *from = scratch.keys + row * stride + c;
                storeGroups(scratch.pairs + row * stride + c * group, stride, load(from), load(from + stride));
            }
        }
        transposeElements(scratch.pairs, stride, scratch.turnedKeys, gradientKeys / group, gradientKeys / group, stride);
    }
}

// Weights and score gradients of `tileRows` keys by one panel of queries. `seen` gives, for a row of the tile, the
// lanes that see the key; null: all do.
template <typename Product>
static inline __attribute__((always_inline)) void gradientTile(
    const Stored<Product> *keys, const Stored<Product> *values, int64_t stride, const Stored<Product> *queries,
    const Stored<Product> *gradients, int64_t groups, float factor, const float *logSumExp, const float *products,
    const int32_t (*seen)[2], Stored<Product> *weightRows, Stored<Product> *scoreRows, Stored<Product> *scorePanel) {
    constexpr int group = Product::group;
    alignas(64) float weights[tileRows][panelWidth];
    {
        Floats sums[tileRows][panelVectors];
        for (auto &row : sums) {
            for (auto &sum : row) sum = (Floats)0.0f;
        }
        multiply<Product, tileRows, panelVectors>(keys, stride, queries, groups, sums);
        for (int i = 0; i < tileRows; i++) {
            for (int j = 0; j < panelVectors; j++) {
                Floats weight = powerOfTwo(sums[i][j] * factor - load(logSumExp + j * W));
                if (seen != nullptr) {
                    const Ints lane = laneNumbers() + j * W;
                    const Ints isSeen = (lane >= seen[i][0]) & (lane <= seen[i][1]);
                    weight = isSeen ? weight : (Floats)0.0f;
                }
                store(weights[i] + j * W, weight);
                store(weightRows + i * gradientQueries + j * W, weight);
            }
        }
    }
    Floats sums[tileRows][panelVectors];
    for (auto &row : sums) {
        for (auto &sum : row) sum = (Floats)0.0f;
    }
    multiply<Product, tileRows, panelVectors>(values, stride, gradients, groups, sums);
    for (int i = 0; i < tileRows; i += 2) {
        for (int j = 0; j < panelVectors; j++) {
            const Floats product = load(products + j * W);
            const Floats first = load(weights[i] + j * W) * (sums[i][j] - product);
            const Floats second = load(weights[i + 1] + j * W) * (sums[i + 1][j] - product);
            store(scoreRows + i * gradientQueries + j * W, first);
            store(scoreRows + (i + 1) * gradientQueries + j * W, second);
            storeGroups(scorePanel + i * panelWidth + j * W * group, panelWidth, first, second);
        }
    }
}

// sums += rows · panel, both of as many groups as given.
template <typename Product, int height>
static inline __attribute__((always_inline)) void accumulate(const Stored<Product> *rows, int64_t stride,
                                                             const Stored<Product> *panel, int64_t groups, float *to,
                                                             int64_t toStride) {
    Floats sums[height][panelVectors];
    for (int i = 0; i < height; i++) {
        for (int j = 0; j < panelVectors; j++) sums[i][j] = load(to + i * toStride + j * W);
    }
    multiply<Product, height, panelVectors>(rows, stride, panel, groups, sums);
    for (int i = 0; i < height; i++) {
        for (int j = 0; j < panelVectors; j++) store(to + i * toStride + j * W, sums[i][j]);
    }
}

// One row of float32 gradients of turned queries or keys, turned back, scaled and rounded.
template <typename T>
static inline void writeGradient(const float *sums, int64_t width, const float *cosines, const float *sines,
                                 float scale, T *to) {
    if (cosines == nullptr) {
        forEachVector(width, [&](int64_t c, int64_t n) { storeUpTo(to + c, loadUpTo(sums + c, n) * scale, n); });
        return;
    }
    const int64_t half = width / 2;
    forEachVector(half, [&](int64_t i, int64_t n) {
        const Floats c = loadUpTo(cosines + i, n) * scale, s = loadUpTo(sines + i, n) * scale;
        const Floats first = loadUpTo(sums + i, n), second = loadUpTo(sums + half + i, n);
        storeUpTo(to + i, first * c + second * s, n);
        storeUpTo(to + half + i, second * c - first * s, n);
    });
}

template <typename Product>
static void gradientOfKeys(const AttentionBackwardArguments &b, const Sequence &s, const GradientTask &task,
                           int64_t firstKey, int64_t rows, const PackedQueries<Product> &packed,
                           GradientScratch<Product> &scratch) {
    using T = Stored<Product>;
    using Packed = PackedQueries<Product>;
    constexpr int group = Product::group;
    const AttentionArguments &a = b.forward;
    const int64_t width = a.width, half = width / 2, stride = roundedUp(width, W);
    const int64_t groups = (width + group - 1) / group;
    const int64_t depthPanels = Packed::depthPanels(width), sumStride = depthPanels * panelWidth;
    const int64_t paddedRows = roundedUp(rows, tileRows), panels = task.endPanel - task.firstPanel;
    const float factor = a.scale * log2e;

    prepareKeys(a, s, task.head, firstKey, rows, scratch);
    const size_t sumBytes = static_cast<size_t>(paddedRows * sumStride) * sizeof(float);
    __builtin_memset(scratch.keySums, 0, sumBytes);
    __builtin_memset(scratch.valueSums, 0, sumBytes);

    const auto [low, high] = queriesSeeing(a, s, firstKey, firstKey + rows - 1);
    const int64_t endPanel = low > high ? 0 : high / panelWidth + 1 - task.firstPanel;
    constexpr int64_t panelsPerRound = gradientQueries / panelWidth;
    for (int64_t round = low / panelWidth - task.firstPanel; round < endPanel; round += panelsPerRound) {
        const int64_t last = std::min(round + panelsPerRound, endPanel);
        for (int64_t panel = round; panel < last; panel++) {
            const int64_t first = (task.firstPanel + panel) * panelWidth;
            const int64_t at = (panel - round) * panelWidth;
            const T *queries = packed.queryColumns + panel * Packed::columnPanel(width);
            const T *gradients = packed.gradientColumns + panel * Packed::columnPanel(width);
            for (int64_t row = 0; row < paddedRows; row += tileRows) {
                const int64_t key = firstKey + row;
                const auto [lowest, highest] = queriesSeeing(a, s, key, key + tileRows - 1);
                if (lowest >= first + panelWidth || highest < first) continue;
                // Whether every query of the panel sees every key of the tile; padding of queries may see anything.
                const bool isWhole = row + tileRows <= rows &&
                                     (a.right < 0 || first >= key + tileRows - 1 - a.right - s.offset()) &&
                                     (a.left < 0 || first + panelWidth - 1 <= key + a.left - s.offset());
                int32_t seen[tileRows][2];
                if (!isWhole) {
                    for (int i = 0; i < tileRows; i++) {
                        const auto [from, to] = queriesSeeing(a, s, key + i, key + i);
                        seen[i][0] = clampedToInt(row + i < rows ? from - first : panelWidth);
                        seen[i][1] = clampedToInt(to - first);
                    }
                }
                gradientTile<Product>(scratch.keys + row * stride, scratch.values + row * stride, stride, queries,
                                      gradients, groups, factor, packed.logSumExp + panel * panelWidth,
                                      packed.products + panel * panelWidth, isWhole ? nullptr : seen,
                                      scratch.weights + row * gradientQueries + at,
                                      scratch.scores + row * gradientQueries + at,
                                      scratch.scorePanels + at * gradientKeys + row * panelWidth);
            }
        }

        const int64_t firstQuery = (task.firstPanel + round) * panelWidth;
        const int64_t lastQuery = (task.firstPanel + last) * panelWidth - 1;
        for (int64_t row = 0; row < paddedRows; row += tileRows) {
            const auto [lowest, highest] = queriesSeeing(a, s, firstKey + row, firstKey + row + tileRows - 1);
            const int64_t from = std::max<int64_t>(0, lowest - firstQuery) / group * group;
            const int64_t to = roundedUp(std::min(highest, lastQuery) - firstQuery + 1, group);
            if (to <= from) continue;
            for (int64_t d = 0; d < depthPanels; d++) {
                const int64_t query = round * panelWidth + from;
                accumulate<Product, tileRows>(scratch.weights + row * gradientQueries + from, gradientQueries,
                                              packed.depthAt(packed.gradientDepth, panels, d, query),
                                              (to - from) / group, scratch.valueSums + row * sumStride + d * panelWidth,
                                              sumStride);
                accumulate<Product, tileRows>(scratch.scores + row * gradientQueries + from, gradientQueries,
                                              packed.depthAt(packed.queryDepth, panels, d, query), (to - from) / group,
                                              scratch.keySums + row * sumStride + d * panelWidth, sumStride);
            }
        }

        for (int64_t panel = round; panel < last; panel++) {
            const int64_t first = (task.firstPanel + panel) * panelWidth;
            const auto [lowest, highest] = keysSeenBy(a, s, first, std::min(first + panelWidth, s.queryCount) - 1);
            const int64_t from = std::max<int64_t>(0, lowest - firstKey) / group * group;
            const int64_t to = roundedUp(std::min(highest - firstKey + 1, rows), group);
            if (to <= from) continue;
            const T *scores = scratch.scorePanels + (panel - round) * panelWidth * gradientKeys + from * panelWidth;
            float *sums = packed.sums + panel * Packed::sumsPanel(width);
            forEachTile(width, [&](int64_t column, auto height) {
                accumulate<Product, height>(scratch.turnedKeys + column * gradientKeys + from, gradientKeys, scores,
                                            (to - from) / group, sums + column * panelWidth, panelWidth);
            });
        }
    }

    T *keyGradients = static_cast<T *>(b.keyGradients) + task.head * width;
    T *valueGradients = static_cast<T *>(b.valueGradients) + task.head * width;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t row = s.firstKey + firstKey + i;
        writeGradient(scratch.keySums + i * sumStride, width, a.cosines ? a.cosines + row * half : nullptr,
                      a.sines ? a.sines + row * half : nullptr, a.scale, keyGradients + row * b.keyGradientStride);
        writeGradient(scratch.valueSums + i * sumStride, width, nullptr, nullptr, 1,
                      valueGradients + row * b.valueGradientStride);
    }
}

// Gradients of the queries of one panel from dQᵀ.
template <typename Product>
static void finishQueries(const AttentionBackwardArguments &b, const Sequence &s, int64_t head, int64_t panel,
                          const float *sums) {
    using T = Stored<Product>;
    const AttentionArguments &a = b.forward;
    const int64_t width = a.width, half = width / 2, stride = roundedUp(width, W);
    alignas(64) float rows[panelWidth * widestHead];
    transposeElements(sums, panelWidth, rows, stride, stride, panelWidth);
    T *gradients = static_cast<T *>(b.queryGradients) + head * width;
    const int64_t first = panel * panelWidth, end = std::min(first + panelWidth, s.queryCount);
    for (int64_t query = first; query < end; query++) {
        const int64_t position = s.firstKey + s.offset() + query;
        writeGradient(rows + (query - first) * stride, width, a.cosines ? a.cosines + position * half : nullptr,
                      a.sines ? a.sines + position * half : nullptr, a.scale,
                      gradients + (s.firstQuery + query) * b.queryGradientStride);
    }
}

// MARK: Division of work

template <typename Product>
static void attentionBackwardOf(const AttentionBackwardArguments &b) {
    using Packed = PackedQueries<Product>;
    const AttentionArguments &a = b.forward;
    const int threads = threadCount();
    const auto reach = [&](const Sequence &s) {
        const int64_t before = a.left < 0 ? s.keyCount / 2 : a.left, after = a.right < 0 ? s.keyCount / 2 : a.right;
        return std::min(s.keyCount, before + after + 1);
    };
    int64_t work = 0;
    for (int32_t i = 0; i < a.sequences; i++) work += sequenceOf(a, i).queryCount * reach(sequenceOf(a, i)) * a.heads;
    const int64_t workPerTask = threads == 1 ? work : work / (threads * tasksPerThread);

    std::vector<GradientTask> tasks;
    std::vector<std::pair<size_t, size_t>> divided;  // heads with several tasks: the first and one beyond the last
    int64_t sums = 0, mostPanels = 0;
    bool hasOwnSums = false;
    for (int32_t i = 0; i < a.sequences; i++) {
        const Sequence s = sequenceOf(a, i);
        if (s.keyCount == 0) continue;
        const int64_t blocks = (s.keyCount + gradientKeys - 1) / gradientKeys;
        const int64_t wanted = (s.queryCount * reach(s) + workPerTask - 1) / std::max<int64_t>(1, workPerTask);
        const int64_t shares = std::clamp<int64_t>(wanted, 1, blocks);
        for (int64_t head = 0; head < a.heads; head++) {
            if (shares > 1) divided.push_back({tasks.size(), tasks.size() + static_cast<size_t>(shares)});
            for (int64_t share = 0; share < shares; share++) {
                const int64_t first = blocks * share / shares * gradientKeys;
                const int64_t last = std::min(s.keyCount, blocks * (share + 1) / shares * gradientKeys) - 1;
                const auto [low, high] = queriesSeeing(a, s, first, last);
                GradientTask task{i, head, first, last, 0, 0, 0, -1};
                if (low <= high) {
                    task.firstPanel = low / panelWidth;
                    task.endPanel = high / panelWidth + 1;
                }
                const int64_t panels = task.endPanel - task.firstPanel;
                task.work = (last - first + 1) * std::min(reach(s), panels * panelWidth);
                if (shares > 1) {
                    task.firstSum = sums;
                    sums += panels * Packed::sumsPanel(a.width);
                } else {
                    hasOwnSums = true;
                }
                mostPanels = std::max(mostPanels, panels);
                tasks.push_back(task);
            }
        }
    }
    const AlignedMemory sumMemory = allocateAligned(static_cast<size_t>(sums) * sizeof(float));
    float *sharedSums = static_cast<float *>(sumMemory.get());

    // The largest first, so that none is left running alone at the end.
    std::vector<size_t> order(tasks.size());
    for (size_t i = 0; i < order.size(); i++) order[i] = i;
    std::sort(order.begin(), order.end(), [&](size_t x, size_t y) {
        return tasks[x].work != tasks[y].work ? tasks[x].work > tasks[y].work : x < y;
    });

    const size_t packedBytes = Packed::bytes(mostPanels, a.width, hasOwnSums);
    parallelTasks(static_cast<int64_t>(order.size()), [&](int64_t index, int) {
        const GradientTask &task = tasks[order[static_cast<size_t>(index)]];
        const Sequence s = sequenceOf(a, task.sequence);
        const Packed packed(threadBuffer(3, packedBytes), task.endPanel - task.firstPanel, a.width,
                            task.firstSum < 0 ? nullptr : sharedSums + task.firstSum);
        auto &scratch = *reinterpret_cast<GradientScratch<Product> *>(
            threadBuffer(2, sizeof(GradientScratch<Product>)));
        packQueries(b, s, task, packed);
        for (int64_t key = task.firstKey; key <= task.lastKey; key += gradientKeys) {
            gradientOfKeys(b, s, task, key, std::min(gradientKeys, task.lastKey + 1 - key), packed, scratch);
        }
        if (task.firstSum >= 0) return;
        for (int64_t panel = task.firstPanel; panel < task.endPanel; panel++) {
            finishQueries<Product>(b, s, task.head, panel,
                                   packed.sums + (panel - task.firstPanel) * Packed::sumsPanel(a.width));
        }
    });

    parallelTasks(static_cast<int64_t>(divided.size()), [&](int64_t index, int) {
        const auto [first, end] = divided[static_cast<size_t>(index)];
        const Sequence s = sequenceOf(a, tasks[first].sequence);
        const int64_t size = Packed::sumsPanel(a.width);
        auto *total = reinterpret_cast<float *>(threadBuffer(2, static_cast<size_t>(size) * sizeof(float)));
        for (int64_t panel = 0; panel * panelWidth < s.queryCount; panel++) {
            __builtin_memset(total, 0, static_cast<size_t>(size) * sizeof(float));
            for (size_t i = first; i < end; i++) {
                const GradientTask &task = tasks[i];
                if (panel < task.firstPanel || panel >= task.endPanel) continue;
                const float *part = sharedSums + task.firstSum + (panel - task.firstPanel) * size;
                for (int64_t c = 0; c < size; c += W) store(total + c, load(total + c) + load(part + c));
            }
            finishQueries<Product>(b, s, tasks[first].head, panel, total);
        }
    });
}

static void attentionBackward(const AttentionBackwardArguments &b, bool isBFloat16) {
    if (isBFloat16) {
        attentionBackwardOf<BFloat16Product>(b);
    } else {
        attentionBackwardOf<Float32Product>(b);
    }
}
