import EttinEvaluation
import EttinInference
import EttinModel

/// A model that knows the vectors of a few texts, as the golden values' stand-in does.
struct VectorTable: TextVectors {
    var vectors: [String: [Float]]
    var similarity = EmbeddingSimilarity.cosine
    let modelName = "table"

    struct UnknownText: Error { let text: String }

    func vectors(
        of texts: [String],
        role: TextRole?,
        prompt: TextEmbeddingPipeline.Prompt,
        truncateDimension: Int?,
        normalize: Bool
    ) throws -> TextEmbeddings {
        let rows = try texts.map { text in
            var prefix = ""
            if case .text(let given) = prompt { prefix = given }
            guard let vector = vectors[prefix + text] else { throw UnknownText(text: prefix + text) }
            let kept = Array(vector.prefix(truncateDimension ?? vector.count))
            let norm = normalize ? kept.reduce(0) { $0 + $1 * $1 }.squareRoot() : 1
            return kept.map { $0 / norm }
        }
        return TextEmbeddings(
            values: rows.flatMap(\.self),
            dimensions: rows.first?.count ?? 1,
            isTruncated: texts.map { _ in false }
        )
    }
}

/// Whether metrics are those expected, keys in order and values within the rounding of the golden files.
func agree(_ metrics: [Metric], _ expected: [(String, Double)], within tolerance: Double = 1e-6) -> Bool {
    metrics.map(\.key) == expected.map(\.0)
        && zip(metrics, expected).allSatisfy { abs($0.value - $1.1) <= tolerance }
}
