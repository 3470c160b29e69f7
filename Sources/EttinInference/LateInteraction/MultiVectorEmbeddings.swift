import EttinFiles
import EttinJSON
import EttinModel
import Torch

/// Vectors of the tokens of texts, row by row, without padding.
public struct MultiVectorEmbeddings: Sendable, Hashable {
    /// All values, row-major: the rows of the first text, then those of the second.
    public let values: [Float]
    /// The width of a vector.
    public let dimensions: Int
    /// The number of vectors of each text.
    public let lengths: [Int]
    /// Whether each text was truncated.
    public let isTruncated: [Bool]
    /// Where the rows of each text start, and the number of all at the end.
    private let starts: [Int32]

    /// Puts the vectors of texts together.
    ///
    /// - Parameters:
    ///   - values: The rows of all texts, `dimensions` values each.
    ///   - dimensions: The width of a vector, at least 1.
    ///   - lengths: The number of vectors of each text, which add up to the rows.
    ///   - isTruncated: Whether each text was truncated; nil for none.
    public init(values: [Float], dimensions: Int, lengths: [Int], isTruncated: [Bool]? = nil) {
        precondition(dimensions > 0 && lengths.allSatisfy { $0 >= 0 }, "vectors of width \(dimensions)")
        precondition(
            lengths.reduce(0, +) * dimensions == values.count,
            "\(values.count) values are not \(lengths.reduce(0, +)) rows of \(dimensions)"
        )
        precondition(isTruncated.map { $0.count == lengths.count } ?? true, "a flag for each of \(lengths.count) texts")
        self.values = values
        self.dimensions = dimensions
        self.lengths = lengths
        self.isTruncated = isTruncated ?? lengths.map { _ in false }
        var starts: [Int32] = [0]
        for length in lengths { starts.append(starts[starts.count - 1] + Int32(length)) }
        self.starts = starts
    }

    /// Joins what was computed for each text.
    init(_ texts: [[Float]], dimensions: Int, isTruncated: [Bool]) {
        var values: [Float] = []
        values.reserveCapacity(texts.reduce(0) { $0 + $1.count })
        for rows in texts { values += rows }
        self.init(
            values: values,
            dimensions: dimensions,
            lengths: texts.map { $0.count / dimensions },
            isTruncated: isTruncated
        )
    }

    /// The number of texts.
    public var count: Int { lengths.count }

    /// The vectors of one text, row by row.
    ///
    /// - Parameter index: The number of the text, from 0.
    public subscript(index: Int) -> ArraySlice<Float> {
        values[Int(starts[index]) * dimensions..<Int(starts[index + 1]) * dimensions]
    }

    /// Some of the texts.
    ///
    /// - Parameter range: The numbers of texts that follow each other, from 0.
    package subscript(range: Range<Int>) -> MultiVectorEmbeddings {
        let rows = Int(starts[range.lowerBound])..<Int(starts[range.upperBound])
        return MultiVectorEmbeddings(
            values: Array(values[rows.lowerBound * dimensions..<rows.upperBound * dimensions]),
            dimensions: dimensions,
            lengths: Array(lengths[range]),
            isTruncated: Array(isTruncated[range])
        )
    }

    /// The vectors of one text.
    ///
    /// - Parameter index: The number of the text, from 0.
    /// - Returns: One array for each vector.
    public func rows(_ index: Int) -> [ArraySlice<Float>] {
        (Int(starts[index])..<Int(starts[index + 1])).map { values[$0 * dimensions..<($0 + 1) * dimensions] }
    }

    /// Scores each text, as a query, against each of some documents by late interaction: `Σᵢ maxⱼ qᵢ · dⱼ`.
    ///
    /// Documents are scored by their own vectors, wherever they lie; there is no padding that could take part. The
    /// batches of PyLate multiply padded vectors by 0, so that one whose real similarities are all negative scores 0
    /// there. A document without vectors scores −10⁹, as in sentence-transformers.
    ///
    /// - Parameter documents: Vectors of the same width.
    /// - Returns: For each query its scores, one for each document.
    /// - Complexity: O(query vectors · document vectors · dimensions) time, no memory besides the scores and a copy of
    ///   the queries.
    ///
    /// > Source: ColBERT, section 3.1; PyLate `pylate/scores/colbert.py`.
    public func maxSim(_ documents: MultiVectorEmbeddings) -> [[Float]] {
        let scores = maxSim(documents, isPairwise: false)
        return (0..<count).map { Array(scores[$0 * documents.count..<($0 + 1) * documents.count]) }
    }

