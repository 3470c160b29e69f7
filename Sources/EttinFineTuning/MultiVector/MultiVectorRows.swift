package import EttinInference
package import EttinModel
package import Torch

extension MultiVectorModel: TextRowsModel {
    /// The number of tokens that count.
    package func rowCount(of text: PreparedText) -> Int { scoredTokens(of: text)?.count ?? text.tokenIDs.count }

    /// Texts with tokens that are not attended to pass through the model apart: of a batch that has any, attention is
    /// composed of products for all, which takes several times as long.
    package func route(of text: PreparedText) -> String? { text.unattendedTokenCount > 0 ? "expanded" : nil }

    /// Whether a training pass drops activations anywhere, so that it differs from inference.
    package var dropsActivations: Bool { chain.dropsActivations }

    /// Computes with weights that are prepacked for inference on the CPU, which are given up afterwards.
    package func withPrepackedWeights<Result>(longestText: Int, _ body: () throws -> Result) rethrows -> Result {
        try chain.withPrepackedWeights(longestText: longestText, body)
    }

    /// The vectors of the tokens that count, `[tokens, width]`; queries and documents in any order.
    package func rows(
        of texts: [PreparedText],
        task: String?,
        dropout: DropoutContext?,
        precision: Precision
    ) -> Tensor {
        let batch = PackedBatch(texts.map(\.tokenIDs))
        let isWhole = texts.allSatisfy { $0.unattendedTokenCount == 0 }
        let attended = texts.map { Int32($0.tokenIDs.count - $0.unattendedTokenCount) }
        let features = self(
            batch,
            attendedTokens: isWhole ? nil : attended,
            task: nil,
            training: dropout,
            precision: precision
        )
        let vectors = features[FeatureName.tokenEmbeddings].to(.float32)
        let places = texts.indices.flatMap { index -> [Int64] in
            let range = batch.range(of: index)
            return (scoredTokens(of: texts[index]) ?? Array(0..<range.count)).map { Int64(range.lowerBound + $0) }
        }
        guard places.count < batch.tokenCount else { return vectors }
        return vectors.selecting(distinctRows: Tensor(places).to(vectors.device))
    }
}
