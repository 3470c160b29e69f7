import EttinFiles
package import EttinModel
public import EttinTokenizer
public import Torch

/// Scores pairs of texts, as sentence-transformers' `CrossEncoder` does.
///
/// ```swift
/// let reranker = try RerankingPipeline(folder: "models/ettin-reranker-17m")
/// for hit in try reranker.rank("capital of France", ["Paris is.", "A cat sits."], topK: 1) {
///     print(hit.score, hit.text)
/// }
/// ```
///
/// Scores go through the activation function that the folder names. With the identity, as Ettin's rerankers have it, they
/// are raw and without bounds: compare them among the documents of one query. See ``scaled(_:)`` for a mapping to 0…1.
///
/// Not `Sendable`: use one from one thread at a time. Its ``preparer`` is, and what that makes.
public final class RerankingPipeline {
    /// The prompt put directly before the first text of each pair.
    public typealias Prompt = TextEmbeddingPipeline.Prompt

    /// The score of a pair.
    public struct Score: Sendable, Hashable {
        /// The score; the higher, the more relevant.
        public let value: Double
        /// Whether the pair was truncated.
        public let isTruncated: Bool
    }

    /// A document in the order of its relevance.
    public struct RankedDocument: Sendable, Hashable {
        /// The number of the document among those given, from 0.
        public let index: Int
        /// The score; the higher, the more relevant.
        public let score: Double
        /// The document.
        public let text: String
        /// Whether the document, or the query beside it, was truncated.
        public let isTruncated: Bool
    }

    /// The model.
    package let chain: ModuleChain
    /// The tokenizer.
    public let tokenizer: Tokenizer
    /// Prepares pairs for ``scores(of:activation:scalesScores:maxBatchTokens:)``, on any thread.
    public let preparer: Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public let notices: [String]
    private let settings: RerankerSettings
    private let vocabularySize: Int
    private var precision = Precision.full
    private let divergence: Divergence

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A folder of sentence-transformers modules that end in `scores`, or a checkpoint of
    ///     `…ForSequenceClassification` with one label.
    ///   - options: Where and in which precision to compute.
    /// - Throws: `CheckpointError` for a folder of another kind; `CheckpointError`, `StateDictionaryError`,
    ///   `TokenizerError` for files that are missing or broken; ``InferenceError`` when model and tokenizer do not fit.
    public init(folder: String, options: ComputeOptions = ComputeOptions()) throws {
        divergence = Divergence(folder: folder)
        let chain = try Self.chain(folder: folder, options: options)
        guard chain.rows == .sequences, chain.width == 1 else {
            throw InferenceError.unsuitableModel(
                folder: folder,
                found: "gives \(chain.width) numbers for each pair",
                expected: try FolderEvidence.isSequenceClassifier(folder)
                    ? "a reranker, which gives one; use `ettin classify`"
                    : "a reranker, which gives one; no command runs a modular scorer of several classes"
            )
        }
        let widened = try options.widen(chain)
        try options.prepare(chain, divergence)
        self.chain = chain
        let input = try chain.input()
        guard let configuration = input.configuration else {
            throw InferenceError.unsuitableModel(folder: folder, found: "has no transformer", expected: "a reranker")
        }
        vocabularySize = configuration.vocabularySize
        let tokenizer = try Tokenizer(folder: input.folder)
        self.tokenizer = tokenizer
        try configuration.requireIDs(of: tokenizer, folder: input.folder)
        settings = try RerankerSettings(folder: folder, configuration: configuration)
        let obeyedKeys = RerankerSettings.configurationKeys
        notices =
            try ModelFolderNotices.all(folder: input.folder, obeyedKeys: obeyedKeys) + widened
            + settings.settings.notices + chain.transformers.flatMap(\.settings.notices) + tokenizer.notices
        let limit = min(TextPreparation.limit(tokenizer, configuration), input.maxTokens ?? .max)
        preparer = Preparer(TextPreparation(tokenizer: tokenizer, limit: limit), settings: settings.settings)
    }

