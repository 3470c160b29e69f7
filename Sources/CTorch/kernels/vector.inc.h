// Vectors of ETTIN_WIDTH floats and what kernels do with them. Included inside the namespace of an instruction set.

constexpr int W = ETTIN_WIDTH;

using Floats = float __attribute__((ext_vector_type(ETTIN_WIDTH)));
using Ints = int32_t __attribute__((ext_vector_type(ETTIN_WIDTH)));
using UInts = uint32_t __attribute__((ext_vector_type(ETTIN_WIDTH)));
using Halves = uint16_t __attribute__((ext_vector_type(ETTIN_WIDTH)));
using ByteVector = uint8_t __attribute__((ext_vector_type(ETTIN_WIDTH)));
using BFloat = uint16_t;

template <typename To, typename From>
static inline To bitsAs(From from) {
    static_assert(sizeof(To) == sizeof(From));
    return __builtin_bit_cast(To, from);
}

template <typename Vector>
static inline Vector loadVector(const void *from) {
    Vector v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
}

template <typename Vector>
static inline void storeVector(void *to, Vector v) {
    __builtin_memcpy(to, &v, sizeof v);
}

static inline Floats toFloats(Halves v) {
    return bitsAs<Floats>(__builtin_convertvector(v, UInts) << 16);
}

// Rounds to nearest even. A NaN stays one.
static inline Halves toHalves(Floats v) {
#ifdef ETTIN_HAS_BF16
    return bitsAs<Halves>(_mm512_cvtneps_pbh(bitsAs<__m512>(v)));
#else
    const UInts bits = bitsAs<UInts>(v);
    const UInts rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const UInts kept = bitsAs<UInts>((bitsAs<Ints>(bits) & 0x7fffffff) > 0x7f800000);
    return __builtin_convertvector((kept & ((bits >> 16) | 0x40u)) | (~kept & rounded), Halves);
#endif
}

static inline Floats load(const float *from) { return loadVector<Floats>(from); }
static inline Floats load(const BFloat *from) { return toFloats(loadVector<Halves>(from)); }
static inline void store(float *to, Floats v) { storeVector(to, v); }
static inline void store(BFloat *to, Floats v) { storeVector(to, toHalves(v)); }

// The first `count` < W elements; the others are 0.
template <typename T>
static inline Floats loadPart(const T *from, int64_t count) {
    T part[W] = {};
    __builtin_memcpy(part, from, static_cast<size_t>(count) * sizeof(T));
    return load(part);
}

template <typename T>
static inline void storePart(T *to, Floats v, int64_t count) {
    T part[W];
    store(part, v);
    __builtin_memcpy(to, part, static_cast<size_t>(count) * sizeof(T));
}

// body(i, read, write) for every W elements of 0 ..< count, with partial access for the last ones.
template <typename Body>
static inline void forEachVector(int64_t count, Body &&body) {
    int64_t i = 0;
    for (; i + W <= count; i += W) body(i, static_cast<int64_t>(W));
    if (i < count) body(i, count - i);
}

template <typename T>
static inline Floats loadUpTo(const T *from, int64_t count) {
    return count == W ? load(from) : loadPart(from, count);
}

template <typename T>
static inline void storeUpTo(T *to, Floats v, int64_t count) {
    if (count == W) {
        store(to, v);
    } else {
        storePart(to, v, count);
    }
}

// to += factor · from
template <typename T>
static inline void addScaled(float *to, float factor, const T *from, int64_t count) {
    forEachVector(count, [&](int64_t i, int64_t n) {
        storeUpTo(to + i, __builtin_elementwise_fma((Floats)factor, loadUpTo(from + i, n), loadUpTo(to + i, n)), n);
    });
}

// 0, 1, 2, …
static inline Ints laneNumbers() {
    Ints v;
    for (int i = 0; i < W; i++) v[i] = i;
    return v;
}

// Exchanges the off-diagonal quarters of every 2 step × 2 step block of two rows that lie `step` apart.
template <int step, size_t... lane>
static inline void exchange(Ints &upper, Ints &lower, std::index_sequence<lane...>) {
    const Ints a = upper, b = lower;
    upper = __builtin_shufflevector(a, b, ((lane & step) == 0 ? lane : W + lane - step)...);
    lower = __builtin_shufflevector(a, b, ((lane & step) == 0 ? lane + step : W + lane)...);
}

template <int step>
static inline __attribute__((always_inline)) void transposeBy(Ints (&rows)[W]) {
    for (int i = 0; i < W; i++) {
        if ((i & step) == 0) exchange<step>(rows[i], rows[i + step], std::make_index_sequence<W>());
    }
    if constexpr (step > 1) transposeBy<step / 2>(rows);
}

