import EttinFiles

/// An open shard: random access to its samples, each in O(1), from any number of threads.
package final class MDSShard: Sendable {
    private enum Content: Sendable {
        case mapped(MappedFile)
        case memory([UInt8])
    }

    /// The file, for messages.
    package let path: String
    /// The columns.
    package let schema: MDSSchema
    /// The number of samples.
    package let sampleCount: Int
    private let content: Content

    /// Maps an uncompressed shard file and checks its frame.
    convenience init(path: String, description: MDSShardDescription) throws {
        let file = try CorpusError.translating { try MappedFile(path: path) }
        try self.init(path: path, description: description, content: .mapped(file))
    }

    /// Wraps the decompressed bytes of the shard file at `path`.
    convenience init(path: String, bytes: [UInt8], description: MDSShardDescription) throws {
        try self.init(path: path, description: description, content: .memory(bytes))
    }

    private init(path: String, description: MDSShardDescription, content: Content) throws {
        self.path = path
        schema = description.schema
        sampleCount = description.sampleCount
        self.content = content
        let size = description.raw.byteCount
        try withUnsafeBytes { bytes in
            guard bytes.count == size else {
                throw malformed(nil, "has \(bytes.count) bytes", "the \(size) that the index gives")
            }
            let headerSize = 4 * (sampleCount + 2)
            guard bytes.count >= headerSize else {
                throw malformed(nil, "has \(bytes.count) bytes", "at least \(headerSize) for \(sampleCount) samples")
            }
            let count = Self.word(bytes, 0)
            guard count == sampleCount else {
                throw malformed(nil, "holds \(count) samples", "the \(sampleCount) that the index gives")
            }
            let first = Self.word(bytes, 1)
            let last = Self.word(bytes, sampleCount + 1)
            guard first >= headerSize, last == bytes.count else {
                let found = "puts its samples at \(first)..<\(last)"
                throw malformed(nil, found, "a start from \(headerSize) and the end \(bytes.count)")
            }
        }
    }

    /// Calls `body` with all bytes of the shard.
    func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        switch content {
        case .mapped(let file): try file.withUnsafeBytes(body)
        case .memory(let bytes): try bytes.withUnsafeBytes(body)
        }
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Int {
        Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)))
    }

    func malformed(_ sample: Int?, _ found: String, _ expected: String?) -> CorpusError {
        CorpusError(.malformed, file: path, item: sample.map { "sample \($0)" }, found: found, expected: expected)
    }

    // MARK: - Samples

    /// Calls `body` with the bytes of one value.
    ///
    /// - Parameters:
    ///   - sample: The position in the shard.
    ///   - column: The position in the schema.
    ///   - body: Receives the bytes; must not let the pointer escape.
    /// - Returns: What `body` returns.
    /// - Throws: `CorpusError` when the sample's offsets or lengths are impossible; what `body` throws.
    package func withBytes<Result>(
        sample: Int,
        column: Int,
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        try withFields(sample: sample) { bytes, ranges in
            try body(UnsafeRawBufferPointer(rebasing: bytes[ranges[column]]))
        }
    }

    /// Gives a body the bytes of a sample's `id`; nil when there is no such column of text.
    func withDocumentID<Result>(
        of sample: Int,
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result? {
        guard let column = schema.position(of: "id"), schema.columns[column].encoding == .string else { return nil }
        return try withBytes(sample: sample, column: column, body)
    }

    /// The values of a sample in the order of the columns.
    ///
    /// - Parameter sample: The position in the shard.
    /// - Returns: One value per column.
    /// - Throws: `CorpusError` when the sample's offsets, lengths or values are malformed.
    package func values(sample: Int) throws -> [MDSValue] {
        try withFields(sample: sample) { bytes, ranges in
            try zip(schema.columns, ranges).map { column, range in
                try decoded(UnsafeRawBufferPointer(rebasing: bytes[range]), column, sample)
            }
        }
    }

    /// The value of one column of a sample.
    func value(sample: Int, column: Int) throws -> MDSValue {
        try withBytes(sample: sample, column: column) { try decoded($0, schema.columns[column], sample) }
    }

    private func decoded(
        _ bytes: UnsafeRawBufferPointer,
        _ column: MDSSchema.Column,
        _ sample: Int
    ) throws -> MDSValue {
        do {
            return try column.encoding.decode(bytes)
        } catch {
            throw CorpusError(
                .malformed,
                file: path,
                item: "sample \(sample) column \(shown(column.name))",
                found: error.found,
                expected: error.expected
            )
        }
    }

    /// The token ids of a sample.
    ///
    /// - Parameters:
    ///   - sample: The position in the shard.
    ///   - column: The position in the schema of a column of whole numbers.
    /// - Returns: The ids.
    /// - Throws: `CorpusError` when the column does not hold arrays of whole numbers, or one does not fit 32 bits.
    package func tokenIDs(sample: Int, column: Int) throws -> [Int32] {
        try withTokens(sample, column) { MDSArray.tokenIDs($0.element, $0.values) }
    }

    /// The number of token ids of a sample, which are not looked into.
    func tokenCount(sample: Int, column: Int) throws -> Int {
        try withTokens(sample, column) { $0.element.isInteger ? $0.values.count / $0.element.byteCount : nil }
    }

    /// Calls `body` with the array of a sample; nil says that it holds no token ids.
    private func withTokens<Result>(
        _ sample: Int,
        _ column: Int,
        _ body: (MDSArrayView) -> Result?
    ) throws -> Result {
        let name = schema.columns[column].name
        guard case .array(let element, let shape) = schema.columns[column].encoding else {
            let found = "holds \(schema.columns[column].encoding.name)"
            throw CorpusError(
                .unsupported,
                file: path,
                item: "column \(shown(name))",
                found: found,
                expected: "an ndarray of token ids"
            )
        }
        return try withBytes(sample: sample, column: column) { bytes in
            let item = "sample \(sample) column \(shown(name))"
            do {
                let view = try MDSArrayView(bytes, element: element, shape: shape)
                if let result = body(view) { return result }
            } catch let fault as MDSValueFault {
                throw CorpusError(.malformed, file: path, item: item, found: fault.found, expected: fault.expected)
            }
            throw CorpusError(
                .malformed,
                file: path,
                item: item,
                found: "holds values that are no token ids",
                expected: "whole numbers of at most 31 bits"
            )
        }
    }

    private func withFields<Result>(
        sample: Int,
        _ body: (UnsafeRawBufferPointer, [Range<Int>]) throws -> Result
    ) throws -> Result {
        precondition((0..<sampleCount).contains(sample), "sample \(sample) of \(sampleCount)")
        return try withUnsafeBytes { bytes in
            let begin = Self.word(bytes, sample + 1)
            let end = Self.word(bytes, sample + 2)
            guard begin >= 4 * (sampleCount + 2), begin <= end, end <= bytes.count else {
                throw malformed(sample, "lies at \(begin)..<\(end)", "a place within the \(bytes.count) bytes")
            }
            var position = begin
            var lengths: [Int] = []
            lengths.reserveCapacity(schema.columns.count)
            for column in schema.columns {
                if let length = column.fixedByteCount {
                    lengths.append(length)
                    continue
                }
                guard end - position >= 4 else { throw malformed(sample, "ends within its lengths", nil) }
                let word = bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self)
                lengths.append(Int(UInt32(littleEndian: word)))
                position += 4
            }
            var ranges: [Range<Int>] = []
            ranges.reserveCapacity(lengths.count)
            for length in lengths {
                guard length <= end - position else {
                    throw malformed(sample, "has columns of \(lengths) bytes", "\(end - begin) with their lengths")
                }
                ranges.append(position..<position + length)
                position += length
            }
            guard position == end else {
                throw malformed(sample, "has columns of \(lengths) bytes", "\(end - begin) with their lengths")
            }
            return try body(bytes, ranges)
        }
    }
}
