public import EttinModel
public import EttinTokenizer
import Torch

/// Turns texts into vectors, as sentence-transformers' `encode` does.
///
/// ```swift
/// let encoder = try TextEncoder(folder: "models/ettin-encoder-17m")
/// let embeddings = try encoder.encode(["A cat sits.", "A feline rests."], normalize: true)
/// print(embeddings[0].count)
/// ```
///
/// Not `Sendable`: use one from one thread at a time.
public final class TextEncoder {
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
    private let limit: Int

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
        model = try EmbeddingModel(
            folder: folder,
            pooling: pooling,
            dtype: options.parameterDType,
            device: options.device
        )
        try options.prepare(model.trunk)
        tokenizer = try Tokenizer(folder: model.transformerFolder)
        let configuration = model.trunk.configuration
        try configuration.requireIDs(of: tokenizer, folder: model.transformerFolder)
        limit = min(
            TextPreparation.limit(tokenizer, configuration),
            model.settings.maxSequenceLength ?? .max
        )
    }

    /// Encodes texts.
    ///
    /// - Parameters:
    ///   - texts: The texts; an empty one is only its special tokens.
    ///   - prompt: What to put before each text.
    ///   - normalize: Whether to scale vectors to length 1, beyond what the folder's own modules do.
    ///   - truncateDimension: How many leading dimensions to keep, before normalising; nil for what the folder says.
    ///   - overlong: What becomes of texts that are too long.
    ///   - maxBatchTokens: How many tokens to compute at once.
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
        try check("max-batch-tokens", maxBatchTokens, in: 1...Int.max)
        if let truncateDimension { try check("truncate-dim", truncateDimension, in: 1...Int.max) }
        let promptText = try text(of: prompt)
        let prepared = try TextPreparation(tokenizer: tokenizer, limit: limit)
            .prepare(promptText.isEmpty ? texts : texts.map { promptText + $0 }, overlong: overlong)
        let width = min(truncateDimension ?? model.settings.truncateDimension ?? .max, model.dimensions)
        let promptTokens = model.includesPrompt || promptText.isEmpty ? 0 : countOfPromptTokens(promptText)
        var values = [Float](repeating: 0, count: texts.count * width)
        for indices in LengthBatches.split(prepared.map(\.ids.count), maxTokens: maxBatchTokens) {
            let batch = PackedBatch(indices.map { prepared[$0].ids })
            let rows: [Float] = try withRecovery {
                try withoutGradients {
                    var vectors = model(batch, promptTokenCounts: indices.map { _ in promptTokens })
                    if width < model.dimensions { vectors = vectors.narrowed(along: 1, from: 0, count: width) }
                    if normalize { vectors = vectors.to(.float32).normalized() }
                    return try vectors.to(.float32).array()
                }
            }
            for (row, index) in indices.enumerated() {
                values.replaceSubrange(
                    index * width..<(index + 1) * width,
                    with: rows[row * width..<(row + 1) * width]
                )
            }
        }
        return TextEmbeddings(values: values, dimensions: width, isTruncated: prepared.map(\.isTruncated))
    }

    private func text(of prompt: Prompt) throws -> String {
        let name: String
        switch prompt {
        case .none: return ""
        case .text(let text): return text
        case .named(let given): name = given
        case .default:
            guard let given = model.settings.defaultPromptName else { return "" }
            name = given
        }
        guard let text = model.settings.prompts[name] else {
            let known = model.settings.prompts.keys.sorted()
            throw InferenceError.invalidOption(
                name: "prompt-name",
                found: "\"\(name)\"",
                expected: known.isEmpty ? "none, as the model has no prompts" : known.joined(separator: ", ")
            )
        }
        return text
    }

    /// The tokens of the prompt alone, with the special ones in front but not those behind.
    ///
    /// > Source: sentence-transformers, `SentenceTransformer._get_prompt_length`.
    private func countOfPromptTokens(_ prompt: String) -> Int {
        let ids = tokenizer.encodeIDs(prompt)
        return ids.count - (ids.last.map(tokenizer.isSpecial) == true ? 1 : 0)
    }
}

/// Vectors of texts, row by row.
public struct TextEmbeddings: Sendable, Hashable {
    /// All values, row-major.
    public let values: [Float]
    /// The width of a vector.
    public let dimensions: Int
    /// Whether each text was shortened.
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
