// Dropout whose mask is computed, not stored: element i of the whole is dropped where 16 bits of Philox 4x32 with 10
// rounds, keyed by the seed, fall below a threshold. Elements come in groups of 128: sixteen blocks of the generator side
// by side, of which part j of the group takes half-word j. So the mask is the same for every vector width.
//
// > Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3".

constexpr int64_t dropoutGroup = 128, dropoutLanes = 16;

using WideUInts = uint64_t __attribute__((ext_vector_type(ETTIN_WIDTH)));

static inline void multiplyWide(UInts x, uint32_t factor, UInts &high, UInts &low) {
    const WideUInts product = __builtin_convertvector(x, WideUInts) * static_cast<uint64_t>(factor);
    high = __builtin_convertvector(product >> 32, UInts);
    low = __builtin_convertvector(product, UInts);
}

// Half-words of a group, in the order of its elements.
static inline void dropoutWords(uint64_t seed, uint64_t stream, uint64_t group, uint16_t *words) {
    for (int64_t lane = 0; lane < dropoutLanes; lane += W) {
        UInts x, y = (UInts)static_cast<uint32_t>((group * dropoutLanes) >> 32);
        for (int i = 0; i < W; i++) {
            x[i] = static_cast<uint32_t>(group * dropoutLanes) + static_cast<uint32_t>(lane + i);
        }
        UInts z = (UInts)static_cast<uint32_t>(stream), w = (UInts)static_cast<uint32_t>(stream >> 32);
        auto firstKey = static_cast<uint32_t>(seed), secondKey = static_cast<uint32_t>(seed >> 32);
        for (int round = 0; round < 10; round++) {
            UInts firstHigh, firstLow, secondHigh, secondLow;
            multiplyWide(x, 0xD2511F53u, firstHigh, firstLow);
            multiplyWide(z, 0xCD9E8D57u, secondHigh, secondLow);
            x = secondHigh ^ y ^ firstKey;
            y = secondLow;
            z = firstHigh ^ w ^ secondKey;
            w = firstLow;
            firstKey += 0x9E3779B9u;
            secondKey += 0xBB67AE85u;
        }
        const UInts parts[] = {x, y, z, w};
        for (int part = 0; part < 8; part++) {
            const UInts half = part % 2 == 0 ? parts[part / 2] & 0xffffu : parts[part / 2] >> 16;
            storeVector(words + part * dropoutLanes + lane, __builtin_convertvector(half, Halves));
        }
    }
}

template <typename T>
static void dropoutOf(const DropoutArguments &a) {
    constexpr int64_t block = 256;
    const int64_t end = a.first + a.count, firstGroup = a.first / dropoutGroup;
    const int64_t groups = a.count == 0 ? 0 : (end - 1) / dropoutGroup - firstGroup + 1;
    parallelTasks((groups + block - 1) / block, [&](int64_t task, int) {
        for (int64_t g = task * block; g < std::min(groups, (task + 1) * block); g++) {
            const int64_t start = (firstGroup + g) * dropoutGroup;
            uint16_t words[dropoutGroup];
            dropoutWords(a.seed, a.stream, static_cast<uint64_t>(firstGroup + g), words);
            const int64_t from = std::max(start, a.first), to = std::min(start + dropoutGroup, end);
            const T *in = static_cast<const T *>(a.input) - a.first;
            T *out = static_cast<T *>(a.output) - a.first;
            for (int64_t i = from; i < to; i += W) {
                const int64_t count = std::min<int64_t>(W, to - i);
                Halves drawn = (Halves)static_cast<uint16_t>(0);
                __builtin_memcpy(&drawn, words + (i - start), static_cast<size_t>(count) * sizeof(uint16_t));
                const UInts isKept = bitsAs<UInts>(__builtin_convertvector(drawn, UInts) >= (UInts)a.threshold);
                const Floats scaled = loadUpTo(in + i, count) * a.scale;
                storeUpTo(out + i, bitsAs<Floats>(bitsAs<UInts>(scaled) & isKept), count);
            }
        }
    });
}

static void dropout(const DropoutArguments &a) { a.isBFloat16 ? dropoutOf<BFloat>(a) : dropoutOf<float>(a); }
