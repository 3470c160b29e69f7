/// The number types that embeddings are stored in.
///
/// > Source: sentence-transformers 6.2, `quantize_embeddings`.
public enum EmbeddingPrecision: String, Sendable, Hashable, CaseIterable {
    /// Four bytes for each dimension.
    case float32
    /// One signed byte for each dimension.
    case int8
    /// One unsigned byte for each dimension.
    case uint8
    /// One bit for each dimension, eight of them in a signed byte that is 128 less than their number.
    case binary
    /// One bit for each dimension, eight of them in an unsigned byte.
    case ubinary

    /// Whether values are counted in steps between the ends of a range.
    package var needsRanges: Bool { self == .int8 || self == .uint8 }
    /// Whether the bytes have a sign.
    package var isSigned: Bool { self == .int8 || self == .binary }
}

/// The smallest and the largest value of each dimension, between which int8 and uint8 count their steps.
public struct EmbeddingRanges: Sendable, Hashable {
    /// The smallest value of each dimension.
    public let minimums: [Float]
    /// The largest value of each dimension, as many.
    public let maximums: [Float]

    /// Takes the ranges of embeddings that stand for those to come.
    ///
    /// - Parameter embeddings: As many and as various as can be had; sentence-transformers advises 100 and more.
    /// - Throws: ``InferenceError`` for fewer than two, whose ranges would be empty.
    public init(calibratedBy embeddings: TextEmbeddings) throws {
        guard embeddings.count > 1 else {
            throw InferenceError.invalidOption(
                name: "calibration",
                found: "\(embeddings.count) embedding\(embeddings.count == 1 ? "" : "s"), which has no range",
                expected: "texts like those to be embedded, 100 or more of them"
            )
        }
        var (minimums, maximums) = (Array(embeddings[0]), Array(embeddings[0]))
        for index in 1..<embeddings.count {
            for (dimension, value) in embeddings[index].enumerated() {
                minimums[dimension] = min(minimums[dimension], value)
                maximums[dimension] = max(maximums[dimension], value)
            }
        }
        try self.init(minimums: minimums, maximums: maximums)
    }

    /// Takes ranges that were found before.
    ///
    /// - Parameters:
    ///   - minimums: The smallest value of each dimension.
    ///   - maximums: The largest value of each dimension, as many.
    /// - Throws: ``InferenceError`` for counts that differ, a minimum above its maximum and values that are NaN or
    ///   infinite.
    public init(minimums: [Float], maximums: [Float]) throws {
        func refusal(_ found: String) -> InferenceError {
            .invalidOption(
                name: "calibration",
                found: found,
                expected: "for each dimension a finite minimum, and a maximum that is not below it"
            )
        }
        guard minimums.count == maximums.count else {
            throw refusal("of \(minimums.count) minimums and \(maximums.count) maximums")
        }
        // A width beyond the largest float would make steps that are NaN.
        if let index = minimums.indices.first(where: {
            !(maximums[$0] - minimums[$0]).isFinite || minimums[$0] > maximums[$0]
        }) {
            throw refusal("\(minimums[index]) to \(maximums[index]) in dimension \(index)")
        }
        (self.minimums, self.maximums) = (minimums, maximums)
    }
}

/// Embeddings of a byte or a bit for each dimension, row by row.
public struct QuantizedEmbeddings: Sendable, Hashable {
    /// The number type, anything but float32.
    public let precision: EmbeddingPrecision
    /// All bytes, row-major: `[count, bytesPerEmbedding]`; those of int8 and binary in two's complement.
    public let bytes: [UInt8]
    /// The number of bytes of an embedding: its width, or an eighth of it, rounded up.
    public let bytesPerEmbedding: Int
    /// Whether each text was truncated.
    public let isTruncated: [Bool]

    /// The number of embeddings.
    public var count: Int { isTruncated.count }

    /// The values of one embedding, with their sign.
    ///
    /// - Parameter index: The number of the text, from 0.
    public subscript(index: Int) -> [Int] {
        bytes[index * bytesPerEmbedding..<(index + 1) * bytesPerEmbedding].map {
            precision.isSigned ? Int(Int8(bitPattern: $0)) : Int($0)
        }
    }
}

extension TextEmbeddings {
    /// Rounds the embeddings to a byte or a bit for each dimension, bit for bit as sentence-transformers does.
    ///
    /// A byte counts 255 steps between the ends of its dimension's range; values beyond them are moved to the nearest
    /// end. A bit says whether the value is above 0; the first dimension of eight is the highest bit.
    ///
    /// - Parameters:
    ///   - precision: The number type, anything but float32.
    ///   - ranges: The ranges of int8 and uint8; nil for those of these embeddings.
    /// - Returns: The rounded embeddings.
    /// - Throws: ``InferenceError`` for ranges of another width, and for none with fewer than two embeddings.
    ///
    /// > Source: sentence-transformers 6.2, `quantize_embeddings`.
    public func quantized(to precision: EmbeddingPrecision, ranges: EmbeddingRanges? = nil) throws
        -> QuantizedEmbeddings
    {
        precondition(precision != .float32, "embeddings are float32 as they are")
        let bytes = try precision.needsRanges ? steps(precision, ranges) : bits(precision)
        return QuantizedEmbeddings(
            precision: precision,
            bytes: bytes,
            bytesPerEmbedding: precision.needsRanges ? dimensions : (dimensions + 7) / 8,
            isTruncated: isTruncated
        )
    }

    private func steps(_ precision: EmbeddingPrecision, _ given: EmbeddingRanges?) throws -> [UInt8] {
        if count == 0 { return [] }
        if given == nil, count == 1 {
            throw InferenceError.invalidOption(
                name: "precision",
                found: "\(precision.rawValue) of 1 embedding, which has no range",
                expected: "--calibration FILE with texts like it, or more texts"
            )
        }
        let ranges = try given ?? EmbeddingRanges(calibratedBy: self)
        guard ranges.minimums.count == dimensions, ranges.maximums.count == dimensions else {
            throw InferenceError.invalidOption(
                name: "calibration",
                found: "of embeddings with \(ranges.minimums.count) dimensions",
                expected: "those with \(dimensions)"
            )
        }
        let sizes = zip(ranges.minimums, ranges.maximums).map { low, high in
            let size = (high - low) / 255
            return size == 0 ? 1 : size
        }
        var bytes = [UInt8](repeating: 0, count: values.count)
        for row in 0..<count {
            for dimension in 0..<dimensions {
                let place = row * dimensions + dimension
                let step = ((values[place] - ranges.minimums[dimension]) / sizes[dimension]).rounded(.down)
                let value = UInt8(min(max(step, 0), 255))
                bytes[place] = precision == .int8 ? value &- 128 : value
            }
        }
        return bytes
    }

    private func bits(_ precision: EmbeddingPrecision) -> [UInt8] {
        let width = (dimensions + 7) / 8
        var bytes = [UInt8](repeating: 0, count: count * width)
        for row in 0..<count {
            for (dimension, value) in self[row].enumerated() where value > 0 {
                bytes[row * width + dimension / 8] |= 0x80 >> UInt8(dimension % 8)
            }
        }
        return precision == .binary ? bytes.map { $0 &- 128 } : bytes
    }
}
