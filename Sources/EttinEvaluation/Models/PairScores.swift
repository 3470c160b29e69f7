public import EttinInference
import EttinTokenizer

/// What scores pairs of a query and a document: a reranker in use, or one that is being trained.
public protocol PairScores {
    /// The name or the folder of the model, for caches and cards.
    var modelName: String { get }

    /// The scores of pairs; pairs that are too long are truncated.
    ///
    /// - Parameters:
    ///   - pairs: Queries with documents.
    ///   - prompt: What to put before each query.
    /// - Returns: A score for each pair; the higher, the more relevant.
    /// - Throws: When memory or the device fails; `CancellationError`.
    func pairScores(of pairs: [TextPair], prompt: RerankingPipeline.Prompt) throws -> [Double]
}

extension RerankingPipeline: PairScores {
    /// The folder of the model.
    public var modelName: String { folder }

    /// The scores of pairs; of pairs that are too long, the side that the tokenizer names is left out.
    ///
    /// - Parameters:
    ///   - pairs: Queries with documents.
    ///   - prompt: What to put before each query.
    /// - Returns: A score for each pair, by the activation function that the folder names.
    /// - Throws: As `predict` of ``/EttinInference/RerankingPipeline``;
    ///   `CancellationError`.
    public func pairScores(of pairs: [TextPair], prompt: Prompt) throws -> [Double] {
        try predict(pairs, prompt: prompt, overlong: tokenizer.truncatesLeft ? .keepEnd : .keepStart).map(\.value)
    }
}
