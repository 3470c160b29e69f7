// MaxSim: for a query and a document of several rows each, Σ over the query's rows of the largest product with one of
// the document's.
//
// - Queries are packed into panels; documents are read where they lie, once for each panel, and need no padding.
// - Products are compared while they are in registers, so that nothing of the size of query × document is in memory.

// Rows of one query side by side, as one tile is wide or narrower: `vectors` vectors, of which `rows` lanes count.
struct QueryPanel {
    const float *elements;
    int vectors;
    int64_t rows;
};

// The sum over a panel's lanes of the largest product with a row of the document. NaN and infinity give NaN.
template <int vectors>
static inline float largestProducts(const float *document, int64_t rows, int64_t width, const QueryPanel &panel) {
    Floats best[vectors], finite[vectors];
    for (int j = 0; j < vectors; j++) {
        best[j] = (Floats)-INFINITY;
        finite[j] = (Floats)0.0f;
    }
    forEachTile(rows, [&](int64_t row, auto height) {
        Floats sums[height][vectors];
        for (int i = 0; i < height; i++) {
            for (int j = 0; j < vectors; j++) sums[i][j] = (Floats)0.0f;
        }
        multiply<Float32Product, height, vectors>(document + row * width, width, panel.elements, width, sums);
        for (int i = 0; i < height; i++) {
            for (int j = 0; j < vectors; j++) {
                best[j] = maximum(best[j], sums[i][j]);
                finite[j] += sums[i][j] * 0.0f;
            }
        }
    });
    Floats total = (Floats)0.0f;
    for (int j = 0; j < vectors; j++) {
        const auto counts = laneNumbers() < (Ints)clampedToInt(panel.rows - j * W);
        total += counts ? best[j] + finite[j] : (Floats)0.0f;
    }
    return sum(total);
}

static float maxSimOf(const float *document, int64_t rows, int64_t width, const QueryPanel &panel) {
    switch (panel.vectors) {
        case 1: return largestProducts<1>(document, rows, width, panel);
        case 2: return largestProducts<2>(document, rows, width, panel);
        case 3: return largestProducts<std::min(3, panelVectors)>(document, rows, width, panel);
        default: return largestProducts<panelVectors>(document, rows, width, panel);
    }
}

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

    constexpr int64_t block = 4;
    parallelTasks((a.documentCount + block - 1) / block, [&](int64_t task, int) {
        for (int64_t d = task * block; d < std::min<int64_t>(a.documentCount, (task + 1) * block); d++) {
            const float *document = a.documents + a.cuDocuments[d] * a.width;
            const int64_t rows = a.cuDocuments[d + 1] - a.cuDocuments[d];
            const int64_t first = a.isPairwise ? d : 0, last = a.isPairwise ? d + 1 : a.queryCount;
            for (int64_t q = first; q < last; q++) {
                float score = rows == 0 ? emptyDocumentScore : 0;
                for (int64_t p = firstPanel[q]; rows > 0 && p < firstPanel[q + 1]; p++) {
                    score += maxSimOf(document, rows, a.width, panels[p]);
                }
                a.scores[a.isPairwise ? d : q * a.documentCount + d] = score;
            }
        }
    });
}
