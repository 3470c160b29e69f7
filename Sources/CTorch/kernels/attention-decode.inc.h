// Attention of one new query for each sequence over its cache: keys and values are read where they lie, once.
//
// A sequence's places lie in pages anywhere in the cache, so that sequences grow and end without moving others, and
// share the pages of a common prefix.
//
// A task is one head of one sequence over a share of its places. A long sequence is divided, so that one sequence of
// few heads still occupies every thread; the shares' softmaxes are then joined.

// Places whose scores are exponentiated together.
constexpr int64_t decodeBlock = 64;
// Fewer places than this are not worth a task of their own.
constexpr int64_t shortestShare = 256;
// Elements of keys below which starting other threads costs more than they save.
constexpr int64_t singleThreadElements = 32 << 10;

// The softmax over a share of the places: weights are relative to 2^largestScore, `mixed` is not yet divided by `total`.
struct DecodeShare {
    float largestScore;
    float total;
    alignas(64) float mixed[widestHead];
};

// q · k over `width` elements for four rows at a time, so that their sums do not wait for each other.
template <typename T>
static inline void scoreRows(const float *query, const T *keys, int64_t stride, int64_t count, int64_t width,
                             float *scores) {
    for (int64_t i = 0; i < count; i += 4) {
        const T *row[4];
        // Beyond the last row the last is read again; its surplus scores are not stored.
        for (int r = 0; r < 4; r++) row[r] = keys + std::min(i + r, count - 1) * stride;
        Floats sums[4];
        for (auto &sum : sums) sum = (Floats)0.0f;
        forEachVector(width, [&](int64_t k, int64_t n) {
            const Floats q = load(query + k);
            for (int r = 0; r < 4; r++) sums[r] = __builtin_elementwise_fma(q, loadUpTo(row[r] + k, n), sums[r]);
        });
        for (int r = 0; r < 4 && i + r < count; r++) scores[i + r] = sum(sums[r]);
    }
}

// mixed += weights · values, `vectors` vectors of the head at a time.
template <int vectors, typename T>
static inline void mixRows(const float *weights, const T *values, int64_t stride, int64_t count, float *mixed) {
    Floats sums[vectors];
    for (int j = 0; j < vectors; j++) sums[j] = load(mixed + j * W);
    for (int64_t i = 0; i < count; i++) {
        const Floats weight = (Floats)weights[i];
        for (int j = 0; j < vectors; j++) {
            sums[j] = __builtin_elementwise_fma(weight, load(values + i * stride + j * W), sums[j]);
        }
    }
    for (int j = 0; j < vectors; j++) store(mixed + j * W, sums[j]);
}

// Where the places of one sequence lie.
struct PageTable {
    const int32_t *pages;
    int64_t pageSize;

    int64_t row(int64_t place) const { return pages[place / pageSize] * pageSize + place % pageSize; }

    // body(row of the first, number of places before it, number of places) for places that lie together.
    template <typename Body>
    void forEachRun(int64_t first, int64_t count, Body body) const {
        for (int64_t done = 0; done < count;) {
            const int64_t together = std::min(count - done, pageSize - (first + done) % pageSize);
            body(row(first + done), done, together);
            done += together;
        }
    }
};

template <typename T>
static void attendPlaces(const float *query, const T *keys, const T *values, int64_t stride, const PageTable &table,
                         int64_t begin, int64_t count, int64_t width, DecodeShare &share) {
    share.largestScore = unseen;
    share.total = 0;
    __builtin_memset(share.mixed, 0, sizeof share.mixed);
    alignas(64) float scores[decodeBlock];
    for (int64_t first = 0; first < count; first += decodeBlock) {
        const int64_t places = std::min(decodeBlock, count - first);
        table.forEachRun(begin + first, places, [&](int64_t row, int64_t before, int64_t together) {
            scoreRows(query, keys + row * stride, stride, together, width, scores + before);
        });
        for (int64_t i = places; i < roundedUp(places, W); i++) scores[i] = unseen;
        Floats best = (Floats)share.largestScore;
        for (int64_t i = 0; i < places; i += W) best = maximum(best, load(scores + i));
        const float now = largest(best);
        if (now > share.largestScore && first > 0) {
            const float factor = powerOfTwo((Floats)(share.largestScore - now))[0];
            share.total *= factor;
            for (int64_t c = 0; c < roundedUp(width, W); c += W) store(share.mixed + c, load(share.mixed + c) * factor);
        }
        share.largestScore = now;
        Floats total = (Floats)0.0f;
        for (int64_t i = 0; i < places; i += W) {
            const Floats weight = powerOfTwo(load(scores + i) - now);
            store(scores + i, weight);
            total += weight;
        }
        // Padding counts 2^-126 each, which no float32 sum above 1 can tell.
        share.total += sum(total);

        table.forEachRun(begin + first, places, [&](int64_t row, int64_t before, int64_t together) {
            const T *rows = values + row * stride;
            const float *weights = scores + before;
            int64_t c = 0;
            for (; c + 4 * W <= width; c += 4 * W) mixRows<4>(weights, rows + c, stride, together, share.mixed + c);
            for (; c + W <= width; c += W) mixRows<1>(weights, rows + c, stride, together, share.mixed + c);
            if (c < width) {
                Floats sums = load(share.mixed + c);
                for (int64_t i = 0; i < together; i++) {
                    sums += weights[i] * loadPart(rows + i * stride + c, width - c);
                }
                store(share.mixed + c, sums);
            }
        });
    }
}

