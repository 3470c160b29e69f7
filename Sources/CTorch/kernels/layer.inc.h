// Everything of a layer that treats each token alone: projections, norms, the gated MLP and both residuals.
//
// With many rows, a block of them goes through all steps on one thread while its activations stay in the second-level
// cache; there is one barrier a layer, before attention. With few rows (one short text, one token a sequence) reading
// the weights is the work, so that each step is divided by columns instead.
//
// The residual stream is float32 in every precision, and so are the norms.

// out = norm(x) for one row; out may be x.
template <typename T>
static inline void normalizeRow(const float *x, int64_t width, const LayerNormParameters &norm, T *out) {
    if (norm.weight == nullptr) {
        forEachVector(width, [&](int64_t i, int64_t count) { storeUpTo(out + i, loadUpTo(x + i, count), count); });
        return;
    }
    Floats total = (Floats)0.0f;
    forEachVector(width, [&](int64_t i, int64_t count) { total += loadUpTo(x + i, count); });
    const float mean = sum(total) / static_cast<float>(width);
    // A second pass: the difference of large squares would lose what float32 has left.
    float squares = 0;
    Floats lanes = (Floats)0.0f;
    forEachVector(width, [&](int64_t i, int64_t count) {
        const Floats d = loadUpTo(x + i, count) - mean;
        if (count == W) {
            lanes += d * d;
        } else {
            for (int64_t j = 0; j < count; j++) squares += d[static_cast<int>(j)] * d[static_cast<int>(j)];
        }
    });
    const float variance = (squares + sum(lanes)) / static_cast<float>(width);
    const float factor = 1 / std::sqrt(variance + norm.epsilon);
    forEachVector(width, [&](int64_t i, int64_t count) {
        Floats y = (loadUpTo(x + i, count) - mean) * factor * loadUpTo(norm.weight + i, count);
        if (norm.bias != nullptr) y += loadUpTo(norm.bias + i, count);
        storeUpTo(out + i, y, count);
    });
}

// One row to unsigned bytes around 128; gives the scale, which is NaN where an element is NaN or infinite: bytes could
// not say so. Padding up to `padded` is left as it is: its weights are 0.
template <typename T>
static inline float quantizeRow(const T *x, int64_t width, uint8_t *out) {
    Floats range = (Floats)0.0f, finite = (Floats)0.0f;
    forEachVector(width, [&](int64_t i, int64_t count) {
        const Floats v = loadUpTo(x + i, count);
        range = maximum(range, magnitude(v));
        finite += v * 0.0f;
    });
    const float largestMagnitude = largest(range);
    const float scale = (largestMagnitude > 0 ? largestMagnitude / 127 : 1) + sum(finite);
    const float inverse = 1 / scale;
    constexpr float shift = 12582912.0f;  // adding 1.5 · 2²³ rounds to the nearest integer
    forEachVector(width, [&](int64_t i, int64_t count) {
        const Ints shifted = bitsAs<Ints>(loadUpTo(x + i, count) * inverse + shift);
        const auto bytes = __builtin_convertvector(shifted - (0x4b400000 - 128), ByteVector);
        __builtin_memcpy(out + i, &bytes, static_cast<size_t>(count));
    });
    return scale;
}

// Activations between steps: float32 in float32, else bfloat16.
template <typename Product>
using Stored = std::conditional_t<Product::group == 1, float, BFloat>;

// Buffers of one thread for one block of rows.
template <typename Product>
struct Scratch {
    // What a product reads: activations, or for int8 bytes and scales.
    static int64_t operandStride(int64_t depth) { return roundedUp(depth, 64 / sizeof(typename Product::Activation)); }
    static size_t bytesFor(int64_t rows, int64_t depth) {
        return static_cast<size_t>(rows * operandStride(depth)) * sizeof(typename Product::Activation);
    }
};

// Memory that grows to what was last asked for and is kept.
struct GrowingBuffer {
    AlignedMemory memory;
    size_t size = 0;

