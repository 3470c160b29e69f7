// MaxSim: for a query and a document of several rows each, Σ over the query's rows of the largest product with one of
// the document's.
//
// - Queries are packed into panels; documents are read where they lie, once for each panel, and need no padding.
// - Products are compared while they are in registers, so that nothing of the size of query × document is in memory.
// - A training pass keeps the document's row that each product is with, and its gradients are sums of so many rows: those
//   of a query in the order of the documents, those of a document in the order of the queries, on one thread each.

// Rows of one query side by side, as one tile is wide or narrower: `vectors` vectors, of which `rows` lanes count.
struct QueryPanel {
    const float *elements;
    int vectors;
    int64_t rows;
};

// A document with at least one row.
struct DocumentRows {
    const float *elements;
    int64_t rows, width;
    bool competesWithZero;
};

// The sum over a panel's lanes of the largest product with a row of the document. NaN and infinity give NaN. Where places
// are kept, each lane's is the first row with its largest product, or with NaN; -1 where 0 is larger.
template <int vectors, bool keepsPlaces>
static inline float largestProducts(const DocumentRows &document, const QueryPanel &panel, int32_t *places) {
    const int64_t width = document.width;
    Floats best[vectors], finite[vectors];
    Ints place[vectors];
    for (int j = 0; j < vectors; j++) {
        best[j] = (Floats)-INFINITY;
        finite[j] = (Floats)0.0f;
        place[j] = (Ints)0;
    }
    forEachTile(document.rows, [&](int64_t row, auto height) {
        Floats sums[height][vectors];
        for (int i = 0; i < height; i++) {
            for (int j = 0; j < vectors; j++) sums[i][j] = (Floats)0.0f;
        }
        multiply<Float32Product, height, vectors>(document.elements + row * width, width, panel.elements, width, sums);
        for (int i = 0; i < height; i++) {
            for (int j = 0; j < vectors; j++) {
                if constexpr (keepsPlaces) {
                    const auto isNext = ~(sums[i][j] <= best[j]) & (finite[j] == finite[j]);
                    place[j] = isNext ? (Ints)static_cast<int32_t>(row + i) : place[j];
                }
                best[j] = maximum(best[j], sums[i][j]);
                finite[j] += sums[i][j] * 0.0f;
            }
        }
    });
    Floats total = (Floats)0.0f;
    for (int j = 0; j < vectors; j++) {
        const auto counts = laneNumbers() < (Ints)clampedToInt(panel.rows - j * W);
        if (document.competesWithZero) {
            const auto isBelow = (best[j] < (Floats)0.0f) & (finite[j] == finite[j]);
            best[j] = isBelow ? (Floats)0.0f : best[j];
            place[j] = isBelow ? (Ints)-1 : place[j];
        }
        if constexpr (keepsPlaces) {
            const int64_t count = std::clamp<int64_t>(panel.rows - j * W, 0, W);
            __builtin_memcpy(places + j * W, &place[j], static_cast<size_t>(count) * sizeof(int32_t));
        }
        total += counts ? best[j] + finite[j] : (Floats)0.0f;
    }
    return sum(total);
}

template <bool keepsPlaces>
static float maxSimOf(const DocumentRows &document, const QueryPanel &panel, int32_t *places) {
    switch (panel.vectors) {
        case 1: return largestProducts<1, keepsPlaces>(document, panel, places);
        case 2: return largestProducts<2, keepsPlaces>(document, panel, places);
        case 3: return largestProducts<std::min(3, panelVectors), keepsPlaces>(document, panel, places);
        default: return largestProducts<panelVectors, keepsPlaces>(document, panel, places);
    }
}

// The queries that meet a document: all, or its own.
static inline std::pair<int64_t, int64_t> queriesOf(const MaxSimArguments &a, int64_t document) {
    if (a.documentsPerQuery == 0) return {0, a.queryCount};
    return {document / a.documentsPerQuery, document / a.documentsPerQuery + 1};
}

// Where the places of a query's rows with a document begin: those of a query lie together, and in them those of a
// document.
static inline int64_t firstPlace(const MaxSimArguments &a, int64_t query, int64_t document) {
    const int64_t documents = a.documentsPerQuery == 0 ? a.documentCount : a.documentsPerQuery;
    const int64_t rows = a.cuQueries[query + 1] - a.cuQueries[query];
    return a.cuQueries[query] * documents + document % documents * rows;
}

// Where the score of a query with a document is.
static inline int64_t scorePlace(const MaxSimArguments &a, int64_t query, int64_t document) {
    return a.documentsPerQuery == 0 ? query * a.documentCount + document : document;
}

// Documents of one task.
constexpr int64_t maxSimDocuments = 4;

