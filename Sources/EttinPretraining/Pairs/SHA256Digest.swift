import EttinCorpus

/// A SHA-256.
package struct SHA256Digest: Hashable, Sendable, CustomStringConvertible {
    /// The digest's bytes, the first in the most significant place.
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// Hashes bytes.
    ///
    /// - Parameter bytes: What to hash.
    package init(of bytes: [UInt8]) {
        self.init(digest: bytes.withUnsafeBytes { HashAlgorithm.sha256.digest($0) })
    }

    /// Reads a digest.
    ///
    /// - Parameter text: 64 lower-case hexadecimal digits; nil for anything else.
    package init?(hexadecimal text: String) {
        let digits = Array(text.utf8)
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: 64, by: 2) {
            guard let high = Self.value(of: digits[start]), let low = Self.value(of: digits[start + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        self.init(digest: bytes)
    }

    private init(digest: [UInt8]) {
        func word(_ index: Int) -> UInt64 {
            digest[index * 8..<index * 8 + 8].reduce(0) { $0 << 8 | UInt64($1) }
        }
        words = (word(0), word(1), word(2), word(3))
    }

    /// 32 zero bytes, which no content is known to hash to.
    package static let zero = SHA256Digest(digest: [UInt8](repeating: 0, count: 32))

    /// The 32 bytes.
    package var bytes: [UInt8] {
        [words.0, words.1, words.2, words.3].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
        }
    }

    /// 64 lower-case hexadecimal digits.
    package var description: String { HashAlgorithm.digits(bytes) }

    /// Whether two digests are the same.
    package static func == (left: SHA256Digest, right: SHA256Digest) -> Bool { left.words == right.words }

    /// Feeds the digest to a hasher.
    package func hash(into hasher: inout Hasher) {
        // A part of a digest is as well mixed as all of it.
        hasher.combine(words.0)
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
