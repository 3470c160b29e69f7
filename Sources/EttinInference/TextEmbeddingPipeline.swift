public import EttinModel
public import EttinTokenizer
package import Torch

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
    /// Prepares texts for ``embeddings(of:normalize:truncateDimension:maxBatchTokens:)``, on any thread.
    public let preparer: Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public let notices: [String]
    private var precision = Precision.full
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
    public convenience init(
        folder: String,
        pooling: Pooling? = nil,
        options: ComputeOptions = ComputeOptions()
    ) throws {
        try self.init(folder: folder, poolings: pooling.map { [$0] }, options: options)
    }

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A sentence-transformers folder, or any checkpoint with its tokenizer.
    ///   - poolings: How hidden states become vectors, which are put end to end; nil for what the folder says, and
    ///     without it the mean for encoders and the last token for decoders.
    ///   - options: Where and in which precision to compute.
    /// - Throws: `CheckpointError`, `StateDictionaryError`, `TokenizerError` for files that are missing or broken;
    ///   ``InferenceError`` when model and tokenizer do not fit.
    public init(folder: String, poolings: [Pooling]?, options: ComputeOptions = ComputeOptions()) throws {
        divergence = Divergence(folder: folder)
        let model = try EmbeddingModel(
            folder: folder,
            poolings: poolings,
            dtype: options.parameterDType,
            device: options.device
        )
        self.model = model
        let widened = try options.widen(model)
        try options.prepare(model.chain, divergence)
        let folderNotices = try model.chain.transformers.flatMap { try ModelFolderNotices.all(folder: $0.folder) }
        preparer = try Preparer(model)
        let tokenizerNotices = preparer.tokenizers.flatMap(\.notices)
        notices = folderNotices + widened + model.settings.notices + tokenizerNotices
    }

    /// Computes with a model that is being trained, as it is at each call: nothing is packed, and there is no dropout.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - preparer: What prepares its texts; nil for one from the folder that the model was loaded from.
    ///   - precision: The precision that it is trained in.
    /// - Throws: As ``init(folder:pooling:options:)`` for the files of tokenizers.
    package init(training model: EmbeddingModel, preparer: Preparer? = nil, precision: Precision = .full) throws {
        self.model = model
        self.preparer = try preparer ?? Preparer(model)
        self.precision = precision
        divergence = Divergence(ofTraining: model.chain.transformers.first?.folder ?? "")
        notices = []
    }

    /// The folder of the model.
    package var folder: String { divergence.folder }

    /// The tokenizer; where a Router has several, that of texts without a task.
    public var tokenizer: Tokenizer { preparer.tokenizer }

    /// Whether texts of a task that are too long lose their beginning, by the files of the model.
    ///
    /// - Throws: `CheckpointError` for a task that the model has no route for.
    package func truncatesLeft(_ task: TextRole?) throws -> Bool { try preparer.route(for: task).truncatesLeft }

    /// Encodes texts.
    ///
    /// `encode_query` of sentence-transformers is the task `.query`, `encode_document` the task `.document`.
    ///
    /// - Parameters:
    ///   - texts: The texts; an empty one is only its special tokens.
    ///   - prompt: What to put before each text.
    ///   - task: What the texts are to a search; it has a prompt of its own where the model does, and a Router's route.
    ///   - normalize: Whether to scale vectors to length 1, beyond what the folder's own modules do.
    ///   - truncateDimension: Number of leading dimensions to keep, before normalising; nil for what the folder says.
    ///   - overlong: What to do with texts that are too long.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One vector for each text, in order.
    /// - Throws: ``InferenceError`` for a text that is too long, a prompt that does not exist or an option out of range;
    ///   `CheckpointError` for a task that the model has no route for; `TorchError` when memory or device fails.
    public func encode(
        _ texts: [String],
        prompt: Prompt = .default,
        task: TextRole? = nil,
        normalize: Bool = false,
        truncateDimension: Int? = nil,
        overlong: OverlongTextRule = .refuse,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> TextEmbeddings {
        try checkOptions(truncateDimension, maxBatchTokens)
        return try embeddings(
            of: preparer.prepare(texts, prompt: prompt, task: task, overlong: overlong),
            normalize: normalize,
            truncateDimension: truncateDimension,
            maxBatchTokens: maxBatchTokens
        )
    }

    /// Computes the vectors of prepared texts: the second half of
    /// ``encode(_:prompt:task:normalize:truncateDimension:overlong:maxBatchTokens:)``.
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
        let width = truncateDimension ?? model.settings.truncateDimension ?? model.dimensions
        var values = [Float](repeating: 0, count: texts.count * width)
        // Texts of different routes share no batch.
        for (task, places) in Dictionary(grouping: texts.indices, by: { texts[$0].task }).sorted(by: {
            ($0.key ?? "") < ($1.key ?? "")
        }) {
            let route = try preparer.route(for: task.flatMap(TextRole.init))
            let group = places.map { texts[$0] }
            try group.check(limit: route.preparation.limit, vocabularySize: route.vocabularySize)
            for indices in group.batches(maxTokens: maxBatchTokens) {
                try Task.checkCancellation()
                let rows = try vectors(indices.map { group[$0] }, task: task, width: width, normalize: normalize)
                for (row, index) in indices.enumerated() {
                    let (vector, place) = (rows[row * width..<(row + 1) * width], places[index])
                    guard vector.allSatisfy(\.isFinite) else {
                        throw divergence.error("the embedding of text", number: place + 1)
                    }
                    values.replaceSubrange(place * width..<(place + 1) * width, with: vector)
                }
            }
        }
        return TextEmbeddings(values: values, dimensions: width, isTruncated: texts.map(\.isTruncated))
    }

    /// The vectors of one batch, row by row.
    private func vectors(_ texts: [PreparedText], task: String?, width: Int, normalize: Bool) throws -> [Float] {
        let batch = PackedBatch(texts.map(\.tokenIDs))
        return try withRecovery {
            try withoutGradients {
                var vectors = model(
                    batch,
                    promptTokenCounts: texts.map(\.promptTokenCount),
                    task: task,
                    precision: precision
                )
                if width < model.dimensions { vectors = vectors.narrowed(along: 1, from: 0, count: width) }
                if normalize { vectors = vectors.to(.float32).normalized() }
                return try vectors.to(.float32).array()
            }
        }
    }

    private func checkOptions(_ truncateDimension: Int?, _ maxBatchTokens: Int) throws {
        try check("max-batch-tokens", maxBatchTokens, in: 1...Int.max)
        if let truncateDimension, !(1...model.dimensions).contains(truncateDimension) {
            throw InferenceError.invalidOption(
                name: "truncate-dim",
                found: "\(truncateDimension)",
                expected: "1 to \(model.dimensions), the width of an embedding"
            )
        }
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

    /// Takes vectors.
    ///
    /// - Parameters:
    ///   - values: All values, row-major.
    ///   - dimensions: The width of a vector; a precondition is that it divides the values into as many as there are
    ///     texts.
    ///   - isTruncated: Whether each text was truncated.
    public init(values: [Float], dimensions: Int, isTruncated: [Bool]) {
        precondition(
            values.count == dimensions * isTruncated.count,
            "\(values.count) values are not \(isTruncated.count) vectors of \(dimensions)"
        )
        self.values = values
        self.dimensions = dimensions
        self.isTruncated = isTruncated
    }

    /// The number of vectors.
    public var count: Int { isTruncated.count }

    /// One vector.
    ///
    /// - Parameter index: The number of the text, from 0.
    public subscript(index: Int) -> ArraySlice<Float> {
        values[index * dimensions..<(index + 1) * dimensions]
    }
}
