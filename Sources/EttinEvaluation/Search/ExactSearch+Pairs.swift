package import EttinInference
package import EttinModel
import Torch

extension ExactSearch {
    /// Compares pairs, with the scores that a search gives them.
    ///
    /// Products are summed in the order in which the search's kernels sum them, so that a vector which equals another has
    /// the other's score to the last bit: margins of 0 compare such scores.
    ///
    /// - Parameters:
    ///   - pairs: Places among the queries and in the corpus.
    ///   - queries: The queries.
    ///   - corpus: The corpus, as wide.
    ///   - similarity: How they are compared.
    /// - Returns: A score for each pair.
    /// - Throws: `TorchError` without memory; `CancellationError`.
    package static func scores(
        ofPairs pairs: [(query: Int, document: Int)],
        _ queries: TextEmbeddings,
        _ corpus: TextEmbeddings,
        similarity: EmbeddingSimilarity
    ) throws -> [Float] {
        var scores: [Float] = []
        scores.reserveCapacity(pairs.count)
        for start in stride(from: 0, to: pairs.count, by: queriesAtOnce) {
            try Task.checkCancellation()
            let part = pairs[start..<min(pairs.count, start + queriesAtOnce)]
            guard similarity == .cosine || similarity == .dot else {
                let places = Array(part)
                scores += concurrentMap(part.count) {
                    -corpus.distance(places[$0].document, to: queries, places[$0].query, of: similarity)
                }
                continue
            }
            let width = queries.dimensions
            let left = try rows(part.map { queries[$0.query] }, width: width, normalized: similarity == .cosine)
            let right = try rows(part.map { corpus[$0.document] }, width: width, normalized: similarity == .cosine)
            scores += concurrentMap(part.count) { pair in
                var sum: Float = 0
                for place in pair * width..<(pair + 1) * width { sum = sum.addingProduct(left[place], right[place]) }
                return sum
            }
        }
        return scores
    }

    private static func rows(_ rows: [ArraySlice<Float>], width: Int, normalized: Bool) throws -> [Float] {
        let values = rows.flatMap(\.self)
        guard normalized else { return values }
        return try withRecovery {
            try withoutGradients { try Tensor(values, shape: [rows.count, width]).normalized().array() }
        }
    }
}