    /// Computes with a model that is being trained, as it is at each call: nothing is packed, and there is no dropout.
    ///
    /// - Parameters:
    ///   - model: The model, with one score or with several; of several, ``labelScores(of:prompt:)`` gives all.
    ///   - maxLength: Maximum number of tokens of a pair; nil for what tokenizer and model say.
    ///   - precision: The precision that it is trained in.
    /// - Throws: `TokenizerError` for files that are missing or broken; ``InferenceError`` when model and tokenizer do not
    ///   fit, or the model takes fewer tokens.
    package init(training model: RerankerModel, maxLength: Int? = nil, precision: Precision = .full) throws {
        chain = model.chain
        let folder = model.transformer.folder
        let configuration = model.transformer.trunk.configuration
        divergence = Divergence(ofTraining: folder)
        vocabularySize = configuration.vocabularySize
        tokenizer = try Tokenizer(folder: folder)
        try configuration.requireIDs(of: tokenizer, folder: folder)
        settings = RerankerSettings(model.settings, activation: model.activation)
        notices = []
        let own = min(tokenizer.modelMaxLength ?? .max, try chain.input().maxTokens ?? .max)
        if let maxLength, maxLength > configuration.maxPositionEmbeddings {
            throw InferenceError.invalidOption(
                name: "max_length",
                found: "\(maxLength)",
                expected: "at most \(configuration.maxPositionEmbeddings), which the model takes"
            )
        }
        let limit = min(maxLength ?? own, configuration.maxPositionEmbeddings)
        preparer = Preparer(TextPreparation(tokenizer: tokenizer, limit: limit), settings: model.settings)
        self.precision = precision
    }

    private static func chain(folder: String, options: ComputeOptions) throws -> ModuleChain {
        try UnsupportedFolder.check(folder)
        let (dtype, device) = (options.parameterDType, options.device)
        let evidence = try FolderEvidence(folder: folder)
        let isClassifier = evidence?.kind == .classifier
        if let evidence, !isClassifier, evidence.kind != .reranker {
            throw evidence.error(folder: folder, expected: "a reranker")
        }
        guard FilePath.exists(FilePath.joined(folder, "modules.json")) else {
            if isClassifier, let evidence {
                let count = try ModernBERTConfiguration(folder: folder).labelCount
                guard count == 1 else {
                    throw evidence.error(
                        folder: folder,
                        expected: "a reranker, which has one label and not \(count)"
                    )
                }
            }
            let model = try SequenceClassificationModel.load(folder: folder, dtype: dtype, device: device)
            return try ModuleChain([TransformerModule(.classifier(model), folder: folder)])
        }
        let chain = try ModuleChain(folder: folder, dtype: dtype, device: device)
        try chain.require("scores", of: "a reranker")
        // Small modules on one vector for each pair: in bfloat16 their scores would tie.
        try withRecovery {
            for module in chain.modules where !(module is TransformerModule) {
                module.convert(to: .float32, on: device)
            }
        }
        return chain
    }

    /// The folder of the model.
    package var folder: String { divergence.folder }

    /// The activation function that the folder names, or the sigmoid; nil for one that is not known.
    public var defaultActivation: Activation? { try? settings.activation.get() }

    /// Scores pairs.
    ///
    /// - Parameters:
    ///   - pairs: Queries with documents.
    ///   - prompt: What to put before the first text of each pair.
    ///   - activation: What raw scores go through; nil for what the folder says.
    ///   - scalesScores: Whether raw scores are mapped to 0…1; see ``scaled(_:)``.
    ///   - overlong: What to do with pairs that are too long: the longer text gives tokens up first.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One score for each pair, in order.
    /// - Throws: ``InferenceError`` for a pair that is too long, a prompt that does not exist or an option out of range;
    ///   `CheckpointError` for an activation function that is not known; `TorchError` when memory or device fails.
    public func predict(
        _ pairs: [TextPair],
        prompt: Prompt = .default,
        activation: Activation? = nil,
        scalesScores: Bool = false,
        overlong: OverlongTextRule = .refuse,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Score] {
        _ = try activation ?? settings.activation.get()
        return try scores(
            of: preparer.prepare(pairs, prompt: prompt, overlong: overlong),
            activation: activation,
            scalesScores: scalesScores,
            maxBatchTokens: maxBatchTokens
        )
    }

