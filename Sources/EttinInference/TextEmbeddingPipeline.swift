public import EttinModel
public import EttinTokenizer
import Torch

/// Turns texts into vectors, as sentence-transformers' `encode` does.
///
/// ```swift
/// let encoder = try TextEmbeddingPipeline(folder: "models/ettin-encoder-17m")
/// let embeddings = try encoder.encode(["A cat sits.", "A feline rests."], normalize: true)
/// print(embeddings[0].count)
/// ```
///
/// Not `Sendable`: use one from one thread at a time. Its ``preparer`` is, and what that makes:
///
/// ```swift
/// let texts = try encoder.preparer.prepare(["A cat sits."])
/// let embeddings = try encoder.embeddings(of: texts)
/// ```
public final class TextEmbeddingPipeline {
    /// The prompt put directly before each text.
    public enum Prompt: Sendable, Hashable {
        /// The folder's own default, usually none.
        case `default`
        /// No prompt.
        case none
        /// One of the folder's prompts.
        case named(String)
        /// This text.
        case text(String)
    }

    /// The model.
    public let model: EmbeddingModel
    /// The tokenizer.
    public let tokenizer: Tokenizer
    /// Prepares texts for ``embeddings(of:normalize:truncateDimension:maxBatchTokens:)``, on any thread.
    public let preparer: Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public let notices: [String]
    private let divergence: Divergence

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A sentence-transformers folder, or any checkpoint with its tokenizer.
    ///   - pooling: How hidden states become vectors; nil for what the folder says, and without it the mean for
    ///     encoders and the last token for decoders.
    ///   - options: Where and in which precision to compute.
    /// - Throws: `CheckpointError`, `StateDictionaryError`, `TokenizerError` for files that are missing or broken;
    ///   ``InferenceError`` when model and tokenizer do not fit.
    public init(folder: String, pooling: Pooling? = nil, options: ComputeOptions = ComputeOptions()) throws {
        divergence = Divergence(folder: folder)
        let model = try EmbeddingModel(
            folder: folder,
            pooling: pooling,
            dtype: options.parameterDType,
            device: options.device
        )
        self.model = model
        let widened = try options.widen(model)
        try options.prepare(model.chain, divergence)
        let input = try model.chain.input()
        let tokenizer = try Tokenizer(folder: input.folder)
        self.tokenizer = tokenizer
        let folderNotices = try model.chain.transformers.flatMap { try ModelFolderNotices.all(folder: $0.folder) }
        notices = folderNotices + widened + model.settings.notices + tokenizer.notices
        try input.configuration?.requireIDs(of: tokenizer, folder: input.folder)
        let limit = min(
            input.configuration.map { TextPreparation.limit(tokenizer, $0) } ?? .max,
            model.settings.maxSequenceLength ?? .max
        )
        preparer = Preparer(
            preparation: TextPreparation(tokenizer: tokenizer, limit: limit),
            settings: model.settings,
            includesPrompt: model.includesPrompt
        )
    }

    /// Encodes texts.
    ///
    /// - Parameters:
    ///   - texts: The texts; an empty one is only its special tokens.
    ///   - prompt: What to put before each text.
    ///   - normalize: Whether to scale vectors to length 1, beyond what the folder's own modules do.
    ///   - truncateDimension: Number of leading dimensions to keep, before normalising; nil for what the folder says.
    ///   - overlong: What to do with texts that are too long.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One vector for each text, in order.
    /// - Throws: ``InferenceError`` for a text that is too long, a prompt that does not exist or an option out of range;
    ///   `TorchError` when memory or device fails.
    public func encode(
        _ texts: [String],
        prompt: Prompt = .default,
        normalize: Bool = false,
        truncateDimension: Int? = nil,
        overlong: OverlongTextRule = .refuse,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> TextEmbeddings {
        try checkOptions(truncateDimension, maxBatchTokens)
        return try embeddings(
            of: preparer.prepare(texts, prompt: prompt, overlong: overlong),
            normalize: normalize,
            truncateDimension: truncateDimension,
            maxBatchTokens: maxBatchTokens
        )
    }

    /// Computes the vectors of prepared texts: the second half of
    /// ``encode(_:prompt:normalize:truncateDimension:overlong:maxBatchTokens:)``.
    ///
    /// Asks between batches whether the current task is cancelled.
    ///
    /// - Parameters:
    ///   - texts: Texts that ``preparer`` made, of one request or of several.
    ///   - normalize: Whether to scale vectors to length 1, beyond what the folder's own modules do.
    ///   - truncateDimension: Number of leading dimensions to keep, before normalising; nil for what the folder says.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One vector for each text, in order.
    /// - Throws: ``InferenceError`` for texts that another model's preparer made or an option out of range; `TorchError`
    ///   when memory or device fails; `CancellationError`.
    public func embeddings(
        of texts: [PreparedText],
        normalize: Bool = false,
        truncateDimension: Int? = nil,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> TextEmbeddings {
        try checkOptions(truncateDimension, maxBatchTokens)
        try texts.check(limit: preparer.limit, vocabularySize: model.chain.input().vocabularySize)
        let width = min(truncateDimension ?? model.settings.truncateDimension ?? .max, model.dimensions)
        var values = [Float](repeating: 0, count: texts.count * width)
        for indices in texts.batches(maxTokens: maxBatchTokens) {
            try Task.checkCancellation()
            let batch = PackedBatch(indices.map { texts[$0].tokenIDs })
            let rows: [Float] = try withRecovery {
                try withoutGradients {
                    var vectors = model(batch, promptTokenCounts: indices.map { texts[$0].promptTokenCount })
                    if width < model.dimensions { vectors = vectors.narrowed(along: 1, from: 0, count: width) }
                    if normalize { vectors = vectors.to(.float32).normalized() }
                    return try vectors.to(.float32).array()
                }
            }
            for (row, index) in indices.enumerated() {
                guard rows[row * width..<(row + 1) * width].allSatisfy(\.isFinite) else {
                    throw divergence.error("the embedding of text \(index + 1)")
                }
                values.replaceSubrange(
                    index * width..<(index + 1) * width,
                    with: rows[row * width..<(row + 1) * width]
                )
            }
        }
        return TextEmbeddings(values: values, dimensions: width, isTruncated: texts.map(\.isTruncated))
    }

    private func checkOptions(_ truncateDimension: Int?, _ maxBatchTokens: Int) throws {
        try check("max-batch-tokens", maxBatchTokens, in: 1...Int.max)
        if let truncateDimension { try check("truncate-dim", truncateDimension, in: 1...Int.max) }
    }
}

/// Vectors of texts, row by row.
public struct TextEmbeddings: Sendable, Hashable {
    /// All values, row-major: `[count, dimensions]`.
    public let values: [Float]
    /// The width of a vector.
    public let dimensions: Int
    /// Whether each text was truncated.
    public let isTruncated: [Bool]

    /// The number of vectors.
    public var count: Int { isTruncated.count }

    /// One vector.
    ///
    /// - Parameter index: The number of the text, from 0.
    public subscript(index: Int) -> ArraySlice<Float> {
        values[index * dimensions..<(index + 1) * dimensions]
    }
}
