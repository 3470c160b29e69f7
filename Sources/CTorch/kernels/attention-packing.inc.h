// What the gradient of attention reads: a task's queries and their gradients in the order each of its products takes
// them. Rows and columns are exchanged in registers, a square block of 32-bit elements at a time.

// to[c][r] = from[r][c] for 32-bit elements; `rows` and `columns` are multiples of W.
static inline void transposeElements(const void *from, int64_t fromStride, void *to, int64_t toStride, int64_t rows,
                                     int64_t columns) {
    const auto *in = static_cast<const int32_t *>(from);
    auto *out = static_cast<int32_t *>(to);
    for (int64_t r = 0; r < rows; r += W) {
        for (int64_t c = 0; c < columns; c += W) {
            Ints block[W];
            for (int i = 0; i < W; i++) block[i] = loadVector<Ints>(in + (r + i) * fromStride + c);
            transpose(block);
            for (int i = 0; i < W; i++) storeVector(out + (c + i) * toStride + r, block[i]);
        }
    }
}

// Two rows as groups along the depth: for bfloat16 pairs of one column, for float32 one row after the other.
template <typename T>
static inline void storeGroups(T *to, int64_t rowElements, Floats first, Floats second) {
    if constexpr (sizeof(T) == 2) {
        const UInts pair = __builtin_convertvector(toHalves(first), UInts) |
                           (__builtin_convertvector(toHalves(second), UInts) << 16);
        storeVector(to, pair);
    } else {
        store(to, first);
        store(to + rowElements, second);
    }
}

// What a task needs of the queries it works on, in panels of `panelWidth` of them.
template <typename Product>
struct PackedQueries {
    using T = Stored<Product>;
    static constexpr int group = Product::group;

    int64_t width;
    T *rows;            // of one panel, while it is packed: [panelWidth][width to a multiple of W · group]
    T *queryColumns;    // panels of the score product: columns are queries
    T *gradientColumns; // the same of dO
    T *queryDepth;      // panels of the products that give dK and dV: the depth is queries
    T *gradientDepth;
    float *logSumExp;   // in powers of two
    float *products;    // D
    float *sums;        // dQᵀ: for each panel [width to a multiple of W][panelWidth]

    static int64_t rowElements(int64_t width) { return roundedUp(width, W * group); }
    static int64_t columnPanel(int64_t width) { return panelWidth * rowElements(width); }
    static int64_t depthPanels(int64_t width) { return (width + panelWidth - 1) / panelWidth; }
    static int64_t depthPanel(int64_t width) { return panelWidth * depthPanels(width) * panelWidth; }
    static int64_t sumsPanel(int64_t width) { return roundedUp(width, W) * panelWidth; }

    static size_t bytes(int64_t panels, int64_t width, bool hasSums) {
        const int64_t elements = columnPanel(width) * (1 + 2 * panels) + 2 * depthPanel(width) * panels;
        const int64_t floats = (2 * panelWidth + (hasSums ? sumsPanel(width) : 0)) * panels;
        return static_cast<size_t>(elements) * sizeof(T) + static_cast<size_t>(floats) * sizeof(float);
    }

    PackedQueries(void *memory, int64_t panels, int64_t width, float *sums) : width(width) {
        rows = static_cast<T *>(memory);
        queryColumns = rows + columnPanel(width);
        gradientColumns = queryColumns + columnPanel(width) * panels;
        queryDepth = gradientColumns + columnPanel(width) * panels;
        gradientDepth = queryDepth + depthPanel(width) * panels;
        logSumExp = reinterpret_cast<float *>(gradientDepth + depthPanel(width) * panels);
        products = logSumExp + panelWidth * panels;
        this->sums = sums != nullptr ? sums : products + panelWidth * panels;
    }

    // Groups of a panel of the depth for one panel of columns lie together, so that rounds run over several panels of
    // queries: [depth panel][group of queries][column][group].
    T *depthAt(T *base, int64_t panels, int64_t depthPanelIndex, int64_t query) const {
        return base + (depthPanelIndex * panels * panelWidth + query) * panelWidth;
    }

    // Both layouts of one panel from its rows.
    void packPanel(int64_t panel, int64_t panels, T *columns, T *depth) const {
        const int64_t stride = rowElements(width);
        transposeElements(rows, stride / group, columns + panel * columnPanel(width), panelWidth, panelWidth,
                          stride / group);
        for (int64_t d = 0; d < depthPanels(width); d++) {
            T *to = depthAt(depth, panels, d, panel * panelWidth);
            for (int64_t row = 0; row < panelWidth; row += 2) {
                for (int64_t c = 0; c < panelWidth; c += W) {
                    const int64_t column = d * panelWidth + c;
                    Floats first = (Floats)0.0f, second = (Floats)0.0f;
                    if (column < stride) {
                        first = load(rows + row * stride + column);
                        second = load(rows + (row + 1) * stride + column);
                    }
                    storeGroups(to + row * panelWidth + c * group, panelWidth, first, second);
                }
            }
        }
    }
};