    /// Ranks documents by their relevance to a query.
    ///
    /// - Parameters:
    ///   - query: The query.
    ///   - documents: The documents; none give an empty ranking.
    ///   - topK: Number of documents to return; nil for all.
    ///   - prompt: What to put before the query.
    ///   - activation: What raw scores go through; nil for what the folder says.
    ///   - scalesScores: Whether raw scores are mapped to 0…1; see ``scaled(_:)``.
    ///   - overlong: What to do with pairs that are too long: the longer text gives tokens up first.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: The most relevant documents, the highest score first; equal ones in the order given.
    /// - Throws: As ``predict(_:prompt:activation:scalesScores:overlong:maxBatchTokens:)``.
    public func rank(
        _ query: String,
        _ documents: [String],
        topK: Int? = nil,
        prompt: Prompt = .default,
        activation: Activation? = nil,
        scalesScores: Bool = false,
        overlong: OverlongTextRule = .refuse,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [RankedDocument] {
        if let topK { try check("top-k", topK, in: 1...Int.max) }
        let scores = try predict(
            documents.map { TextPair(query, $0) },
            prompt: prompt,
            activation: activation,
            scalesScores: scalesScores,
            overlong: overlong,
            maxBatchTokens: maxBatchTokens
        )
        return scores.ranked(documents, topK: topK)
    }

    /// Scores prepared pairs: the second half of
    /// ``predict(_:prompt:activation:scalesScores:overlong:maxBatchTokens:)``.
    ///
    /// Asks between batches whether the current task is cancelled.
    ///
    /// - Parameters:
    ///   - pairs: Pairs that ``preparer`` made, of one request or of several.
    ///   - activation: What raw scores go through, in float32; nil for what the folder says.
    ///   - scalesScores: Whether raw scores are mapped to 0…1; see ``scaled(_:)``.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One score for each pair, in order.
    /// - Throws: ``InferenceError`` for pairs that another model's preparer made or an option out of range;
    ///   `CheckpointError` for an activation function that is not known; `TorchError` when memory or device fails;
    ///   `CancellationError`.
    public func scores(
        of pairs: [PreparedText],
        activation: Activation? = nil,
        scalesScores: Bool = false,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Score] {
        let activation = try activation ?? settings.activation.get()
        try check("max-batch-tokens", maxBatchTokens, in: 1...Int.max)
        try pairs.check(limit: preparer.limit, vocabularySize: vocabularySize)
        try pairs.requireTokens()
        let raw = try pairs.outputs(.sequences, maxBatchTokens: maxBatchTokens) { rawScores($0) }.map { $0[0] }
        // An activation function may hide what is infinite.
        if let index = raw.firstIndex(where: { !$0.isFinite }) {
            throw divergence.error("the score of pair", number: index + 1)
        }
        let values: [Float] = try withRecovery { try activation(Tensor(raw)).array() }
        return zip(pairs, values).map { pair, value in
            let isScaled = scalesScores && activation == .identity
            return Score(
                value: isScaled ? Self.scaled(Double(value)) : Double(value),
                isTruncated: pair.isTruncated
            )
        }
    }

    /// All scores of each pair, of a model that has several; pairs that are too long are truncated.
    ///
    /// - Parameters:
    ///   - pairs: Pairs of texts.
    ///   - prompt: What to put before the first text of each pair.
    /// - Returns: For each pair its scores, through the activation function that the model names.
    /// - Throws: As ``predict(_:prompt:activation:scalesScores:overlong:maxBatchTokens:)``.
    package func labelScores(of pairs: [TextPair], prompt: Prompt = .default) throws -> [[Float]] {
        let activation = try settings.activation.get()
        let prepared = try preparer.prepare(
            pairs,
            prompt: prompt,
            overlong: tokenizer.truncatesLeft ? .keepEnd : .keepStart
        )
        let rows = try prepared.outputs(.sequences, maxBatchTokens: defaultMaxBatchTokens) { rawScores($0) }
        if let index = rows.firstIndex(where: { !$0.allSatisfy(\.isFinite) }) {
            throw divergence.error("the score of pair", number: index + 1)
        }
        let values: [Float] = try withRecovery { try activation(Tensor(rows.flatMap(\.self))).array() }
        return rows.indices.map { Array(values[$0 * chain.width..<($0 + 1) * chain.width]) }
    }

    /// Maps a raw score to 0…1: `1 / (1 + exp(−score))`.
    ///
    /// The constant in the exponent is 1, and not one that spreads the scores of some model nicely, because only so the
    /// result means something. Ettin's rerankers learned the raw scores of a teacher that answers "relevant" or "not
    /// relevant", and its score is the difference of the two logits: 0 is where it cannot tell, and the sigmoid of it is
    /// the probability that the teacher gives to "relevant". It is as sure of itself as the teacher, not calibrated on
    /// anything. The order of documents stays; scores above 37 all become 1.
    ///
    /// Scores whose activation function is not the identity are left as they are: those of a sigmoid lie in 0…1 already.
    ///
    /// - Parameter score: A raw score.
    /// - Returns: The mapped score.
    public static func scaled(_ score: Double) -> Double { sigmoid(score) }

    private func rawScores(_ batch: PackedBatch) -> Tensor { chain.scores(batch, precision: precision) }
}

extension [RerankingPipeline.Score] {
    /// The documents that have these scores, highest scores first.
    func ranked(_ documents: [String], topK: Int?) -> [RerankingPipeline.RankedDocument] {
        map(\.value).ranked(topK: topK).map { index in
            RerankingPipeline.RankedDocument(
                index: index,
                score: self[index].value,
                text: documents[index],
                isTruncated: self[index].isTruncated
            )
        }
    }
}

extension [Double] {
    /// The places of the highest scores, highest first; of equal ones the first.
    ///
    /// - Parameter topK: How many; nil for all.
    /// - Returns: The places.
    package func ranked(topK: Int? = nil) -> [Int] {
        let order = indices.sorted { (self[$1], $0) < (self[$0], $1) }
        return Array<Int>(order.prefix(topK ?? .max))
    }
}
