// Attention over packed sequences: softmax(q kᵀ scale) v with a window, never more than a block of scores at a time.
//
// - Keys become panels of the score product and values panels of the mixing product once a head, rotated on the way.
// - Queries go in blocks; only panels of keys that meet the block's window are visited, so that a local layer costs
//   tokens × window.
// - The softmax is kept online over blocks of keys (Milakov and Gimelshein, arXiv 1805.02867; FlashAttention,
//   arXiv 2205.14135), in powers of two: log₂ e joins the scale.

constexpr int64_t queryBlock = 8 * tileRows;
// Keys of one round of the softmax. Scores of a query block by a round stay in the second-level cache.
constexpr int64_t keyBlock = 256;
static_assert(keyBlock % panelWidth == 0);

constexpr float unseen = -1e30f;
constexpr float log2e = 1.44269504f;

// 2ˣ for x ≤ 0, relative error 2e-7 after range reduction; below -126 the smallest normal number, which a softmax
// cannot tell from 0. The polynomial is a minimax fit on [-½, ½].
static inline Floats powerOfTwo(Floats x) {
    x = maximum((Floats)-126.0f, x);
    constexpr float shift = 12582912.0f;  // 1.5 · 2²³: adding it rounds to an integer
    const Floats shifted = x + shift;
    const Floats f = x - (shifted - shift);
    Floats p = f * 0.00132764713f + 0.00967554189f;
    p = p * f + 0.0555071309f;
    p = p * f + 0.240221202f;
    p = p * f + 0.693146944f;
    p = p * f + 1.00000012f;
    return bitsAs<Floats>(bitsAs<Ints>(p) + (bitsAs<Ints>(shifted) << 23));
}

// Where a head's packed keys and values lie, and how large they are.
template <typename Product>
struct PackedHead {
    using T = Stored<Product>;
    T *keys;
    T *values;
    int64_t valueGroups;  // groups of keys in a panel of values

    static int64_t keyGroups(int64_t width) { return (width + Product::group - 1) / Product::group; }
    static int64_t valuePanels(int64_t width) { return (width + panelWidth - 1) / panelWidth; }
    // Elements of keys and of values for `count` keys.
    static int64_t keyElements(int64_t count, int64_t width) {
        return roundedUp(count, panelWidth) * keyGroups(width) * Product::group;
    }
    static int64_t valueElements(int64_t count, int64_t width) {
        return roundedUp(count, panelWidth) * valuePanels(width) * panelWidth;
    }
};

// One row of queries or keys of one head, turned by its position: (x₁ cos - x₂ sin, x₂ cos + x₁ sin).
template <typename T>
static inline void rotateRow(const T *x, int64_t width, const float *cosines, const float *sines, float factor,
                             float *out) {
    if (cosines == nullptr) {
        forEachVector(width, [&](int64_t i, int64_t count) {
            storeUpTo(out + i, loadUpTo(x + i, count) * factor, count);
        });
        return;
    }
    const int64_t half = width / 2;
    forEachVector(half, [&](int64_t i, int64_t count) {
        const Floats c = loadUpTo(cosines + i, count) * factor, s = loadUpTo(sines + i, count) * factor;
        const Floats first = loadUpTo(x + i, count), second = loadUpTo(x + half + i, count);
        storeUpTo(out + i, first * c - second * s, count);
        storeUpTo(out + half + i, second * c + first * s, count);
    });
}

// Asks for a row that is read soon: those of one head lie too far apart for the processor to foresee them.
template <typename T>
static inline void fetchAhead(const T *row, int64_t width) {
    for (int64_t i = 0; i < width; i += 64 / static_cast<int64_t>(sizeof(T))) __builtin_prefetch(row + i);
}

template <typename T>
static inline void roundRow(const float *x, int64_t count, T *out) {
    forEachVector(count, [&](int64_t i, int64_t n) { storeUpTo(out + i, loadUpTo(x + i, n), n); });
}

// One vector of values: the same columns of `group` neighbouring keys, element by element.
template <typename Product>
static inline void packValues(const float *const (&rows)[1], int64_t column, int64_t count, float *to) {
    storeUpTo(to + column, loadUpTo(rows[0] + column, count), count);
}

