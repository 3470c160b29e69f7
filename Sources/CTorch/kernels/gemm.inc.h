// Products of row-major activations and panelled weights, one register tile at a time.
//
// A tile is up to `tileRows` rows by one panel of `panelVectors` vectors; it runs over the whole depth and hands its
// sums to an epilogue while they are still in registers. Measured on AVX-512 with bfloat16: 6 × 64 tiles reach the
// chip's peak at any depth of the suite without blocking along it, as a panel stays in the second-level cache.

constexpr int tileRows = 6;
constexpr int panelVectors = ETTIN_PANEL_VECTORS;
constexpr int panelWidth = panelVectors * W;

static inline int64_t roundedUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

// How one precision multiplies: `group` neighbouring elements along the depth are one 32-bit lane of both operands.

struct Float32Product {
    using Activation = float;
    using Weight = float;
    using Sum = Floats;
    static constexpr int group = 1;
    static inline Sum zero() { return (Floats)0.0f; }
    struct Left {
        Floats value;
    };
    static inline Left left(const Activation *a) { return {(Floats)*a}; }
    static inline Sum add(Sum sum, const Left &a, Ints b) {
        return __builtin_elementwise_fma(a.value, bitsAs<Floats>(b), sum);
    }
};

struct BFloat16Product {
    using Activation = BFloat;
    using Weight = BFloat;
    using Sum = Floats;
    static constexpr int group = 2;
    static inline Sum zero() { return (Floats)0.0f; }
#ifdef ETTIN_HAS_BF16
    struct Left {
        Ints pair;
    };
    static inline Left left(const Activation *a) {
        int32_t pair;
        __builtin_memcpy(&pair, a, sizeof pair);
        return {(Ints)pair};
    }
    static inline Sum add(Sum sum, const Left &a, Ints b) {
        return bitsAs<Floats>(
            _mm512_dpbf16_ps(bitsAs<__m512>(sum), bitsAs<__m512bh>(a.pair), bitsAs<__m512bh>(b)));
    }
#else
    struct Left {
        Floats even, odd;
    };
    static inline Left left(const Activation *a) {
        return {(Floats)__builtin_bit_cast(float, static_cast<uint32_t>(a[0]) << 16),
                (Floats)__builtin_bit_cast(float, static_cast<uint32_t>(a[1]) << 16)};
    }
    static inline Sum add(Sum sum, const Left &a, Ints b) {
        sum = __builtin_elementwise_fma(a.even, bitsAs<Floats>(b << 16), sum);
        return __builtin_elementwise_fma(a.odd, bitsAs<Floats>(b & static_cast<int32_t>(0xffff0000)), sum);
    }
#endif
};

struct Int8Product {
    using Activation = uint8_t;
    using Weight = int8_t;
    using Sum = Ints;
    static constexpr int group = 4;
    static inline Sum zero() { return (Ints)0; }
#ifdef ETTIN_HAS_BF16
    struct Left {
        Ints quad;
    };
    static inline Left left(const Activation *a) {
        int32_t quad;
        __builtin_memcpy(&quad, a, sizeof quad);
        return {(Ints)quad};
    }
    static inline Sum add(Sum sum, const Left &a, Ints b) {
        return bitsAs<Ints>(_mm512_dpbusd_epi32(bitsAs<__m512i>(sum), bitsAs<__m512i>(a.quad), bitsAs<__m512i>(b)));
    }
#else
    struct Left {
        Ints part[4];
    };
    static inline Left left(const Activation *a) {
        return {{(Ints)a[0], (Ints)a[1], (Ints)a[2], (Ints)a[3]}};
    }
    static inline Sum add(Sum sum, const Left &a, Ints b) {
        sum += a.part[0] * ((b << 24) >> 24);
        sum += a.part[1] * ((b << 16) >> 24);
        sum += a.part[2] * ((b << 8) >> 24);
        return sum + a.part[3] * (b >> 24);
    }
#endif
};

