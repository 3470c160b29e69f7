public import EttinPrimitives

/// A sample as it goes into a batch.
public struct TokenSample: Sendable, Hashable {
    /// Which sample it is, and which visit to it.
    public let reference: SampleReference
    /// Its token ids, including special tokens.
    public let ids: [Int32]

    /// Creates a sample.
    ///
    /// - Parameters:
    ///   - reference: Which sample it is, and which visit to it.
    ///   - ids: Its token ids, including special tokens.
    public init(reference: SampleReference, ids: [Int32]) {
        self.reference = reference
        self.ids = ids
    }
}

/// Packed sequences with what a model is to predict at each token.
public struct TrainingBatch: Sendable, Hashable {
    /// The label of tokens at which nothing is to be predicted, as in PyTorch's cross-entropy.
    public static let ignoredLabel: Int32 = -100

    /// The tokens that the model reads.
    public let packed: PackedBatch
    /// The token to predict at each place, or ``ignoredLabel``; as many as there are tokens.
    public let labels: [Int32]
    /// The tokens at which something is to be predicted, in order.
    package let labelledPlaces: [Int64]

    /// Creates a batch.
    ///
    /// - Parameters:
    ///   - packed: The tokens that the model reads.
    ///   - labels: A label for each token.
    public init(packed: PackedBatch, labels: [Int32]) {
        precondition(
            labels.count == packed.tokenCount,
            "TrainingBatch: \(labels.count) labels for \(packed.tokenCount) tokens"
        )
        self.packed = packed
        self.labels = labels
        // Once, where batches are made, and not in every step of training.
        labelledPlaces = labels.indices.filter { labels[$0] != Self.ignoredLabel }.map(Int64.init)
    }

    /// The number of tokens at which something is to be predicted.
    public var labelledCount: Int { labelledPlaces.count }

    /// What is to be predicted at those tokens.
    package var targets: [Int64] { labelledPlaces.map { Int64(labels[Int($0)]) } }
}

/// What a model is trained to predict.
public protocol LanguageModelObjective: Sendable {
    /// Packs samples in the order given and labels their tokens.
    ///
    /// - Parameter samples: The samples.
    /// - Returns: Inputs and labels; those of a sample do not depend on the others.
    func batch(_ samples: [TokenSample]) -> TrainingBatch
}
