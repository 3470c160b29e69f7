import Testing

@testable import EttinCorpus

@Suite("Hashes of shards")
struct HashTests {
    /// Lengths around every place where one of the algorithms changes its way.
    private static let lengths = [
        0, 1, 3, 4, 8, 9, 16, 17, 55, 56, 63, 64, 111, 112, 119, 127, 128, 129, 240, 241, 1024, 1025, 5000,
    ]

    private static func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 * $0 * 7 + $0 * 13 + ($0 >> 8) * 5 + 3) }
    }

    // The SHA-256 over the hexadecimal hashes of all lengths, from hashlib and xxhash.
    @Test(
        "Each algorithm agrees with Python's libraries at all lengths",
        arguments: [
            (HashAlgorithm.md5, "cb85b1b16af2e58c"), (.sha1, "86d50295bbf6fa80"), (.sha224, "56574e35e520e2f3"),
            (.sha256, "ef248bcc43f595db"), (.sha384, "448142eb313b1be2"), (.sha512, "aa760f7f6a58df18"),
            (.xxh32, "7d48ede0e11b1298"), (.xxh3, "36cd6eeafa57272c"), (.xxh64, "fb22ed23bc031b5d"),
        ]
    )
    func agreement(algorithm: HashAlgorithm, expected: String) {
        var all = ""
        for length in Self.lengths { all += Self.bytes(length).withUnsafeBytes { algorithm.hexadecimal($0) } }
        let digest = Array(all.utf8).withUnsafeBytes { HashAlgorithm.sha256.hexadecimal($0) }
        #expect(digest.prefix(16) == expected)
    }

    @Test("SHA-256 of \"abc\" is the standard's")
    func standard() {
        let digest = Array("abc".utf8).withUnsafeBytes { HashAlgorithm.sha256.hexadecimal($0) }
        #expect(digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test("Pieces give the hash of the whole", arguments: [1, 3, 31, 32, 33, 1000])
    func pieces(size: Int) {
        let bytes = Self.bytes(5000)
        var state = XXHash64State()
        for start in stride(from: 0, to: bytes.count, by: size) {
            bytes[start..<min(bytes.count, start + size)].withUnsafeBytes { state.update($0) }
        }
        #expect(state.value == bytes.withUnsafeBytes { XXHash.hash64($0) })
    }
}
