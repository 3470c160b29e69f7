import EttinFiles
public import EttinModel
public import EttinTokenizer
package import Torch

/// Turns queries and documents into a vector for each token, and scores them by late interaction, as PyLate's `ColBERT`
/// and sentence-transformers' `MultiVectorEncoder` do.
///
/// ```swift
/// let model = try LateInteractionPipeline(folder: "models/colbert")
/// let queries = try model.encode(["What is the capital of France?"], as: .query)
/// let documents = try model.encode(["Paris is the capital of France.", "A dog sat on the mat."])
/// print(model.similarity(queries, documents))
/// ```
///
/// Not `Sendable`: use one from one thread at a time. Its ``preparer`` is, and what that makes.
public final class LateInteractionPipeline {
    /// The prompt put before each text.
    public typealias Prompt = TextEmbeddingPipeline.Prompt

    /// A document and its score.
    public struct Match: Sendable, Hashable {
        /// The number of the document, from 0.
        public let index: Int
        /// The score; larger is better.
        public let score: Float
    }

    /// The model.
    public let model: MultiVectorModel
    /// The tokenizer.
    public let tokenizer: Tokenizer
    /// Prepares texts for ``embeddings(of:normalize:pooling:maxBatchTokens:)``, on any thread.
    public let preparer: Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public let notices: [String]
    private let precision: Precision
    private let divergence: Divergence

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A multi-vector model with its tokenizer.
    ///   - options: Where and in which precision to compute.
    /// - Throws: `CheckpointError`, `StateDictionaryError`, `TokenizerError` for files that are missing or broken, and
    ///   for a model of another kind; ``InferenceError`` when model and tokenizer do not fit.
    public init(folder: String, options: ComputeOptions = ComputeOptions()) throws {
        try UnsupportedFolder.check(folder)
        divergence = Divergence(folder: folder)
        model = try MultiVectorModel(folder: folder, dtype: options.parameterDType, device: options.device)
        let widened = try options.widen(model)
        try options.prepare(model.chain, divergence)
        let transformerFolder = model.transformer.folder
        tokenizer = try Tokenizer(folder: transformerFolder)
        let configuration = model.transformer.trunk.configuration
        try configuration.requireIDs(of: tokenizer, folder: transformerFolder)
        var notices =
            try ModelFolderNotices.all(folder: transformerFolder) + widened + model.settings.notices
            + model.transformer.settings.notices + tokenizer.notices
        preparer = try Self.preparer(model, tokenizer, folder: folder, &notices)
        precision = .full
        self.notices = notices
    }

    /// Computes with a model that is being trained, as it is at each call: nothing is packed, and there is no dropout.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - tokenizer: Its tokenizer.
    ///   - precision: The precision that it is trained in.
    /// - Throws: As ``init(folder:options:)`` when model and tokenizer do not fit.
    package init(training model: MultiVectorModel, tokenizer: Tokenizer, precision: Precision = .full) throws {
        self.model = model
        self.tokenizer = tokenizer
        self.precision = precision
        divergence = Divergence(ofTraining: model.transformer.folder)
        var notices: [String] = []
        preparer = try Self.preparer(model, tokenizer, folder: model.transformer.folder, &notices)
        self.notices = notices
    }

    private static func preparer(
        _ model: MultiVectorModel,
        _ tokenizer: Tokenizer,
        folder: String,
        _ notices: inout [String]
    ) throws -> Preparer {
        let unknownWords = model.mask?.resolve { tokenizer.tokenToID($0) } ?? []
        if !unknownWords.isEmpty {
            notices.append(
                "skiplist_words: no effect of \(listing(unknownWords, limit: 10)), which the tokenizer does not have"
            )
        }
        return try Preparer(
            tokenizer: tokenizer,
            configuration: model.transformer.trunk.configuration,
            settings: model.settings,
            maxSequenceLength: model.transformer.settings.maxSequenceLength,
            scoresExpansion: model.mask != nil,
            folder: folder,
            notices: &notices
        )
    }

    /// The folder of the model.
    package var folder: String { divergence.folder }

