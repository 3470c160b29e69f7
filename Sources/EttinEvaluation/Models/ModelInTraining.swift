public import EttinInference
public import EttinModel
package import Torch

/// A model that is being trained, measured as it is at the moment.
///
/// Its weights are not packed and no gradients are recorded. Texts become tokens as inference makes them, and are
/// truncated to the model's maximum length.
public struct ModelInTraining: TextVectors {
    /// The name of the model.
    public let modelName: String
    private let pipeline: TextEmbeddingPipeline

    /// Takes a model.
    ///
    /// - Parameters:
    ///   - model: The model, whose later weights are seen.
    ///   - preparer: What prepares its texts; nil for one from the folder that the model was loaded from.
    ///   - precision: The precision that the model is trained in.
    ///   - name: The name of the model; nil for the folder that it was loaded from.
    /// - Throws: `TokenizerError` for files that are missing or broken; `InferenceError` when model and tokenizer do not
    ///   fit.
    package init(
        _ model: EmbeddingModel,
        preparer: TextEmbeddingPipeline.Preparer? = nil,
        precision: Precision = .full,
        name: String? = nil
    ) throws {
        pipeline = try TextEmbeddingPipeline(training: model, preparer: preparer, precision: precision)
        modelName = name ?? pipeline.folder
    }

    /// How two vectors are compared by default, by the model's settings.
    public var similarity: EmbeddingSimilarity { pipeline.similarity }

    /// The vectors of texts, with the weights that the model has now.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - role: What the texts are to a search, which has a prompt of its own where the model does; nil for neither.
    ///   - prompt: What to put before each text.
    ///   - truncateDimension: The number of leading dimensions to keep; nil for what the model says.
    ///   - normalize: Whether to scale vectors to length 1.
    /// - Returns: One vector for each text, in order.
    /// - Throws: `TorchError` when memory or device fails; `InferenceError` for vectors that are NaN or infinite;
    ///   `CancellationError`.
    public func vectors(
        of texts: [String],
        role: TextRole?,
        prompt: TextEmbeddingPipeline.Prompt,
        truncateDimension: Int?,
        normalize: Bool
    ) throws -> TextEmbeddings {
        try pipeline.vectors(
            of: texts,
            role: role,
            prompt: prompt,
            truncateDimension: truncateDimension,
            normalize: normalize
        )
    }
}