    uint8_t *atLeast(size_t bytes) {
        if (size < bytes) {
            // Given up first, so that old and new are never held together, nor a size without memory.
            memory.reset();
            size = 0;
            memory = allocateAligned(bytes);
            size = bytes;
        }
        return static_cast<uint8_t *>(memory.get());
    }
};

// A buffer of each thread: allocating a megabyte for every block would page-fault every time.
static inline uint8_t *threadBuffer(int slot, size_t bytes) {
    static thread_local GrowingBuffer buffers[4];
    return buffers[slot].atLeast(bytes);
}

// Turns `rows` rows made by row(i, out) into what the product reads, in the thread's buffer `slot`. A row that is made
// is one of Stored, for int8 of float32; it may also lie elsewhere.
template <typename Product, typename MakeRow>
static inline LeftMatrix<Product> prepare(int slot, int64_t rows, int64_t depth, MakeRow &&makeRow) {
    using T = Stored<Product>;
    const int64_t stride = Scratch<Product>::operandStride(depth);
    const size_t operandBytes = Scratch<Product>::bytesFor(rows, depth);
    const size_t rowBytes = static_cast<size_t>(roundedUp(depth, 64)) * sizeof(float);
    const size_t scaleBytes = static_cast<size_t>(roundedUp(rows, 16)) * sizeof(float);
    uint8_t *buffer = threadBuffer(slot, operandBytes + rowBytes + scaleBytes);
    if constexpr (Product::group == 4) {
        auto *scales = reinterpret_cast<float *>(buffer + operandBytes);
        auto *row = reinterpret_cast<float *>(buffer + operandBytes + scaleBytes);
        for (int64_t i = 0; i < rows; i++) {
            const auto *made = makeRow(i, row);
            scales[i] = quantizeRow(made, depth, buffer + i * stride);
        }
        return {buffer, stride, scales};
    } else {
        auto *elements = reinterpret_cast<T *>(buffer);
        for (int64_t i = 0; i < rows; i++) {
            T *to = elements + i * stride;
            const T *made = makeRow(i, to);
            if (made != to) __builtin_memcpy(to, made, static_cast<size_t>(depth) * sizeof(T));
            // A depth that fills no whole group is continued by zeros.
            for (int64_t k = depth; k < roundedUp(depth, Product::group); k++) to[k] = 0;
        }
        return {elements, stride, nullptr};
    }
}

// Rows that already lie in memory as the product reads them are taken where they are.
template <typename Product>
static inline LeftMatrix<Product> prepareStored(int slot, const void *from, int64_t rows, int64_t depth) {
    using T = Stored<Product>;
    const T *elements = static_cast<const T *>(from);
    if constexpr (Product::group != 4) {
        if (depth % Product::group == 0) return {elements, depth, nullptr};
    }
    return prepare<Product>(slot, rows, depth, [&](int64_t i, auto *) { return elements + i * depth; });
}

template <typename Product>
static inline LeftMatrix<Product> prepareNormed(int slot, const float *from, int64_t rows, int64_t depth,
                                                const LayerNormParameters &norm) {
    return prepare<Product>(slot, rows, depth, [&](int64_t i, auto *to) {
        normalizeRow(from + i * depth, depth, norm, to);
        return to;
    });
}

// MARK: Division of work

// Below this many rows a thread, a block by itself would leave most of a product's tiles unfilled.
constexpr int64_t fewRows = 24;

// Calls body(first, count) for blocks of rows, over all threads. A block has enough rows that reading the weights is
// hidden, and few enough that the widest activations of the block (inputs, hidden and residual) stay in half a megabyte or
// so; blocks are of one size and as many for each thread.
template <typename Body>
static inline void forEachRowBlock(int64_t rows, int64_t widest, int threads, Body &&body) {
    const int64_t fitting = std::clamp<int64_t>((448 << 10) / (widest * 4), 24, 192);
    const int64_t blocks = roundedUp((rows + fitting - 1) / fitting, threads);
    parallelTasks(blocks, [&](int64_t block, int) {
        const int64_t first = rows * block / blocks;
        body(first, rows * (block + 1) / blocks - first);
    });
}

// Columns are divided into about this many tasks a thread, so that a thread that comes late takes fewer.
constexpr int64_t tasksPerThread = 2;