    /// Encodes texts.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - role: What they are to a search.
    ///   - prompt: What to put before each text; the default is the folder's own for the role.
    ///   - maxLength: Maximum number of tokens in place of the folder's own for the role.
    ///   - normalize: Whether to scale vectors to length 1, beyond what the folder's own modules do.
    ///   - pooling: How the vectors of documents are made fewer.
    ///   - overlong: What to do with texts that are too long.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: The vectors of each text, in order.
    /// - Throws: ``InferenceError`` for a text that is too long, a prompt that does not exist or an option out of range;
    ///   `TorchError` when memory or device fails.
    public func encode(
        _ texts: [String],
        as role: TextRole = .document,
        prompt: Prompt = .default,
        maxLength: Int? = nil,
        normalize: Bool = false,
        pooling: TokenPooling = TokenPooling(),
        overlong: OverlongTextRule = .refuse,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> MultiVectorEmbeddings {
        try pooling.check()
        return try embeddings(
            of: preparer.prepare(texts, as: role, prompt: prompt, maxLength: maxLength, overlong: overlong),
            normalize: normalize,
            pooling: pooling,
            maxBatchTokens: maxBatchTokens
        )
    }

    /// Computes the vectors of prepared texts: the second half of
    /// ``encode(_:as:prompt:maxLength:normalize:pooling:overlong:maxBatchTokens:)``.
    ///
    /// Asks between batches whether the current task is cancelled.
    ///
    /// - Parameters:
    ///   - texts: Texts that ``preparer`` made, queries and documents in any order.
    ///   - normalize: Whether to scale vectors to length 1, beyond what the folder's own modules do.
    ///   - pooling: How the vectors of documents are made fewer.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: The vectors of each text, in order.
    /// - Throws: ``InferenceError`` for texts that another model's preparer made or an option out of range; `TorchError`
    ///   when memory or device fails; `CancellationError`.
    public func embeddings(
        of texts: [PreparedText],
        normalize: Bool = false,
        pooling: TokenPooling = TokenPooling(),
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> MultiVectorEmbeddings {
        try check("max-batch-tokens", maxBatchTokens, in: 1...Int.max)
        try pooling.check()
        let configuration = model.transformer.trunk.configuration
        try texts.check(limit: configuration.maxPositionEmbeddings, vocabularySize: configuration.vocabularySize)
        var results = [[Float]](repeating: [], count: texts.count)
        for role in TextRole.allCases {
            let members = texts.indices.filter { (texts[$0].task == TextRole.query.rawValue) == (role == .query) }
            for places in members.map({ texts[$0] }).batches(maxTokens: maxBatchTokens) {
                try Task.checkCancellation()
                let indices = places.map { members[$0] }
                let vectors = try vectors(of: indices.map { texts[$0] }, role, normalize: normalize)
                for (index, rows) in zip(indices, vectors) {
                    guard rows.allSatisfy(\.isFinite) else {
                        throw divergence.error("a vector of text", number: index + 1)
                    }
                    let pools = role == .document && (pooling.factor > 1 || pooling.normalizes)
                    results[index] = pools ? pooling(rows[...], width: model.dimensions) : rows
                }
            }
        }
        return MultiVectorEmbeddings(results, dimensions: model.dimensions, isTruncated: texts.map(\.isTruncated))
    }

    /// The vectors that count of the texts of one batch.
    private func vectors(of texts: [PreparedText], _ role: TextRole, normalize: Bool) throws -> [[Float]] {
        let batch = PackedBatch(texts.map(\.tokenIDs))
        let attended = texts.map { Int32($0.tokenIDs.count - $0.unattendedTokenCount) }
        let isWhole = texts.allSatisfy { $0.unattendedTokenCount == 0 }
        let width = model.dimensions
        let (values, isScored): ([Float], [Bool]?) = try withRecovery {
            try withoutGradients {
                let features = model(
                    batch,
                    attendedTokens: isWhole ? nil : attended,
                    task: role.rawValue,
                    precision: precision
                )
                var vectors = features[FeatureName.tokenEmbeddings].to(.float32)
                if normalize { vectors = vectors.normalized() }
                return (try vectors.array(), features.isScored)
            }
        }
        return texts.indices.map { text in
            let range = batch.range(of: text)
            guard let isScored, !isScored[range].allSatisfy({ $0 }) else {
                return Array(values[range.lowerBound * width..<range.upperBound * width])
            }
            return range.filter { isScored[$0] }.flatMap { values[$0 * width..<($0 + 1) * width] }
        }
    }

    // MARK: - Scores

    /// Scores queries against documents: MaxSim, divided by the number of the query's vectors where the folder says so.
    ///
    /// - Parameters:
    ///   - queries: Vectors of queries.
    ///   - documents: Vectors of documents; a precondition is that they are as wide as those of the queries.
    /// - Returns: For each query its scores, one for each document.
    public func similarity(_ queries: MultiVectorEmbeddings, _ documents: MultiVectorEmbeddings) -> [[Float]] {
        let scores = queries.maxSim(documents)
        guard model.settings.averagesScores else { return scores }
        return zip(scores, queries.lengths).map { row, length in row.map { $0 / Float(max(1, length)) } }
    }

    /// Ranks documents for a query.
    ///
    /// - Parameters:
    ///   - query: The query.
    ///   - documents: The documents.
    ///   - topK: Number of documents to return; nil for all.
    ///   - overlong: What to do with texts that are too long.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: The best documents, best first; equal scores in the order given.
    /// - Throws: As ``encode(_:as:prompt:maxLength:normalize:pooling:overlong:maxBatchTokens:)``.
    public func rank(
        _ query: String,
        _ documents: [String],
        topK: Int? = nil,
        overlong: OverlongTextRule = .refuse,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Match] {
        if let topK { try check("top-k", topK, in: 1...Int.max) }
        let queryVectors = try encode([query], as: .query, overlong: overlong, maxBatchTokens: maxBatchTokens)
        let documentVectors = try encode(documents, overlong: overlong, maxBatchTokens: maxBatchTokens)
        return try rank(queryVectors, documentVectors, topK: topK)[0]
    }

    /// Ranks documents for each query by their vectors.
    ///
    /// - Parameters:
    ///   - queries: Vectors of queries.
    ///   - documents: Vectors of documents; a precondition is that they are as wide as those of the queries.
    ///   - topK: Number of documents to return for each query; nil for all.
    /// - Returns: For each query the best documents, best first; equal scores in the order given.
    /// - Throws: ``InferenceError/invalidOption(name:found:expected:)`` for a `topK` below 1.
    public func rank(
        _ queries: MultiVectorEmbeddings,
        _ documents: MultiVectorEmbeddings,
        topK: Int? = nil
    ) throws -> [[Match]] {
        if let topK { try check("top-k", topK, in: 1...Int.max) }
        return similarity(queries, documents).map { scores in
            let order = scores.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }
            return order.prefix(topK ?? scores.count).map { Match(index: $0, score: scores[$0]) }
        }
    }
}