// Adds rows × panel to `sums`. `a` has rows `stride` elements apart, `panel` holds `groups` groups for each column.
template <typename Product, int rows, int vectors>
static inline __attribute__((always_inline)) void multiply(const typename Product::Activation *a, int64_t stride,
                                                           const typename Product::Weight *panel, int64_t groups,
                                                           typename Product::Sum (&sums)[rows][vectors]) {
    for (int64_t k = 0; k < groups; k++) {
        Ints b[vectors];
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) b[j] = loadVector<Ints>(panel + (k * vectors + j) * W * Product::group);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            const auto left = Product::left(a + i * stride + k * Product::group);
#pragma clang loop unroll(full)
            for (int j = 0; j < vectors; j++) sums[i][j] = Product::add(sums[i][j], left, b[j]);
        }
    }
}

// The same, while fetching the panel after this one into the second-level cache, `linesPerSteps` lines every few steps.
//
// For about 16 rows, where computing with a panel takes as long as reading the next from memory, both then happen at
// once: 22 layers of the 150M shape took 5.5 in place of 6.8 ms in bfloat16, 3.7 in place of 4.7 in int8. With fewer
// rows the processor's own prefetching is faster, with many a panel is read too rarely to matter.
struct Ahead {
    static constexpr int64_t steps = 8;
    const uint8_t *lines = nullptr;
    int64_t linesPerSteps = 0;

    // For `tiles` tiles of a panel of `bytes` a group.
    static int64_t share(int64_t tiles, int64_t bytes) {
        return tiles < 3 || tiles > 8 ? 0 : (bytes * steps + tiles * 64 - 1) / (tiles * 64);
    }
};

template <typename Product, int rows, int vectors>
static inline void multiplyAhead(const typename Product::Activation *a, int64_t stride,
                                 const typename Product::Weight *panel, int64_t groups,
                                 typename Product::Sum (&sums)[rows][vectors], Ahead &ahead) {
    for (int64_t first = 0; first < groups; first += Ahead::steps) {
        for (int64_t line = 0; line < ahead.linesPerSteps; line++) __builtin_prefetch(ahead.lines + line * 64, 0, 2);
        ahead.lines += ahead.linesPerSteps * 64;
        multiply<Product, rows, vectors>(a + first * Product::group, stride,
                                         panel + first * vectors * W * Product::group,
                                         std::min(Ahead::steps, groups - first), sums);
    }
}

// Calls body(integral constant n) for the constant equal to `rows` in 1 ... tileRows.
template <typename Body>
static inline void withTileRows(int64_t rows, Body &&body) {
    switch (rows) {
        case 1: return body(std::integral_constant<int, 1>());
        case 2: return body(std::integral_constant<int, 2>());
        case 3: return body(std::integral_constant<int, 3>());
        case 4: return body(std::integral_constant<int, 4>());
        case 5: return body(std::integral_constant<int, 5>());
        default: return body(std::integral_constant<int, tileRows>());
    }
}

static inline int64_t tileCount(int64_t rows) { return (rows + tileRows - 1) / tileRows; }

// Calls body(first row, integral constant of rows) for tiles of nearly equal height: 8 rows are 4 and 4, not 6 and 2.
template <typename Body>
static inline void forEachTile(int64_t rows, Body &&body) {
    const int64_t tiles = tileCount(rows);
    int64_t first = 0;
    for (int64_t tile = 0; tile < tiles; tile++) {
        const int64_t last = rows * (tile + 1) / tiles;
        withTileRows(last - first, [&](auto height) { body(first, height); });
        first = last;
    }
}

// MARK: Weights

// Activations as the product reads them: rows of `stride` elements, and for int8 the scale of each row.
template <typename Product>
struct LeftMatrix {
    const typename Product::Activation *elements;
    int64_t stride;
    const float *scales;
};

template <typename Product>
static constexpr Precision precisionOf = Product::group == 1   ? Precision::float32
                                         : Product::group == 2 ? Precision::bfloat16
                                                               : Precision::int8;

