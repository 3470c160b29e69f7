import EttinFiles

/// How a shard or an input file is compressed: an algorithm, and a level for those that have levels.
///
/// Written as in `index.json`: `zstd`, `zstd:7`, `gz`, `bz2`, `br`, `snappy`.
public struct Compression: Hashable, Sendable, CustomStringConvertible {
    /// The algorithms; raw values are their names and file extensions.
    package enum Algorithm: String, Hashable, Sendable, CaseIterable {
        /// Brotli, through the system's shared library.
        case brotli = "br"
        /// bzip2, through the system's shared library.
        case bzip2 = "bz2"
        /// gzip.
        case gzip = "gz"
        /// Snappy's raw format, without frames.
        case snappy
        /// Zstandard.
        case zstandard = "zstd"

        /// The levels that may be asked for; nil when there is only one way to compress.
        package var levels: ClosedRange<Int>? {
            switch self {
            case .brotli: 0...11
            case .bzip2: 1...9
            case .gzip: 0...9
            case .snappy: nil
            case .zstandard: 1...22
            }
        }

        /// The level of a name without one, as mosaicml-streaming chooses it.
        var defaultLevel: Int {
            switch self {
            case .brotli: 11
            case .bzip2, .gzip: 9
            case .snappy: 0
            case .zstandard: 3
            }
        }
    }

    /// The algorithm.
    package let algorithm: Algorithm
    /// The level; nil for the default, which the name then does not mention.
    package let level: Int?

    /// Zstandard at its default level, 3.
    public static let zstandard = Compression(algorithm: .zstandard, level: nil)

    private init(algorithm: Algorithm, level: Int?) {
        self.algorithm = algorithm
        self.level = level
    }

    /// Reads a name with an optional level.
    ///
    /// - Parameters:
    ///   - name: For example `zstd:7`.
    ///   - file: The file or option that the name comes from, for messages.
    /// - Throws: `CorpusError` when there is no such algorithm or level.
    public init(name: String, file: String = "compression") throws {
        let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let algorithm = Algorithm(rawValue: String(parts[0])) else {
            throw CorpusError(
                .unsupported,
                file: file,
                item: "compression",
                found: "is \(shown(name))",
                expected: "one of \(Algorithm.allCases.map(\.rawValue).joined(separator: ", "))"
            )
        }
        guard parts.count == 2 else {
            self.init(algorithm: algorithm, level: nil)
            return
        }
        guard let levels = algorithm.levels, let level = Int(parts[1]), levels.contains(level) else {
            let range = algorithm.levels.map { "a level from \($0.lowerBound) to \($0.upperBound)" } ?? "no level"
            throw CorpusError(
                .unsupported,
                file: file,
                item: "compression",
                found: "is \(shown(name))",
                expected: "\(range) for \(algorithm.rawValue)"
            )
        }
        self.init(algorithm: algorithm, level: level)
    }

    /// The name as `index.json` has it.
    public var description: String {
        level.map { "\(algorithm.rawValue):\($0)" } ?? algorithm.rawValue
    }

    /// The whole input as one compressed frame; `file`, for messages, is what the result is for.
    package func compress(_ bytes: UnsafeRawBufferPointer, file: String) throws -> [UInt8] {
        let level = Int32(level ?? algorithm.defaultLevel)
        switch algorithm {
        case .brotli: return try BrotliLibrary.loaded(file: file).compress(bytes, level: level, file: file)
        case .bzip2: return try Bzip2Library.loaded(file: file).compress(bytes, level: level, file: file)
        case .gzip: return try Gzip.compress(bytes, level: level, file: file)
        case .snappy: return Snappy.compress(bytes)
        case .zstandard: return try Zstandard.compress(bytes, level: level, file: file)
        }
    }

    /// What any input may decompress to, and how many times its own size more than that.
    ///
    /// A few bytes of zeros over and over could ask for any memory; token ids and texts are compressed 2 to 20 times.
    static let (alwaysAllowedBytes, largestExpansion) = (96 << 20, 1024)

    /// Whether that much may be decompressed.
    static func allowsExpansion(of inputCount: Int, to byteCount: Int) -> Bool {
        byteCount <= max(alwaysAllowedBytes, inputCount.multiplied(checked: largestExpansion) ?? .max)
    }

    /// Refuses what is more than the limits allow.
    private func checkExpansion(of inputCount: Int, to byteCount: Int, file: String) throws {
        guard !Self.allowsExpansion(of: inputCount, to: byteCount) else { return }
        throw CorpusError(
            .unsupported,
            file: file,
            found: "is said to hold \(byteCount) bytes in \(inputCount) compressed as \(algorithm.rawValue)",
            expected: "at most \(Self.largestExpansion) times as many, or \(Self.alwaysAllowedBytes) bytes"
        )
    }

    /// The input decompressed, which must give `byteCount` bytes; `file`, for messages, is where the input comes from.
    func decompress(_ bytes: UnsafeRawBufferPointer, byteCount: Int, file: String) throws -> [UInt8] {
        try checkExpansion(of: bytes.count, to: byteCount, file: file)
        switch algorithm {
        case .brotli: return try BrotliLibrary.loaded(file: file).decompress(bytes, byteCount: byteCount, file: file)
        case .bzip2: return try Bzip2Library.loaded(file: file).decompress(bytes, byteCount: byteCount, file: file)
        case .gzip: return try Gzip.decompress(bytes, byteCount: byteCount, file: file)
        case .snappy: return try Snappy.decompress(bytes, byteCount: byteCount, file: file)
        case .zstandard: return try Zstandard.decompress(bytes, byteCount: byteCount, file: file)
        }
    }

    /// Decompresses to the front of a buffer, which is replaced when it is too small.
    ///
    /// A buffer that is used again costs no new pages of memory.
    func decompress(
        _ bytes: UnsafeRawBufferPointer,
        byteCount: Int,
        into buffer: inout [UInt8],
        file: String
    ) throws {
        guard buffer.count >= byteCount, algorithm == .snappy || algorithm == .zstandard else {
            buffer = try decompress(bytes, byteCount: byteCount, file: file)
            return
        }
        try checkExpansion(of: bytes.count, to: byteCount, file: file)
        let failure = buffer.withUnsafeMutableBytes { buffer in
            let output = UnsafeMutableRawBufferPointer(rebasing: buffer[..<byteCount])
            return algorithm == .snappy
                ? Snappy.decompress(bytes, into: output) : Zstandard.decompress(bytes, into: output)
        }
        if let failure { throw Self.malformed(file, algorithm, failure, byteCount: byteCount) }
    }

    /// The error for compressed bytes that do not give what the index promises.
    static func malformed(_ file: String, _ algorithm: Algorithm, _ reason: String, byteCount: Int) -> CorpusError {
        CorpusError(
            .malformed,
            file: file,
            found: "cannot be decompressed as \(algorithm.rawValue): \(reason)",
            expected: "\(byteCount) bytes of content"
        )
    }
}
