import EttinHashing

/// The hashes of shards that are computed and checked here; raw values are their names in `index.json`.
///
/// They find damage. Whoever wants protection against forgery asks for `sha256` or `sha512`.
public enum HashAlgorithm: String, Hashable, Sendable, CaseIterable {
    /// MD5, 128 bits.
    case md5
    /// SHA-1, 160 bits.
    case sha1
    /// SHA-2, 224 bits.
    case sha224
    /// SHA-2, 256 bits.
    case sha256
    /// SHA-2, 384 bits.
    case sha384
    /// SHA-2, 512 bits.
    case sha512
    /// xxHash, 32 bits.
    case xxh32
    /// XXH3, 64 bits: the fastest here.
    case xxh3 = "xxh3_64"
    /// xxHash, 64 bits.
    case xxh64

    /// The hash of bytes, in lower-case hexadecimal digits.
    ///
    /// - Parameter bytes: The content.
    /// - Returns: The digits.
    package func hexadecimal(_ bytes: UnsafeRawBufferPointer) -> String { Self.digits(digest(bytes)) }

    /// The hash of bytes.
    package func digest(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        switch self {
        case .md5: RunningHash.digest(bytes, .md5)
        case .sha1: RunningHash.digest(bytes, .sha1)
        case .sha224: RunningHash.digest(bytes, .sha224)
        case .sha256: RunningHash.digest(bytes, .sha256)
        case .sha384: RunningHash.digest(bytes, .sha384)
        case .sha512: RunningHash.digest(bytes, .sha512)
        case .xxh32: XXHash.hash32(bytes).bigEndianBytes
        case .xxh3: XXH3.hash64(bytes).bigEndianBytes
        case .xxh64: XXHash.hash64(bytes).bigEndianBytes
        }
    }

    /// Bytes in lower-case hexadecimal digits.
    package static func digits(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        for byte in bytes {
            for digit in [byte >> 4, byte & 15] { text.append(digit < 10 ? 0x30 + digit : 0x57 + digit) }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension FixedWidthInteger {
    /// The bytes, most significant first.
    var bigEndianBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }

    /// The bytes, least significant first.
    var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }
}