template <typename Product>
static inline void packValues(const BFloat *const (&rows)[2], int64_t column, int64_t count, BFloat *to) {
    const auto bits = [&](const BFloat *row) {
        Halves part = {};
        __builtin_memcpy(&part, row + column, static_cast<size_t>(count) * sizeof(BFloat));
        return __builtin_convertvector(part, UInts);
    };
    const UInts pairs = bits(rows[0]) | bits(rows[1]) << 16;
    __builtin_memcpy(to + 2 * column, &pairs, static_cast<size_t>(count) * sizeof(uint32_t));
}

// Packs keys `first` ..< `last` (first on a panel's edge) of `count` of one head; what lies beyond `count` is zero.
template <typename Product>
static void packKeys(const AttentionArguments &a, int64_t firstRow, int64_t head, int64_t first, int64_t last,
                     int64_t count, const PackedHead<Product> &to) {
    using T = Stored<Product>;
    constexpr int group = Product::group;
    static_assert(group * sizeof(T) == sizeof(int32_t));
    const int64_t width = a.width, groups = PackedHead<Product>::keyGroups(width);
    const T *keys = static_cast<const T *>(a.keys) + head * width;
    const T *values = static_cast<const T *>(a.values) + head * width;
    const int64_t end = std::min(roundedUp(last, panelWidth), roundedUp(count, panelWidth));

    // A group of elements is one 32-bit word: W keys by W words are turned at a time.
    alignas(64) float turned[widestHead];
    alignas(64) T rows[W][widestHead] = {};
    for (int64_t key = first; key < end; key += W) {
        for (int64_t i = 0; i < W; i++) {
            if (key + i < count) {
                const int64_t source = firstRow + key + i;
                if (key + i + W < count) {
                    fetchAhead(keys + (source + W) * a.keyStride, width);
                    fetchAhead(values + (source + W) * a.valueStride, width);
                }
                const float *cosines = a.cosines ? a.cosines + source * (width / 2) : nullptr;
                const float *sines = a.sines ? a.sines + source * (width / 2) : nullptr;
                rotateRow(keys + source * a.keyStride, width, cosines, sines, 1, turned);
                roundRow(turned, width, rows[i]);
            } else {
                __builtin_memset(rows[i], 0, sizeof rows[i]);
            }
        }
        T *at = to.keys + (key / panelWidth * panelWidth * groups + key % panelWidth) * group;
        for (int64_t k = 0; k < groups; k += W) {
            Ints block[W];
            for (int i = 0; i < W; i++) block[i] = loadVector<Ints>(rows[i] + k * group);
            transpose(block);
            const int64_t words = std::min<int64_t>(W, groups - k);
            for (int64_t j = 0; j < words; j++) storeVector(at + (k + j) * panelWidth * group, block[j]);
        }
    }

    static constexpr T nothing[panelWidth] = {};
    const int64_t panels = PackedHead<Product>::valuePanels(width);
    for (int64_t key = first; key < end; key += group) {
        for (int64_t panel = 0; panel < panels; panel++) {
            T *at = to.values + (panel * to.valueGroups + key / group) * panelWidth * group;
            const int64_t columns = std::min<int64_t>(panelWidth, width - panel * panelWidth);
            if (columns < panelWidth) __builtin_memset(at, 0, sizeof(T) * panelWidth * group);
            const T *from[group];
            for (int g = 0; g < group; g++) {
                const bool isThere = key + g < count;
                from[g] = isThere ? values + (firstRow + key + g) * a.valueStride + panel * panelWidth : nothing;
            }
            forEachVector(columns, [&](int64_t c, int64_t n) { packValues<Product>(from, c, n, at); });
        }
    }
}

// Buffers for one block of queries.
template <typename Product>
struct BlockScratch {
    using T = Stored<Product>;
    alignas(64) T queries[queryBlock * widestHead];
    alignas(64) float scores[queryBlock * keyBlock];
    alignas(64) T weights[queryBlock * keyBlock];
    alignas(64) float mixed[queryBlock * widestHead];
    alignas(64) float rowMaxima[queryBlock * W];
    alignas(64) float totals[queryBlock * W];  // of the weights, lane by lane
    float largestScore[queryBlock];
    float kept[queryBlock];                    // what the largest score of a new round leaves of earlier ones
};

struct Sequence {
    int64_t firstQuery, queryCount;
    int64_t firstKey, keyCount;  // keys attended to
    int64_t unattended;          // and those behind them

