// Products of float32 matrices as a training pass takes them: nothing is packed beforehand, as an operand is read once.
//
// A task computes some rows of the result for some panels of columns, a block of the depth at a time: the rows' part of
// the left operand and a panel's part of the right one fit the second-level cache, and the tiles are those of gemm.inc.h.
// The sums of a block are added to the result in the order of the depth, whatever the number of threads.

constexpr int64_t productDepth = 256;
constexpr int64_t productRows = 8 * tileRows;

// Adds rows × panel to `sums`. Element (i, k) of the left operand is at i · rowStride + k · depthStride; `right` has rows
// `rightStride` elements apart, of which `count` columns are there.
template <int rows, bool isWhole>
static inline __attribute__((always_inline)) void multiplyRows(const float *left, int64_t rowStride,
                                                               int64_t depthStride, const float *right,
                                                               int64_t rightStride, int64_t count, int64_t depth,
                                                               Floats (&sums)[rows][panelVectors]) {
    for (int64_t k = 0; k < depth; k++) {
        Floats b[panelVectors];
#pragma clang loop unroll(full)
        for (int j = 0; j < panelVectors; j++) {
            const float *at = right + k * rightStride + j * W;
            if constexpr (isWhole) {
                b[j] = load(at);
            } else {
                b[j] = count > j * W ? loadUpTo(at, std::min<int64_t>(W, count - j * W)) : (Floats)0.0f;
            }
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            const Floats a = (Floats)left[i * rowStride + k * depthStride];
#pragma clang loop unroll(full)
            for (int j = 0; j < panelVectors; j++) sums[i][j] = __builtin_elementwise_fma(a, b[j], sums[i][j]);
        }
    }
}

class ProductPass {
public:
    explicit ProductPass(const ProductArguments &arguments) : a(arguments) {}

    void run() const {
        const int64_t panels = (a.columns + panelWidth - 1) / panelWidth;
        const int64_t blocks = (a.rows + productRows - 1) / productRows;
        // Enough tasks that a thread that comes late takes fewer.
        const int64_t wanted = 4 * threadCount();
        const int64_t shares = std::clamp<int64_t>((wanted + blocks - 1) / std::max<int64_t>(blocks, 1), 1, panels);
        parallelTasks(blocks * shares, [&](int64_t task, int) {
            const int64_t block = task / shares, share = task % shares;
            const int64_t first = block * productRows;
            compute(first, std::min(productRows, a.rows - first), panels * share / shares,
                    panels * (share + 1) / shares);
        });
    }

private:
    void compute(int64_t firstRow, int64_t rows, int64_t firstPanel, int64_t lastPanel) const {
        // Rows that lie across memory are copied, tile by tile: [tile][depth][row].
        alignas(64) float copied[productRows * productDepth];
        const bool isCopied = a.leftDepthStride != 1;
        for (int64_t start = 0; start < a.depth || start == 0; start += productDepth) {
            const int64_t depth = std::min(productDepth, a.depth - start);
            const float *left = a.left + firstRow * a.leftRowStride + start * a.leftDepthStride;
            if (isCopied) copy(left, rows, depth, copied);
            for (int64_t panel = firstPanel; panel < lastPanel; panel++) {
                const int64_t column = panel * panelWidth, count = std::min<int64_t>(panelWidth, a.columns - column);
                const float *right = a.right + start * a.columns + column;
                float *output = a.output + firstRow * a.columns + column;
                const bool adds = a.adds || start > 0;
                forEachTile(rows, [&](int64_t row, auto height) {
                    const float *from = isCopied ? copied + row * depth : left + row * a.leftRowStride;
                    const int64_t rowStride = isCopied ? 1 : a.leftRowStride;
                    const int64_t depthStride = isCopied ? static_cast<int64_t>(height) : 1;
                    float *to = output + row * a.columns;
                    if (count == panelWidth) {
                        tile<height, true>(from, rowStride, depthStride, right, count, depth, to, adds);
                    } else {
                        tile<height, false>(from, rowStride, depthStride, right, count, depth, to, adds);
                    }
                });
            }
        }
    }

    template <int rows, bool isWhole>
    void tile(const float *left, int64_t rowStride, int64_t depthStride, const float *right, int64_t count,
              int64_t depth, float *to, bool adds) const {
        Floats sums[rows][panelVectors];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < panelVectors; j++) sums[i][j] = (Floats)0.0f;
        }
        // Constant strides keep the addresses of a tile's elements out of registers.
        if (depthStride == 1) {
            multiplyRows<rows, isWhole>(left, rowStride, 1, right, a.columns, count, depth, sums);
        } else {
            multiplyRows<rows, isWhole>(left, 1, rows, right, a.columns, count, depth, sums);
        }
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < panelVectors; j++) {
                const int64_t width = std::min<int64_t>(W, count - j * W);
                if (width <= 0) continue;
                float *at = to + i * a.columns + j * W;
                storeUpTo(at, adds ? loadUpTo(at, width) + sums[i][j] : sums[i][j], width);
            }
        }
    }

    void copy(const float *left, int64_t rows, int64_t depth, float *copied) const {
        forEachTile(rows, [&](int64_t row, auto height) {
            float *to = copied + row * depth;
            const float *from = left + row * a.leftRowStride;
            for (int64_t k = 0; k < depth; k++) {
                for (int i = 0; i < height; i++) to[k * height + i] = from[k * a.leftDepthStride + i * a.leftRowStride];
            }
        });
    }

    const ProductArguments &a;
};

static void product(const ProductArguments &arguments) { ProductPass(arguments).run(); }