// W rows of W words become columns.
static inline void transpose(Ints (&rows)[W]) { transposeBy<W / 2>(rows); }

static inline int32_t clampedToInt(int64_t value) {
    return static_cast<int32_t>(std::clamp<int64_t>(value, -0x40000000, 0x40000000));
}

// Where one of both is NaN, the second: one instruction, as the processor has it. Bounds come first, so that NaN stays.
template <typename Value>
static inline Value maximum(Value a, Value b) { return a > b ? a : b; }
template <typename Value>
static inline Value minimum(Value a, Value b) { return a < b ? a : b; }
static inline Floats magnitude(Floats a) { return __builtin_elementwise_abs(a); }

// Halves are joined until one number is left.
template <typename Join>
static inline float reduced(Floats v, Join &&join) {
#if ETTIN_WIDTH == 16
    const auto eight = join(v.lo, v.hi);
    const auto four = join(eight.lo, eight.hi);
#elif ETTIN_WIDTH == 8
    const auto four = join(v.lo, v.hi);
#else
    const auto four = v;
#endif
    const auto two = join(four.lo, four.hi);
    return join(two.x, two.y);
}

static inline float sum(Floats v) {
    return reduced(v, [](auto a, auto b) { return a + b; });
}

static inline float largest(Floats v) {
    return reduced(v, [](auto a, auto b) { return maximum(a, b); });
}

// eˣ, 2 ulp for x in [-87, 88]; below, the smallest normal number or so, which a softmax cannot tell from 0.
// Cody-Waite reduction to |r| ≤ ln 2 / 2 and a Taylor polynomial of degree 6.
static inline Floats exponential(Floats x) {
    x = minimum((Floats)88.0f, maximum((Floats)-87.0f, x));
    constexpr float shift = 12582912.0f;  // 1.5 · 2²³: adding it rounds to an integer
    const Floats shifted = x * 1.44269504f + shift;
    const Floats n = shifted - shift;
    Floats r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    Floats p = r * (1.0f / 720) + (1.0f / 120);
    p = p * r + (1.0f / 24);
    p = p * r + (1.0f / 6);
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return bitsAs<Floats>(bitsAs<Ints>(p) + (bitsAs<Ints>(shifted) << 23));
}

// erf, absolute error below 1.5e-7: Abramowitz and Stegun 7.1.26.
static inline Floats errorFunction(Floats x) {
    const Floats a = magnitude(x);
    const Floats t = 1.0f / (1.0f + 0.3275911f * a);
    Floats p = t * 1.061405429f - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    const Floats y = 1.0f - p * t * exponential(-a * a);
    const UInts sign = bitsAs<UInts>(x) & 0x80000000u;
    return bitsAs<Floats>(bitsAs<UInts>(y) | sign);
}

static inline Floats sigmoid(Floats x) { return 1.0f / (1.0f + exponential(-x)); }

// GELU for a result that is rounded to bfloat16, absolute error below 6e-5, without the division and the exponential:
// x (½ + x P(x²)) for |x| ≤ 4.5, where P is a minimax fit that makes it 0 and x at the ends, as it stays beyond them.
static inline Floats roundedGELU(Floats x) {
    const Floats inside = minimum((Floats)4.5f, maximum((Floats)-4.5f, x));
    const Floats square = inside * inside;
    Floats p = square * 3.00000962e-11f - 3.28391447e-09f;
    p = p * square + 1.58025799e-07f;
    p = p * square - 4.43168619e-06f;
    p = p * square + 8.12097278e-05f;
    p = p * square - 0.00103625341f;
    p = p * square + 0.00958065409f;
    p = p * square - 0.0659772679f;
    p = p * square + 0.398708582f;
    return x * (0.5f + inside * p);
}

// `T`: the type that the result is stored as.
template <typename T>
static inline Floats activated(Floats x, Gate gate) {
    switch (gate) {
        case Gate::none: return x;
        case Gate::gelu:
            if constexpr (sizeof(T) == sizeof(BFloat)) return roundedGELU(x);
            return 0.5f * x * (1.0f + errorFunction(x * 0.707106781f));
        // tanh(u) = 2 sigmoid(2 u) - 1
        case Gate::geluTanh: return x * sigmoid(1.595769122f * (x + 0.044715f * x * x * x));
        case Gate::relu: return maximum((Floats)0.0f, x);
        case Gate::silu: return x * sigmoid(x);
    }
    return x;
}
