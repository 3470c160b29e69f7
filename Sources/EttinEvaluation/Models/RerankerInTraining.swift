public import EttinInference
package import EttinModel
package import Torch

/// A reranker that is being trained, measured as it is at the moment.
///
/// Its weights are not packed and no gradients are recorded. Pairs become tokens as inference makes them, and are
/// truncated to the model's maximum length.
public struct RerankerInTraining: PairScores {
    /// The name of the model.
    public let modelName: String
    /// The number of scores of a pair.
    public let labelCount: Int
    private let pipeline: RerankingPipeline

    /// Takes a model.
    ///
    /// - Parameters:
    ///   - model: The model, whose later weights are seen.
    ///   - maxLength: Maximum number of tokens of a pair; nil for what tokenizer and model say.
    ///   - precision: The precision that the model is trained in.
    ///   - name: The name of the model; nil for the folder that it was loaded from.
    /// - Throws: As `RerankingPipeline` for the files of its folder.
    package init(
        _ model: RerankerModel,
        maxLength: Int? = nil,
        precision: Precision = .full,
        name: String? = nil
    ) throws {
        pipeline = try RerankingPipeline(training: model, maxLength: maxLength, precision: precision)
        labelCount = model.labelCount
        modelName = name ?? pipeline.modelName
    }

    /// The scores of pairs, with the weights that the model has now.
    ///
    /// - Parameters:
    ///   - pairs: Queries with documents.
    ///   - prompt: What to put before each query.
    /// - Returns: A score for each pair; of a model with several scores the first.
    /// - Throws: `TorchError` when memory or device fails; `InferenceError` for scores that are NaN or infinite;
    ///   `CancellationError`.
    public func pairScores(of pairs: [TextPair], prompt: RerankingPipeline.Prompt) throws -> [Double] {
        try pipeline.pairScores(of: pairs, prompt: prompt)
    }

    /// All scores of pairs, with the weights that the model has now.
    ///
    /// - Parameters:
    ///   - pairs: Pairs of texts.
    ///   - prompt: What to put before the first text of each.
    /// - Returns: ``labelCount`` scores for each pair.
    /// - Throws: As ``pairScores(of:prompt:)``.
    public func labelScores(of pairs: [TextPair], prompt: RerankingPipeline.Prompt) throws -> [[Double]] {
        try pipeline.labelScores(of: pairs, prompt: prompt).map { $0.map(Double.init) }
    }
}