    // Position of the first query among the keys.
    int64_t offset() const { return keyCount + unattended - queryCount; }
};

// Whether the window of the query at a position holds no key that is attended to.
static inline bool seesNothing(const AttentionArguments &a, const Sequence &s, int64_t position) {
    const int64_t low = a.left < 0 ? 0 : position - a.left;
    const int64_t high = a.right < 0 ? s.keyCount - 1 : std::min(s.keyCount - 1, position + a.right);
    return low > high;
}

template <typename Product>
static void attendBlock(const AttentionArguments &a, const Sequence &s, int64_t head, int64_t firstQuery, int64_t rows,
                        const PackedHead<Product> &packed, BlockScratch<Product> &scratch) {
    using T = Stored<Product>;
    constexpr int group = Product::group;
    const int64_t width = a.width, half = width / 2;
    const int64_t keyGroups = PackedHead<Product>::keyGroups(width);
    const int64_t valuePanels = PackedHead<Product>::valuePanels(width);
    const int64_t paddedWidth = roundedUp(width, group);
    const int64_t mixedWidth = valuePanels * panelWidth;
    // Scores stay unscaled until the softmax, so that queries are rounded as the caller rounded them.
    const float factor = a.scale * log2e;

    const T *queries = static_cast<const T *>(a.queries) + head * width;
    alignas(64) float turned[widestHead];
    for (int64_t i = 0; i < rows; i++) {
        const int64_t position = s.firstKey + s.offset() + firstQuery + i;
        const T *query = queries + (s.firstQuery + firstQuery + i) * a.queryStride;
        if (i + tileRows < rows) fetchAhead(query + tileRows * a.queryStride, width);
        rotateRow(query, width,
                  a.cosines ? a.cosines + position * half : nullptr, a.sines ? a.sines + position * half : nullptr,
                  1, turned);
        roundRow(turned, width, scratch.queries + i * paddedWidth);
        for (int64_t k = width; k < paddedWidth; k++) scratch.queries[i * paddedWidth + k] = 0;
        scratch.largestScore[i] = unseen;
    }

    // Keys any query of the block sees.
    const int64_t top = s.offset() + firstQuery, bottom = top + rows - 1;
    const int64_t firstKey = a.left < 0 ? 0 : std::max<int64_t>(0, top - a.left);
    const int64_t lastKey = a.right < 0 ? s.keyCount - 1 : std::min(s.keyCount - 1, bottom + a.right);
    const int64_t firstPanel = firstKey / panelWidth, endPanel = lastKey / panelWidth + 1;
    constexpr int64_t panelsPerRound = keyBlock / panelWidth;

    for (int64_t round = firstPanel; round < endPanel; round += panelsPerRound) {
        const int64_t panels = std::min(panelsPerRound, endPanel - round);
        const int64_t keys = panels * panelWidth;
        for (int64_t i = 0; i < rows; i++) store(scratch.rowMaxima + i * W, (Floats)unseen);

        for (int64_t panel = round; panel < round + panels; panel++) {
            const int64_t key = panel * panelWidth;
            // Whether every query of the block sees every key of the panel.
            const bool isWhole = (a.left < 0 || key >= bottom - a.left) && key + panelWidth <= s.keyCount &&
                                 (a.right < 0 || key + panelWidth - 1 <= top + a.right);
            const T *elements = packed.keys + key * keyGroups * group;
            forEachTile(rows, [&](int64_t row, auto height) {
                Floats sums[height][panelVectors];
                for (int i = 0; i < height; i++) {
                    for (int j = 0; j < panelVectors; j++) sums[i][j] = (Floats)0.0f;
                }
                multiply<Product, height, panelVectors>(scratch.queries + row * paddedWidth, paddedWidth, elements,
                                                        keyGroups, sums);
                for (int i = 0; i < height; i++) {
                    Floats best = load(scratch.rowMaxima + (row + i) * W);
                    float *to = scratch.scores + (row + i) * keyBlock + (panel - round) * panelWidth;
                    const int64_t position = top + row + i;
                    const int64_t low = a.left < 0 ? 0 : position - a.left - key;
                    const int64_t high =
                        (a.right < 0 ? s.keyCount - 1 : std::min(s.keyCount - 1, position + a.right)) - key;
                    for (int j = 0; j < panelVectors; j++) {
                        Floats score = sums[i][j];
                        if (!isWhole) {
                            const Ints lane = laneNumbers() + j * W;
                            const Ints isSeen = (lane >= clampedToInt(low)) & (lane <= clampedToInt(high));
                            score = isSeen ? score : (Floats)unseen;
                        }
                        store(to + j * W, score);
                        best = maximum(best, score);
                    }
                    store(scratch.rowMaxima + (row + i) * W, best);
                }
            });
        }

        const bool isFirst = round == firstPanel;
        // All rows' maxima before all rows' weights: what one row waits for, others fill.
        for (int64_t i = 0; i < rows; i++) {
            const float before = scratch.largestScore[i];
            const float now = maximum(before, largest(load(scratch.rowMaxima + i * W)));
            scratch.largestScore[i] = now;
            scratch.kept[i] = (before - now) * factor;
        }
        for (int64_t i = 0; i < rows; i++) {
            const float top = scratch.largestScore[i] * factor;
            const float *scores = scratch.scores + i * keyBlock;
            T *weights = scratch.weights + i * keyBlock;
            Floats total = (Floats)0.0f;
            for (int64_t k = 0; k < keys; k += W) {
                const Floats weight = powerOfTwo(load(scores + k) * factor - top);
                total += weight;
                store(weights + k, weight);
            }
            if (!isFirst) {
                Floats before = load(scratch.totals + i * W);
                if (scratch.kept[i] < 0) {
                    const Floats kept = powerOfTwo((Floats)scratch.kept[i]);
                    before *= kept;
                    float *mixed = scratch.mixed + i * mixedWidth;
                    for (int64_t c = 0; c < mixedWidth; c += W) store(mixed + c, load(mixed + c) * kept);
                }
                total += before;
            }
            store(scratch.totals + i * W, total);
        }

        for (int64_t panel = 0; panel < valuePanels; panel++) {
            const T *elements =
                packed.values + (panel * packed.valueGroups + round * panelWidth / group) * panelWidth * group;
            forEachTile(rows, [&](int64_t row, auto height) {
                Floats sums[height][panelVectors];
                float *mixed = scratch.mixed + row * mixedWidth + panel * panelWidth;
                for (int i = 0; i < height; i++) {
                    for (int j = 0; j < panelVectors; j++) {
                        sums[i][j] = isFirst ? (Floats)0.0f : load(mixed + i * mixedWidth + j * W);
                    }
                }
                multiply<Product, height, panelVectors>(scratch.weights + row * keyBlock, keyBlock, elements,
                                                        keys / group, sums);
                for (int i = 0; i < height; i++) {
                    for (int j = 0; j < panelVectors; j++) store(mixed + i * mixedWidth + j * W, sums[i][j]);
                }
            });
        }
    }

    T *output = static_cast<T *>(a.output) + head * width;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t row = s.firstQuery + firstQuery + i;
        T *to = output + row * a.heads * width;
        if (a.attended != nullptr && seesNothing(a, s, top + i)) {
            __builtin_memset(to, 0, static_cast<size_t>(width) * sizeof(T));
            continue;
        }
        const float total = sum(load(scratch.totals + i * W));
        const float share = 1 / total;
        const float *mixed = scratch.mixed + i * mixedWidth;
        forEachVector(width, [&](int64_t c, int64_t count) {
            storeUpTo(to + c, loadUpTo(mixed + c, count) * share, count);
        });
        if (a.logSumExp != nullptr) {
            a.logSumExp[head * a.cuQuery[a.sequences] + row] =
                scratch.largestScore[i] * a.scale + std::log(total);
        }
    }
}