template <typename Body>
static inline void forEachColumnShare(int64_t panels, int threads, Body &&body) {
    const int64_t tasks = threads == 1 ? 1 : std::min<int64_t>(panels, threads * tasksPerThread);
    parallelTasks(tasks, [&](int64_t task, int) { body(panels * task / tasks, panels * (task + 1) / tasks); });
}

// MARK: Linear

template <typename Product>
static void linearRows(const LinearArguments &a, int64_t firstRow, int64_t rows, int64_t firstPanel, int64_t lastPanel) {
    using T = Stored<Product>;
    const PackedMatrix &weight = *a.weight;
    const T *input = static_cast<const T *>(a.input) + firstRow * weight.depth;
    const auto left = prepareStored<Product>(0, input, rows, weight.depth);
    const int64_t columns = weight.isGated ? weight.columns / 2 : weight.columns;
    const auto run = [&](auto *output) {
        auto *to = output + firstRow * columns;
        using Out = std::remove_reference_t<decltype(*to)>;
        if (weight.isGated) {
            multiply(left, rows, weight, firstPanel, lastPanel, StoreGatedRow<Out>{to, columns, columns, a.activation});
        } else {
            multiply(left, rows, weight, firstPanel, lastPanel, StoreRow<Out>{to, columns, columns, a.activation});
        }
    };
    if (a.isFloatOutput) {
        run(static_cast<float *>(a.output));
    } else {
        run(static_cast<T *>(a.output));
    }
}

template <typename Product>
static void linearOf(const LinearArguments &a) {
    const int threads = threadCount();
    const PackedMatrix &weight = *a.weight;
    if (a.rows <= fewRows * threads) {
        forEachColumnShare(weight.panels, threads,
                           [&](int64_t first, int64_t last) { linearRows<Product>(a, 0, a.rows, first, last); });
        return;
    }
    forEachRowBlock(a.rows, weight.depth, threads, [&](int64_t first, int64_t count) {
        linearRows<Product>(a, first, count, 0, weight.panels);
    });
}

static void linear(const LinearArguments &a) {
    switch (a.weight->precision) {
        case Precision::float32: return linearOf<Float32Product>(a);
        case Precision::bfloat16: return linearOf<BFloat16Product>(a);
        case Precision::int8: return linearOf<Int8Product>(a);
    }
}

// MARK: Layer

// The last norm of the model.
template <typename T>
static inline void finalRows(const LayerArguments &a, int64_t firstRow, int64_t rows, int64_t hidden) {
    for (int64_t i = firstRow; i < firstRow + rows; i++) {
        const float *x = a.residual + i * hidden;
        if (a.isFloatFinal) {
            normalizeRow(x, hidden, a.nextNorm, static_cast<float *>(a.final) + i * hidden);
        } else {
            normalizeRow(x, hidden, a.nextNorm, static_cast<T *>(a.final) + i * hidden);
        }
    }
}

// One block of rows through all steps.
template <typename Product>
static void layerBlock(const LayerArguments &a, int64_t firstRow, int64_t rows) {
    using T = Stored<Product>;
    const int64_t hidden = a.output ? a.output->columns : a.projection->depth;
    float *x = a.residual + firstRow * hidden;
    if (a.mixed != nullptr) {
        const auto mixed = prepareStored<Product>(0, static_cast<const T *>(a.mixed) + firstRow * hidden, rows, hidden);
        multiply(mixed, rows, *a.output, 0, a.output->panels, AddRow{x, hidden, hidden});

        const auto normed = prepareNormed<Product>(0, x, rows, hidden, a.mlpNorm);
        const int64_t intermediate = a.down->depth;
        auto *gated = reinterpret_cast<T *>(threadBuffer(1, static_cast<size_t>(rows * intermediate) * sizeof(T)));
        multiply(normed, rows, *a.input, 0, a.input->panels,
                 StoreGatedRow<T>{gated, intermediate, intermediate, a.gate});
        const auto down = prepareStored<Product>(0, gated, rows, intermediate);
        multiply(down, rows, *a.down, 0, a.down->panels, AddRow{x, hidden, hidden});
    }
    if (a.projection != nullptr) {
        const auto normed = prepareNormed<Product>(0, x, rows, hidden, a.nextNorm);
        const int64_t columns = a.projection->columns;
        T *to = static_cast<T *>(a.projected) + firstRow * columns;
        multiply(normed, rows, *a.projection, 0, a.projection->panels, StoreRow<T>{to, columns, columns, Gate::none});
    } else {
        finalRows<T>(a, firstRow, rows, hidden);
    }
}