static std::unique_ptr<PackedMatrix> pack(const float *weight, const float *bias, int64_t columns, int64_t depth,
                                          Precision precision, bool isGated) {
    const int64_t group = precision == Precision::float32 ? 1 : precision == Precision::bfloat16 ? 2 : 4;
    const int64_t elementBytes = 4 / group;
    const int64_t groups = (depth + group - 1) / group;
    // A gated panel has values in its first half and their gates in the second.
    const int64_t results = isGated ? columns / 2 : columns;
    const int64_t resultsPerPanel = isGated ? panelWidth / 2 : panelWidth;
    const int64_t panels = (results + resultsPerPanel - 1) / resultsPerPanel;

    auto packed = std::make_unique<PackedMatrix>();
    packed->table = &table;
    packed->precision = precision;
    packed->columns = columns;
    packed->depth = depth;
    packed->panels = panels;
    packed->isGated = isGated;
    packed->elements = allocateAligned(static_cast<size_t>(panels * panelWidth * groups * 4));
    const size_t perColumn = static_cast<size_t>(panels * panelWidth) * sizeof(float);
    if (bias != nullptr) packed->bias = allocateAligned(perColumn);
    if (precision == Precision::int8) {
        packed->scales = allocateAligned(perColumn);
        packed->corrections = allocateAligned(perColumn);
    }
    parallelTasks(panels, [&](int64_t panel, int) {
        auto *to = static_cast<uint8_t *>(packed->elements.get()) + panel * panelWidth * groups * 4;
        for (int64_t lane = 0; lane < panelWidth; lane++) {
            const bool isGate = isGated && lane >= resultsPerPanel;
            const int64_t result = panel * resultsPerPanel + (isGate ? lane - resultsPerPanel : lane);
            const int64_t slot = panel * panelWidth + lane;
            const bool isThere = result < results;
            const int64_t column = isGate ? results + result : result;
            const float *from = weight + column * depth;
            if (bias != nullptr) static_cast<float *>(packed->bias.get())[slot] = isThere ? bias[column] : 0;

            float scale = 1;
            if (precision == Precision::int8) {
                float range = 0, finite = 0;
                if (isThere) {
                    for (int64_t k = 0; k < depth; k++) {
                        range = std::max(range, std::fabs(from[k]));
                        finite += from[k] * 0.0f;
                    }
                }
                // NaN or infinity makes the scale NaN, and with it every product of the column: bytes could not say so.
                scale = (range > 0 ? range / 127 : 1) + finite;
                static_cast<float *>(packed->scales.get())[slot] = scale;
            }
            if (precision == Precision::bfloat16) {
                forEachVector(depth, [&](int64_t k, int64_t count) {
                    BFloat halves[W];
                    store(halves, isThere ? loadUpTo(from + k, count) : (Floats)0.0f);
                    for (int64_t i = 0; i < count; i += group) {
                        __builtin_memcpy(to + ((k + i) / group * panelWidth + lane) * 4, halves + i, 4);
                    }
                });
                continue;
            }
            int32_t total = 0;
            for (int64_t k = 0; k < groups * group; k++) {
                const float value = isThere && k < depth ? from[k] : 0;
                uint8_t *at = to + ((k / group * panelWidth + lane) * group + k % group) * elementBytes;
                if (precision == Precision::float32) {
                    __builtin_memcpy(at, &value, sizeof value);
                } else {
                    const float steps = value / scale;
                    const int32_t quantized = std::isnan(steps) ? 0 : static_cast<int32_t>(std::lrint(steps));
                    *reinterpret_cast<int8_t *>(at) = static_cast<int8_t>(quantized);
                    total += quantized;
                }
            }
            if (precision == Precision::int8) static_cast<int32_t *>(packed->corrections.get())[slot] = 128 * total;
        }
    });
    return packed;
}

// MARK: Epilogues

// Each takes one row of a tile: epilogue(row, panel, vectors of sums with bias).

