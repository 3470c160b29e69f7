import EttinInference
import EttinModel

/// Two texts in each row, and how near they are.
struct PairColumns {
    private let ones: TextColumn
    private let others: TextColumn

    /// Rows that are encoded at once: enough for full batches of texts of similar length, few enough that their vectors
    /// take little memory.
    static let blockRows = 4096

    init(_ ones: TextColumn, _ others: TextColumn) {
        self.ones = ones
        self.others = others
    }

    /// How near the texts of each row are.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - similarities: How to compare.
    ///   - precision: The number type of the embeddings, which are then normalized; nil for those of the model as they are.
    ///   - truncateDimension: The number of leading dimensions to keep; nil for what the model says.
    /// - Returns: For each similarity the score of each row.
    /// - Throws: What the texts and the model throw.
    func scores(
        of model: any TextVectors,
        by similarities: [EmbeddingSimilarity],
        precision: EmbeddingPrecision? = nil,
        truncateDimension: Int?
    ) throws -> [[Float]] {
        // Ranges of bytes are those of all texts of both columns, so that equal texts get equal bytes.
        let blockRows = precision?.needsRanges == true ? ones.count : model.textsAtOnce(Self.blockRows)
        var scores = similarities.map { _ in [Float]() }
        for begin in stride(from: 0, to: ones.count, by: blockRows) {
            let rows = begin..<min(begin + blockRows, ones.count)
            var (one, other) = (
                try vectors(of: ones(rows), model, precision, truncateDimension),
                try vectors(of: others(rows), model, precision, truncateDimension)
            )
            if let precision, precision != .float32 {
                let ranges = precision.needsRanges ? try EmbeddingRanges(calibratedBy: one.appending(other)) : nil
                one = try one.quantized(to: precision, ranges: ranges).asNumbers(dimensions: one.dimensions)
                other = try other.quantized(to: precision, ranges: ranges).asNumbers(dimensions: other.dimensions)
            }
            for (place, similarity) in similarities.enumerated() { scores[place] += similarity.scores(one, other) }
        }
        return scores
    }

    private func vectors(
        of texts: [String],
        _ model: any TextVectors,
        _ precision: EmbeddingPrecision?,
        _ truncateDimension: Int?
    ) throws -> TextEmbeddings {
        try model.vectors(
            of: texts,
            role: nil,
            prompt: .default,
            truncateDimension: truncateDimension,
            normalize: precision != nil
        )
    }
}

extension TextEmbeddings {
    /// These vectors and others behind them.
    fileprivate func appending(_ other: TextEmbeddings) -> TextEmbeddings {
        TextEmbeddings(
            values: values + other.values,
            dimensions: dimensions,
            isTruncated: isTruncated + other.isTruncated
        )
    }
}

extension QuantizedEmbeddings {
    /// The bytes, or the bits, as the numbers that are compared.
    fileprivate func asNumbers(dimensions: Int) -> TextEmbeddings {
        guard !precision.needsRanges else {
            return TextEmbeddings(
                values: (0..<count).flatMap { self[$0].map(Float.init) },
                dimensions: dimensions,
                isTruncated: isTruncated
            )
        }
        // Bits that fill the last byte are compared as well: they are 0 in every vector.
        let bits = (0..<count).flatMap { row in
            self[row].flatMap { byte -> [Float] in
                let byte = UInt8(precision.isSigned ? byte + 128 : byte)
                return (0..<8).map { byte & (0x80 >> $0) == 0 ? 0 : 1 }
            }
        }
        return TextEmbeddings(values: bits, dimensions: bytesPerEmbedding * 8, isTruncated: isTruncated)
    }
}
