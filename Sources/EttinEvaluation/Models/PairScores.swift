public import EttinInference
import EttinTokenizer

/// What scores pairs of a query and a document: a reranker in use, or one that is being trained.
public protocol PairScores {
    /// The name or the folder of the model, for caches and cards.
    var modelName: String { get }
    /// The number of scores of a pair: 1 for a reranker, and one for each class for a classifier of pairs.
    var labelCount: Int { get }

    /// The scores of pairs; pairs that are too long are truncated.
    ///
    /// - Parameters:
    ///   - pairs: Queries with documents.
    ///   - prompt: What to put before each query.
    /// - Returns: A score for each pair; the higher, the more relevant.
    /// - Throws: When memory or the device fails; `CancellationError`.
    func pairScores(of pairs: [TextPair], prompt: RerankingPipeline.Prompt) throws -> [Double]

    /// All scores of each pair; pairs that are too long are truncated.
    ///
    /// - Parameters:
    ///   - pairs: Pairs of texts.
    ///   - prompt: What to put before the first text of each.
    /// - Returns: ``labelCount`` scores for each pair.
    /// - Throws: When memory or the device fails; `CancellationError`.
    func labelScores(of pairs: [TextPair], prompt: RerankingPipeline.Prompt) throws -> [[Double]]
}

extension PairScores {
    /// One score.
    public var labelCount: Int { 1 }

    /// The score of each pair alone.
    ///
    /// - Parameters:
    ///   - pairs: Pairs of texts.
    ///   - prompt: What to put before the first text of each.
    /// - Returns: A list of one score for each pair.
    /// - Throws: As ``pairScores(of:prompt:)``.
    public func labelScores(of pairs: [TextPair], prompt: RerankingPipeline.Prompt) throws -> [[Double]] {
        try pairScores(of: pairs, prompt: prompt).map { [$0] }
    }
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
