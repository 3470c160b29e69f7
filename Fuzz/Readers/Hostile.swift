/// Numbers and words that readers stumble over.
enum Hostile {
    /// Spellings of numbers that JSON allows.
    static let numbers: [String] = [
        "0", "1", "2", "3", "7", "-1", "-0", "1.5", "0.5", "-0.0", "1e308", "-1e308", "1e400", "5e-324", "1e-400",
        "1e19",
        "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295", "4294967296", "9007199254740992",
        "9007199254740993", "1152921504606846976", "4611686018427387904", "9223372036854775807", "9223372036854775808",
        "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "1e18",
        "9.3e18",
        "1000000", "1048576", "100000000", "16777216", "67108864", "1.7976931348623157e308",
        String(repeating: "9", count: 400), "0." + String(repeating: "3", count: 400),
    ]

    static let integers: [Int] = [
        0, 1, 2, 7, 8, -1, 127, 128, 255, 256, 65535, 65536, 1 << 24, 1 << 31, (1 << 31) - 1, 1 << 32, 1 << 33, 1 << 53,
        1 << 60, 1 << 62, .max, .max - 1, .max - 7, .min, .min + 1, -(1 << 31), 1000, 100_000_000,
    ]

    static let words: [String] = [
        "", " ", "a", "null", "true", "NaN", "Infinity", "-1", "0", "..", ".", "../x", "/etc/passwd", "a/b", "a\u{0}b",
        "e\u{301}", "\u{FEFF}", "\u{10FFFF}", "\r\n", "9223372036854775807", "1e19", "F4", "BF16", "__metadata__",
        "float32", "uint8", "model.safetensors", "linear", "default", "full_attention", "<s>", "[MASK]",
        String(repeating: "x", count: 300),
    ]

    /// Times of recipes, such as are refused, huge, or parts of whole things.
    static let times: [String] = [
        "9223372036854775807ba", "1e19ba", "1e300ep", "9007199254740992tok", "9007199254740993tok", "1e400sp", "0ba",
        "1ba", "3ep", "0.5ep", "0.1dur", "1dur", "2dur", "1e-300dur", "1e15dur", "-1ba", "1_000ba", "1_000_000tok",
        "10sec", "0.5sec", "1e15sec", "nanba", "infba", "1", "ba", "7iter", "100sp", "1e9sp", "1e15ep", "1e15ba",
    ]
}
