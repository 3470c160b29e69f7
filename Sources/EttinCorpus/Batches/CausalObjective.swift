package import EttinPrimitives

/// Prediction of the next token: the label of each token is the one after it in its sequence.
///
/// The last token of a sequence has no label, so nothing is predicted across a boundary.
public struct CausalObjective: LanguageModelObjective, Hashable {
    /// Creates an objective.
    public init() {}

    /// Packs samples in the order given and labels each token with the next.
    ///
    /// - Parameter samples: The samples.
    /// - Returns: Inputs and labels.
    public func batch(_ samples: [TokenSample]) -> TrainingBatch {
        let packed = PackedBatch(samples.map(\.ids))
        return TrainingBatch(packed: packed, labels: labels(packed))
    }

    /// The labels of packed sequences.
    ///
    /// - Parameter packed: The sequences.
    /// - Returns: A label for each token.
    package func labels(_ packed: PackedBatch) -> [Int32] {
        var labels = Array(packed.inputIDs.dropFirst())
        if packed.tokenCount > 0 { labels.append(TrainingBatch.ignoredLabel) }
        for end in packed.cuSeqlens.dropFirst() where end > 0 { labels[Int(end) - 1] = TrainingBatch.ignoredLabel }
        return labels
    }
}