template <typename T>
struct StoreRow {
    T *to;
    int64_t stride;
    int64_t columns;
    Gate activation;
    inline void operator()(int64_t row, int64_t panel, const Floats (&sums)[panelVectors]) const {
        T *at = to + row * stride + panel * panelWidth;
        const int64_t left = columns - panel * panelWidth;
        for (int j = 0; j < panelVectors; j++) {
            const int64_t count = std::min<int64_t>(W, left - j * W);
            if (count > 0) storeUpTo(at + j * W, activated<T>(sums[j], activation), count);
        }
    }
};

struct AddRow {
    float *to;
    int64_t stride;
    int64_t columns;
    inline void operator()(int64_t row, int64_t panel, const Floats (&sums)[panelVectors]) const {
        float *at = to + row * stride + panel * panelWidth;
        const int64_t left = columns - panel * panelWidth;
        for (int j = 0; j < panelVectors; j++) {
            const int64_t count = std::min<int64_t>(W, left - j * W);
            if (count > 0) storeUpTo(at + j * W, loadUpTo(at + j * W, count) + sums[j], count);
        }
    }
};

template <typename T>
struct StoreGatedRow {
    T *to;
    int64_t stride;
    int64_t columns;  // results
    Gate gate;
    inline void operator()(int64_t row, int64_t panel, const Floats (&sums)[panelVectors]) const {
        constexpr int half = panelVectors / 2;
        T *at = to + row * stride + panel * half * W;
        const int64_t left = columns - panel * half * W;
        for (int j = 0; j < half; j++) {
            const int64_t count = std::min<int64_t>(W, left - j * W);
            if (count > 0) storeUpTo(at + j * W, activated<T>(sums[j], gate) * sums[half + j], count);
        }
    }
};

// rows × panels `first` ..< `last` of the weight.
template <typename Product, typename Epilogue>
static inline void multiply(const LeftMatrix<Product> &left, int64_t rows, const PackedMatrix &weight, int64_t first,
                            int64_t last, const Epilogue &epilogue) {
    const int64_t groups = (weight.depth + Product::group - 1) / Product::group;
    for (int64_t panel = first; panel < last; panel++) {
        const auto *elements = static_cast<const typename Product::Weight *>(weight.elements.get()) +
                               panel * panelWidth * groups * Product::group;
        Floats bias[panelVectors], scales[panelVectors];
        Ints corrections[panelVectors];
        for (int j = 0; j < panelVectors; j++) {
            const int64_t at = panel * panelWidth + j * W;
            bias[j] = weight.bias ? load(static_cast<const float *>(weight.bias.get()) + at) : (Floats)0.0f;
            if constexpr (Product::group == 4) {
                scales[j] = load(static_cast<const float *>(weight.scales.get()) + at);
                corrections[j] = loadVector<Ints>(static_cast<const int32_t *>(weight.corrections.get()) + at);
            }
        }
        Ahead ahead;
        if (panel + 1 < last) {
            ahead.lines = reinterpret_cast<const uint8_t *>(elements + panelWidth * groups * Product::group);
            ahead.linesPerSteps = Ahead::share(tileCount(rows), panelWidth * 4);
        }
        forEachTile(rows, [&](int64_t row, auto height) {
            typename Product::Sum sums[height][panelVectors];
            for (int i = 0; i < height; i++) {
                for (int j = 0; j < panelVectors; j++) sums[i][j] = Product::zero();
            }
            const auto *from = left.elements + row * left.stride;
            if (ahead.linesPerSteps > 0) {
                multiplyAhead<Product, height, panelVectors>(from, left.stride, elements, groups, sums, ahead);
            } else {
                multiply<Product, height, panelVectors>(from, left.stride, elements, groups, sums);
            }
            for (int i = 0; i < height; i++) {
                Floats results[panelVectors];
                for (int j = 0; j < panelVectors; j++) {
                    if constexpr (Product::group == 4) {
                        const Floats exact = __builtin_convertvector(sums[i][j] - corrections[j], Floats);
                        results[j] = exact * (scales[j] * left.scales[row + i]) + bias[j];
                    } else {
                        results[j] = sums[i][j] + bias[j];
                    }
                }
                epilogue(row + i, panel, results);
            }
        });
    }
}
