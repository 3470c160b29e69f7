public import EttinModel
public import EttinTokenizer
public import Foundation

/// Turns texts into vectors, for any number of tasks at once.
///
/// ```swift
/// let encoder = try await TextEncoder(folder: URL(filePath: "ettin-encoder-17m"))
/// let embeddings = try await encoder.encode(["A cat sits.", "A feline rests."], normalize: true)
/// print(embeddings[0].count)
/// ```
///
/// Texts are tokenized by the task that asks, and computed on the actor's own thread in batches with those of other tasks.
/// ``TextEmbeddingPipeline`` does the same synchronously.
public actor TextEncoder {
    /// The width of an embedding before any truncation.
    public nonisolated let dimensions: Int
    /// The tokenizer.
    public nonisolated let tokenizer: Tokenizer
    /// Prepares texts; the actor does that itself.
    public nonisolated let preparer: TextEmbeddingPipeline.Preparer
    /// What the folder says about prompts, similarity and lengths.
    public nonisolated let settings: EmbeddingSettings
    /// What the folder's files say that has no effect, a sentence each.
    public nonisolated let notices: [String]

    private let thread: ModelThread
    private let pipeline: TextEmbeddingPipeline
    var scheduler: BatchScheduler<PreparedText, Options, [Float]>

    /// What texts of one batch have in common.
    struct Options: Hashable {
        let normalize: Bool
        let truncateDimension: Int?
    }

    /// The thread that the model computes on.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A sentence-transformers folder, or any checkpoint with its tokenizer.
    ///   - pooling: How hidden states become vectors; nil for what the folder says.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Throws: As ``TextEmbeddingPipeline/init(folder:pooling:options:)``; ``InferenceError/noThread(reason:)``.
    public init(
        folder: URL,
        pooling: Pooling? = nil,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) async throws {
        scheduler = try BatchScheduler(maxBatchTokens: maxBatchTokens)
        let thread = try ModelThread()
        let path = folder.modelPath
        let pipeline = try await thread.run {
            try TextEmbeddingPipeline(folder: path, pooling: pooling, options: options)
        }
        self.thread = thread
        dimensions = pipeline.model.dimensions
        tokenizer = pipeline.tokenizer
        preparer = pipeline.preparer
        settings = pipeline.model.settings
        notices = pipeline.notices
        self.pipeline = pipeline
    }

    /// Encodes texts.
    ///
    /// - Parameters:
    ///   - texts: The texts; an empty one is only its special tokens.
    ///   - prompt: What to put before each text.
    ///   - normalize: Whether to scale vectors to length 1, beyond what the folder's own modules do.
    ///   - truncateDimension: Number of leading dimensions to keep, before normalizing; nil for what the folder says.
    ///   - overlong: What to do with texts that are too long.
    /// - Returns: One vector for each text, in order.
    /// - Throws: ``InferenceError`` for a text that is too long, a prompt that does not exist or an option out of range;
    ///   `TorchError` when memory or device fails; `CancellationError`.
    public nonisolated func encode(
        _ texts: some Collection<String>,
        prompt: TextEmbeddingPipeline.Prompt = .default,
        normalize: Bool = false,
        truncateDimension: Int? = nil,
        overlong: OverlongTextRule = .refuse
    ) async throws -> TextEmbeddings {
        let prepared = try preparedInParts(texts) { try preparer.prepare($0, prompt: prompt, overlong: overlong) }
        let options = Options(normalize: normalize, truncateDimension: truncateDimension)
        let rows = try await outputs(of: prepared, options)
        return TextEmbeddings(
            values: rows.flatMap(\.self),
            dimensions: rows.first?.count ?? min(truncateDimension ?? settings.truncateDimension ?? .max, dimensions),
            isTruncated: prepared.map(\.isTruncated)
        )
    }

    /// Encodes a text.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - prompt: What to put before it.
    ///   - normalize: Whether to scale the vector to length 1, beyond what the folder's own modules do.
    ///   - truncateDimension: Number of leading dimensions to keep, before normalizing; nil for what the folder says.
    ///   - overlong: What to do when it is too long.
    /// - Returns: Its vector.
    /// - Throws: As ``encode(_:prompt:normalize:truncateDimension:overlong:)-(Collection<String>,_,_,_,_)``.
    public nonisolated func encode(
        _ text: String,
        prompt: TextEmbeddingPipeline.Prompt = .default,
        normalize: Bool = false,
        truncateDimension: Int? = nil,
        overlong: OverlongTextRule = .refuse
    ) async throws -> [Float] {
        try await encode(
            CollectionOfOne(text),
            prompt: prompt,
            normalize: normalize,
            truncateDimension: truncateDimension,
            overlong: overlong
        ).values
    }
}

extension TextEncoder: BatchingActor {
    func compute(_ items: [PreparedText], _ options: Options) throws -> [[Float]] {
        let embeddings = try pipeline.embeddings(
            of: items,
            normalize: options.normalize,
            truncateDimension: options.truncateDimension,
            maxBatchTokens: scheduler.maxBatchTokens
        )
        return (0..<embeddings.count).map { Array(embeddings[$0]) }
    }
}

extension URL {
    /// The path of a model's folder.
    var modelPath: String { path(percentEncoded: false) }
}