static inline Sequence sequenceOf(const AttentionArguments &a, int32_t index) {
    const int64_t keys = a.cuKey[index + 1] - a.cuKey[index];
    const int64_t attended = a.attended != nullptr ? a.attended[index] : keys;
    return {a.cuQuery[index], a.cuQuery[index + 1] - a.cuQuery[index], a.cuKey[index], attended, keys - attended};
}

// A head's packed keys and values up to this many bytes are packed by the thread that uses them, without a barrier
// between packing and use.
constexpr int64_t ownPackingBytes = 512 << 10;

template <typename Product>
static void attentionOf(const AttentionArguments &a) {
    using T = Stored<Product>;
    using Head = PackedHead<Product>;
    int64_t longest = 0;
    for (int32_t i = 0; i < a.sequences; i++) longest = std::max<int64_t>(longest, sequenceOf(a, i).keyCount);
    const auto headAt = [&](T *memory, int64_t count) {
        return Head{memory, memory + Head::keyElements(count, a.width), roundedUp(count, panelWidth) / Product::group};
    };
    const auto elementsFor = [&](int64_t count) {
        return Head::keyElements(count, a.width) + Head::valueElements(count, a.width);
    };
    const auto scratchOf = [] {
        return reinterpret_cast<BlockScratch<Product> *>(threadBuffer(2, sizeof(BlockScratch<Product>)));
    };

    const int64_t longestBytes = elementsFor(longest) * static_cast<int64_t>(sizeof(T));
    const int threads = threadCount();
    if (longestBytes <= ownPackingBytes && (threads == 1 || a.sequences * a.heads >= threads)) {
        parallelTasks(a.sequences * a.heads, [&](int64_t task, int) {
            const Sequence s = sequenceOf(a, static_cast<int32_t>(task / a.heads));
            if (s.queryCount == 0) return;
            const int64_t head = task % a.heads;
            auto *memory = reinterpret_cast<T *>(threadBuffer(3, static_cast<size_t>(longestBytes)));
            const Head packed = headAt(memory, s.keyCount);
            packKeys(a, s.firstKey, head, 0, s.keyCount, s.keyCount, packed);
            for (int64_t query = 0; query < s.queryCount; query += queryBlock) {
                attendBlock(a, s, head, query, std::min(queryBlock, s.queryCount - query), packed, *scratchOf());
            }
        });
        return;
    }

    // Every head's keys and values are packed first; then blocks of queries are handed out.
    constexpr int64_t packBlock = 8 * panelWidth;
    std::vector<int64_t> firstElement, firstPacking{0}, firstBlock{0};
    int64_t elements = 0;
    for (int32_t i = 0; i < a.sequences; i++) {
        const Sequence s = sequenceOf(a, i);
        firstElement.push_back(elements);
        elements += elementsFor(s.keyCount) * a.heads;
        firstPacking.push_back(firstPacking.back() + (s.keyCount + packBlock - 1) / packBlock * a.heads);
        firstBlock.push_back(firstBlock.back() + (s.queryCount + queryBlock - 1) / queryBlock * a.heads);
    }
    const AlignedMemory memory = allocateAligned(static_cast<size_t>(elements) * sizeof(T));
    const auto packedHead = [&](int32_t sequence, const Sequence &s, int64_t head) {
        T *at = static_cast<T *>(memory.get()) + firstElement[static_cast<size_t>(sequence)];
        return headAt(at + head * elementsFor(s.keyCount), s.keyCount);
    };
    const auto ownerOf = [](const std::vector<int64_t> &firsts, int64_t task) {
        return static_cast<int32_t>(std::upper_bound(firsts.begin(), firsts.end(), task) - firsts.begin() - 1);
    };
    parallelTasks(firstPacking.back(), [&](int64_t task, int) {
        const int32_t index = ownerOf(firstPacking, task);
        const Sequence s = sequenceOf(a, index);
        const int64_t local = task - firstPacking[static_cast<size_t>(index)];
        const int64_t head = local % a.heads, first = local / a.heads * packBlock;
        packKeys(a, s.firstKey, head, first, std::min(first + packBlock, s.keyCount), s.keyCount,
                 packedHead(index, s, head));
    });
    parallelTasks(firstBlock.back(), [&](int64_t task, int) {
        const int32_t index = ownerOf(firstBlock, task);
        const Sequence s = sequenceOf(a, index);
        const int64_t local = task - firstBlock[static_cast<size_t>(index)];
        const int64_t blocks = (s.queryCount + queryBlock - 1) / queryBlock;
        // Neighbouring tasks share a head, whose keys and values are then in cache.
        const int64_t head = local / blocks, query = local % blocks * queryBlock;
        attendBlock(a, s, head, query, std::min(queryBlock, s.queryCount - query), packedHead(index, s, head),
                    *scratchOf());
    });
}

static void attention(const AttentionArguments &a, bool isBFloat16) {
    if (isBFloat16) {
        attentionOf<BFloat16Product>(a);
    } else {
        attentionOf<Float32Product>(a);
    }
}