// Few rows: every step over all threads. Each thread prepares the left operand itself, which costs less than sharing.
template <typename Product>
static void layerSteps(const LayerArguments &a, int threads) {
    using T = Stored<Product>;
    const int64_t rows = a.rows;
    const int64_t hidden = a.output ? a.output->columns : a.projection->depth;
    float *x = a.residual;
    if (a.mixed != nullptr) {
        forEachColumnShare(a.output->panels, threads, [&](int64_t first, int64_t last) {
            const auto mixed = prepareStored<Product>(0, a.mixed, rows, hidden);
            multiply(mixed, rows, *a.output, first, last, AddRow{x, hidden, hidden});
        });
        const int64_t intermediate = a.down->depth;
        auto *gated = reinterpret_cast<T *>(threadBuffer(1, static_cast<size_t>(rows * intermediate) * sizeof(T)));
        forEachColumnShare(a.input->panels, threads, [&](int64_t first, int64_t last) {
            const auto normed = prepareNormed<Product>(0, x, rows, hidden, a.mlpNorm);
            multiply(normed, rows, *a.input, first, last,
                     StoreGatedRow<T>{gated, intermediate, intermediate, a.gate});
        });
        forEachColumnShare(a.down->panels, threads, [&](int64_t first, int64_t last) {
            const auto down = prepareStored<Product>(0, gated, rows, intermediate);
            multiply(down, rows, *a.down, first, last, AddRow{x, hidden, hidden});
        });
    }
    if (a.projection != nullptr) {
        const int64_t columns = a.projection->columns;
        forEachColumnShare(a.projection->panels, threads, [&](int64_t first, int64_t last) {
            const auto normed = prepareNormed<Product>(0, x, rows, hidden, a.nextNorm);
            multiply(normed, rows, *a.projection, first, last,
                     StoreRow<T>{static_cast<T *>(a.projected), columns, columns, Gate::none});
        });
    } else {
        finalRows<T>(a, 0, rows, hidden);
    }
}

template <typename Product>
static void layerOf(const LayerArguments &a) {
    const int threads = threadCount();
    if (a.rows <= fewRows * threads) return layerSteps<Product>(a, threads);
    const int64_t hidden = a.output ? a.output->columns : a.projection->depth;
    forEachRowBlock(a.rows, std::max(hidden, a.down ? a.down->depth : hidden), threads,
                    [&](int64_t first, int64_t count) { layerBlock<Product>(a, first, count); });
}

static void layer(const LayerArguments &a) {
    switch ((a.output ? a.output : a.projection)->precision) {
        case Precision::float32: return layerOf<Float32Product>(a);
        case Precision::bfloat16: return layerOf<BFloat16Product>(a);
        case Precision::int8: return layerOf<Int8Product>(a);
    }
}

static void embed(const void *embeddings, bool isBFloat16, const int32_t *ids, int64_t rows, int64_t width,
                  const LayerNormParameters &norm, float *out) {
    constexpr int64_t block = 64;
    parallelTasks((rows + block - 1) / block, [&](int64_t task, int) {
        for (int64_t row = task * block; row < std::min(rows, (task + 1) * block); row++) {
            float *to = out + row * width;
            if (isBFloat16) {
                const auto *from = static_cast<const BFloat *>(embeddings) + int64_t{ids[row]} * width;
                forEachVector(width, [&](int64_t i, int64_t count) { storeUpTo(to + i, loadUpTo(from + i, count), count); });
                normalizeRow(to, width, norm, to);
            } else {
                normalizeRow(static_cast<const float *>(embeddings) + int64_t{ids[row]} * width, width, norm, to);
            }
        }
    });
}
