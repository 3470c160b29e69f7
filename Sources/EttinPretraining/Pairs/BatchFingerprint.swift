package import EttinCorpus

/// What data a global batch is, in a few bytes.
///
/// The digest is SHA-256 over the samples in their order: for each the pass over the data, the sample's number and the
/// number of its tokens as 64-bit integers, then the tokens as 32-bit integers, all little-endian. The tokens are those
/// that both halves of a pair read: the start token in front and cut to the longest sequence, without the end token
/// that only an encoder's samples get (``/EttinCorpus/SamplePreparation`` with `appendsEnd` false).
///
/// Computing one is a pure function for any thread; our SHA-256 takes in 80 million tokens a second.
package struct BatchFingerprint: Hashable, Sendable {
    /// The number of samples.
    package let samples: Int
    /// The number of tokens that were hashed.
    package let tokens: Int
    /// The hash of all of them.
    package let digest: SHA256Digest

    /// Creates a fingerprint from its parts.
    ///
    /// - Parameters:
    ///   - samples: The number of samples.
    ///   - tokens: The number of tokens.
    ///   - digest: The hash.
    package init(samples: Int, tokens: Int, digest: SHA256Digest) {
        self.samples = samples
        self.tokens = tokens
        self.digest = digest
    }

    /// Hashes a global batch.
    ///
    /// - Parameter samples: Its samples of all ranks, as both halves of a pair read them.
    package init(_ samples: [TokenSample]) {
        self.samples = samples.count
        tokens = samples.reduce(0) { $0 + $1.ids.count }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(24 * samples.count + 4 * tokens)
        for sample in samples {
            for number in [sample.reference.pass, sample.reference.index, sample.ids.count] {
                withUnsafeBytes(of: UInt64(number).littleEndian) { bytes.append(contentsOf: $0) }
            }
            #if _endian(little)
                sample.ids.withUnsafeBytes { bytes.append(contentsOf: $0) }
            #else
                for id in sample.ids { withUnsafeBytes(of: id.littleEndian) { bytes.append(contentsOf: $0) } }
            #endif
        }
        digest = SHA256Digest(of: bytes)
    }
}