template <typename T>
static void writeDecoded(const DecodeShare &share, int64_t width, T *to) {
    const float factor = 1 / share.total;
    forEachVector(width, [&](int64_t c, int64_t n) { storeUpTo(to + c, load(share.mixed + c) * factor, n); });
}

template <typename T>
static void decodeOf(const DecodeArguments &a) {
    const int64_t width = a.width, stride = a.heads * width, half = width / 2;
    int64_t places = 0;
    for (int64_t b = 0; b < a.sequences; b++) places += a.counts[b];
    const int64_t work = places * a.heads;
    const bool isShared = threadCount() > 1 && work * width > singleThreadElements;
    const int64_t shareLength =
        isShared ? std::max(shortestShare, roundedUp(work / (threadCount() * tasksPerThread), decodeBlock)) : places;

    std::vector<int64_t> firstShare{0};
    for (int64_t b = 0; b < a.sequences; b++) {
        firstShare.push_back(firstShare.back() + std::max<int64_t>(1, (a.counts[b] + shareLength - 1) / shareLength));
    }
    const int64_t shares = firstShare.back();
    std::vector<DecodeShare> parts;
    if (shares > a.sequences) parts.resize(static_cast<size_t>(shares * a.heads));

    const auto attendShare = [&](int64_t task) {
        const int64_t share = task / a.heads, head = task % a.heads;
        const int64_t b = std::upper_bound(firstShare.begin(), firstShare.end(), share) - firstShare.begin() - 1;
        const int64_t ofSequence = firstShare[static_cast<size_t>(b + 1)] - firstShare[static_cast<size_t>(b)];
        const int64_t index = share - firstShare[static_cast<size_t>(b)];
        const int64_t first = a.counts[b] * index / ofSequence, last = a.counts[b] * (index + 1) / ofSequence;
        const float *cosines = a.cosines ? a.cosines + b * half : nullptr;
        const float *sines = a.sines ? a.sines + b * half : nullptr;
        T *keys = static_cast<T *>(a.keys) + head * width;
        T *values = static_cast<T *>(a.values) + head * width;
        const PageTable table{a.pages + a.firstPages[b], a.pageSize};

        alignas(64) float turned[widestHead];
        alignas(64) T rounded[widestHead];
        const int64_t row = b * a.rowStride + head * width;
        if (a.newKeys != nullptr && a.places[b] >= first && a.places[b] < last) {
            rotateRow(static_cast<const T *>(a.newKeys) + row, width, cosines, sines, 1, turned);
            roundRow(turned, width, rounded);
            const int64_t at = table.row(a.places[b]) * stride;
            __builtin_memcpy(keys + at, rounded, sizeof(T) * static_cast<size_t>(width));
            __builtin_memcpy(values + at, static_cast<const T *>(a.newValues) + row,
                             sizeof(T) * static_cast<size_t>(width));
        }
        rotateRow(static_cast<const T *>(a.queries) + row, width, cosines, sines, 1, turned);
        roundRow(turned, width, rounded);
        // What lies beyond the width meets zeros of the key.
        __builtin_memset(turned, 0, sizeof turned);
        forEachVector(width, [&](int64_t k, int64_t n) {
            storeUpTo(turned + k, loadUpTo(rounded + k, n) * (a.scale * log2e), n);
        });

        DecodeShare whole;
        DecodeShare &result = parts.empty() ? whole : parts[static_cast<size_t>(task)];
        attendPlaces(turned, keys, values, stride, table, first, last - first, width, result);
        if (ofSequence == 1) writeDecoded(result, width, static_cast<T *>(a.output) + b * stride + head * width);
    };
    if (isShared) {
        parallelTasks(shares * a.heads, [&](int64_t task, int) { attendShare(task); });
    } else {
        for (int64_t task = 0; task < shares * a.heads; task++) attendShare(task);
    }

    for (int64_t b = 0; b < a.sequences; b++) {
        const int64_t first = firstShare[static_cast<size_t>(b)], end = firstShare[static_cast<size_t>(b + 1)];
        if (end - first == 1) continue;
        for (int64_t head = 0; head < a.heads; head++) {
            DecodeShare &whole = parts[static_cast<size_t>(first * a.heads + head)];
            for (int64_t share = first + 1; share < end; share++) {
                const DecodeShare &part = parts[static_cast<size_t>(share * a.heads + head)];
                const float now = std::max(whole.largestScore, part.largestScore);
                const float kept = powerOfTwo((Floats)(whole.largestScore - now))[0];
                const float added = powerOfTwo((Floats)(part.largestScore - now))[0];
                for (int64_t c = 0; c < width; c += W) {
                    store(whole.mixed + c, load(whole.mixed + c) * kept + load(part.mixed + c) * added);
                }
                whole.total = whole.total * kept + part.total * added;
                whole.largestScore = now;
            }
            writeDecoded(whole, width, static_cast<T *>(a.output) + b * stride + head * width);
        }
    }
}

static void decode(const DecodeArguments &a, bool isBFloat16) {
    if (isBFloat16) {
        decodeOf<BFloat>(a);
    } else {
        decodeOf<float>(a);
    }
}