    /// Scores each text, as a query, against the document of the same number.
    ///
    /// - Parameter documents: As many texts, with vectors of the same width.
    /// - Returns: One score for each pair.
    public func maxSimPairwise(_ documents: MultiVectorEmbeddings) -> [Float] {
        precondition(count == documents.count, "\(count) queries and \(documents.count) documents make no pairs")
        return maxSim(documents, isPairwise: true)
    }

    private func maxSim(_ documents: MultiVectorEmbeddings, isPairwise: Bool) -> [Float] {
        precondition(dimensions == documents.dimensions, "vectors of \(dimensions) and \(documents.dimensions) values")
        return maxSimScores(
            queries: values,
            starts,
            documents: documents.values,
            documents.starts,
            width: dimensions,
            isPairwise: isPairwise
        )
    }

    /// The documents with fewer vectors.
    ///
    /// - Parameter pooling: How vectors are put together.
    /// - Returns: The same texts.
    /// - Throws: ``InferenceError`` for an impossible factor.
    public func pooled(by pooling: TokenPooling) throws -> MultiVectorEmbeddings {
        try pooling.check()
        return MultiVectorEmbeddings(
            (0..<count).map { pooling(self[$0], width: dimensions) },
            dimensions: dimensions,
            isTruncated: isTruncated
        )
    }
}

// MARK: - Files

extension MultiVectorEmbeddings {
    /// Refuses a format that has no place for the number of vectors of each text.
    ///
    /// - Parameters:
    ///   - format: The format to be written.
    ///   - path: The file to be written.
    /// - Throws: ``InferenceError`` for such a format.
    package static func check(_ format: EmbeddingFileFormat, of path: String) throws {
        guard format == .npy else { return }
        throw InferenceError.invalidOption(
            name: "output",
            found: quoted(path) + ", which has no place for the number of vectors of each text",
            expected: ".safetensors or .jsonl for a multi-vector model"
        )
    }

    /// Writes all vectors to a file, which appears complete or not at all.
    ///
    /// - Parameters:
    ///   - path: The file to create or replace.
    ///   - format: The format; `npy` holds one matrix and so no lengths.
    /// - Throws: `CheckpointError` when the file cannot be written; ``InferenceError`` for a format without lengths.
    package func write(to path: String, format: EmbeddingFileFormat) throws {
        try Self.check(format, of: path)
        switch format {
        case .jsonl:
            try CheckpointError.translating {
                let file = try AtomicFile(path: path)
                for index in 0..<count { try file.write(jsonLine(index) + [UInt8(ascii: "\n")]) }
                try file.commit()
            }
        case .npy: break  // refused above
        case .safetensors:
            let rows = TensorToWrite(
                name: "embeddings",
                dtype: .float32,
                shape: [lengths.reduce(0, +), dimensions]
            ) { sink in try values.withUnsafeBytes(sink) }
            let counts = lengths.map(Int64.init)
            let lengths = TensorToWrite(name: "lengths", dtype: .int64, shape: [count]) { sink in
                try counts.withUnsafeBytes(sink)
            }
            try SafetensorsWriter.write([rows, lengths], to: path)
        }
    }

    /// The vectors of one text as a JSON object, with the shortest digits that give the same float32.
    ///
    /// - Parameter index: The number of the text, from 0.
    /// - Returns: UTF-8 text on one line, without a line feed.
    package func jsonLine(_ index: Int) -> [UInt8] {
        let matrix = rows(index).map { row in JSONValue.array(row.map { .number(JSONNumber($0)) }) }
        return JSONValue.object(["embedding": .array(matrix), "truncated": .bool(isTruncated[index])]).serialized()
    }
}