static void maxSim(const MaxSimArguments &a) {
    // Where the panels of each query start, the number of all at the end, and how many vectors lie before each.
    std::vector<int64_t> firstPanel{0}, firstVector{0};
    std::vector<QueryPanel> panels;
    for (int32_t q = 0; q < a.queryCount; q++) {
        for (int64_t row = a.cuQueries[q]; row < a.cuQueries[q + 1]; row += panelWidth) {
            const int64_t rows = std::min<int64_t>(panelWidth, a.cuQueries[q + 1] - row);
            const int vectors = static_cast<int>((rows + W - 1) / W);
            panels.push_back({nullptr, vectors, rows});
            firstVector.push_back(firstVector.back() + vectors);
        }
        firstPanel.push_back(static_cast<int64_t>(panels.size()));
    }
    const size_t bytes = static_cast<size_t>(firstVector.back() * W * a.width) * sizeof(float);
    const AlignedMemory memory = allocateAligned(std::max<size_t>(bytes, 64));
    parallelTasks(a.queryCount, [&](int64_t q, int) {
        for (int64_t index = firstPanel[q]; index < firstPanel[q + 1]; index++) {
            QueryPanel &panel = panels[index];
            float *to = static_cast<float *>(memory.get()) + firstVector[index] * W * a.width;
            const int64_t lanes = panel.vectors * W;
            const float *from = a.queries + (a.cuQueries[q] + (index - firstPanel[q]) * panelWidth) * a.width;
            for (int64_t lane = 0; lane < lanes; lane++) {
                for (int64_t k = 0; k < a.width; k++) {
                    to[k * lanes + lane] = lane < panel.rows ? from[lane * a.width + k] : 0;
                }
            }
            panel.elements = to;
        }
    });

    parallelTasks((a.documentCount + maxSimDocuments - 1) / maxSimDocuments, [&](int64_t task, int) {
        const int64_t end = std::min<int64_t>(a.documentCount, (task + 1) * maxSimDocuments);
        for (int64_t d = task * maxSimDocuments; d < end; d++) {
            const DocumentRows document = {a.documents + a.cuDocuments[d] * a.width,
                                           a.cuDocuments[d + 1] - a.cuDocuments[d], a.width,
                                           a.competesWithZero != nullptr && a.competesWithZero[d]};
            const auto [first, last] = queriesOf(a, d);
            for (int64_t q = first; q < last; q++) {
                const bool isEmpty = document.rows == 0;
                float score = isEmpty && !document.competesWithZero ? emptyDocumentScore : 0;
                int32_t *places = a.places ? a.places + firstPlace(a, q, d) : nullptr;
                if (isEmpty && places) std::fill_n(places, a.cuQueries[q + 1] - a.cuQueries[q], -1);
                for (int64_t p = firstPanel[q]; !isEmpty && p < firstPanel[q + 1]; p++) {
                    score += places ? maxSimOf<true>(document, panels[p], places)
                                    : maxSimOf<false>(document, panels[p], nullptr);
                    if (places) places += panels[p].rows;
                }
                a.scores[scorePlace(a, q, d)] = score;
            }
        }
    });
}

static void maxSimBackward(const MaxSimBackwardArguments &b) {
    const MaxSimArguments &a = b.forward;
    if (b.queryGradients) {
        // Few enough rows for the first-level cache.
        constexpr int64_t block = 16;
        std::vector<std::pair<int32_t, int32_t>> blocks;  // query, first of its rows
        for (int32_t q = 0; q < a.queryCount; q++) {
            for (int32_t row = a.cuQueries[q]; row < a.cuQueries[q + 1]; row += block) blocks.push_back({q, row});
        }
        parallelTasks(static_cast<int64_t>(blocks.size()), [&](int64_t task, int) {
            const auto [q, firstRow] = blocks[static_cast<size_t>(task)];
            const int64_t count = std::min<int64_t>(block, a.cuQueries[q + 1] - firstRow);
            float *to = b.queryGradients + firstRow * a.width;
            std::fill_n(to, count * a.width, 0.0f);
            const int64_t first = static_cast<int64_t>(q) * a.documentsPerQuery;
            const int64_t last = a.documentsPerQuery == 0 ? a.documentCount : first + a.documentsPerQuery;
            for (int64_t d = first; d < last; d++) {
                const float gradient = b.scoreGradients[scorePlace(a, q, d)];
                if (gradient == 0) continue;
                const int32_t *places = a.places + firstPlace(a, q, d) + (firstRow - a.cuQueries[q]);
                const float *document = a.documents + a.cuDocuments[d] * a.width;
                for (int64_t i = 0; i < count; i++) {
                    if (places[i] >= 0) addScaled(to + i * a.width, gradient, document + places[i] * a.width, a.width);
                }
            }
        });
    }
    if (b.documentGradients) {
        parallelTasks((a.documentCount + maxSimDocuments - 1) / maxSimDocuments, [&](int64_t task, int) {
            const int64_t end = std::min<int64_t>(a.documentCount, (task + 1) * maxSimDocuments);
            for (int64_t d = task * maxSimDocuments; d < end; d++) {
                float *to = b.documentGradients + a.cuDocuments[d] * a.width;
                std::fill_n(to, (a.cuDocuments[d + 1] - a.cuDocuments[d]) * a.width, 0.0f);
                const auto [first, last] = queriesOf(a, d);
                for (int64_t q = first; q < last; q++) {
                    const float gradient = b.scoreGradients[scorePlace(a, q, d)];
                    if (gradient == 0) continue;
                    const int32_t *places = a.places + firstPlace(a, q, d);
                    for (int64_t row = a.cuQueries[q]; row < a.cuQueries[q + 1]; row++) {
                        const int32_t place = places[row - a.cuQueries[q]];
                        if (place >= 0) addScaled(to + place * a.width, gradient, a.queries + row * a.width, a.width);
                    }
                }
            }
        });
    }
}
