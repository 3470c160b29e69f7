import EttinJSON
public import EttinModel
public import EttinTokenizer
package import Torch

/// Turns texts into weights of a vocabulary, as sentence-transformers' `SparseEncoder` does: SPLADE.
///
/// ```swift
/// let encoder = try SparseEmbeddingPipeline(folder: "models/splade")
/// let embeddings = try encoder.encode(["A cat sits."], as: .document)
/// for (token, weight) in encoder.decode(embeddings[0], topK: 5) { print(token, weight) }
/// ```
///
/// Logits over the vocabulary are pooled while they are computed; no tensor of tokens by vocabulary is ever in memory.
///
/// Not `Sendable`: use one from one thread at a time. Its ``preparer`` is, and what that makes.
public final class SparseEmbeddingPipeline {
    /// The prompt put before each text.
    public typealias Prompt = TextEmbeddingPipeline.Prompt

    /// The model.
    public let model: SparseModel
    /// The tokenizer of documents; a Router may have another for queries.
    public let tokenizer: Tokenizer
    /// Prepares texts for ``embeddings(of:maxActiveDimensions:maxBatchTokens:)``, on any thread.
    public let preparer: Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public let notices: [String]
    private var precision = Precision.full
    private let divergence: Divergence

    /// Results of this many values exist at a time, 64 MB.
    private static let maxBatchValues = 1 << 24

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A sparse model, or a masked language model, with its tokenizer.
    ///   - options: Where and in which precision to compute.
    /// - Throws: `CheckpointError`, `StateDictionaryError`, `TokenizerError` for files that are missing or broken, and
    ///   for a model of another kind; ``InferenceError`` when model and tokenizer do not fit.
    public init(folder: String, options: ComputeOptions = ComputeOptions()) throws {
        try UnsupportedFolder.check(folder)
        divergence = Divergence(folder: folder)
        model = try SparseModel(folder: folder, dtype: options.parameterDType, device: options.device)
        let widened = try options.widen(model)
        try options.prepare(model.chain, divergence)
        preparer = try Preparer(model)
        tokenizer = try preparer.tokenizer()
        notices =
            try model.chain.transformers.flatMap { try ModelFolderNotices.all(folder: $0.folder) + $0.settings.notices }
            + widened + model.settings.notices + tokenizer.notices
    }

    /// Computes with a model that is being trained, as it is at each call: nothing is packed, and there is no dropout.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - preparer: What prepares its texts; nil for one from the folder that the model was loaded from.
    ///   - precision: The precision that it is trained in.
    /// - Throws: As ``init(folder:options:)`` for the files of tokenizers.
    package init(training model: SparseModel, preparer: Preparer? = nil, precision: Precision = .full) throws {
        self.model = model
        self.preparer = try preparer ?? Preparer(model)
        self.precision = precision
        tokenizer = try self.preparer.tokenizer()
        divergence = Divergence(ofTraining: model.chain.transformers.first?.folder ?? "")
        notices = []
    }

    /// The folder of the model.
    package var folder: String { divergence.folder }

    /// Encodes texts.
    ///
    /// - Parameters:
    ///   - texts: The texts; an empty one is only its special tokens.
    ///   - role: What they are to a search; nil for neither.
    ///   - prompt: What to put before each text; the default is the folder's own for the role.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what the folder says.
    ///   - overlong: What to do with texts that are too long.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One vector for each text, in order.
    /// - Throws: ``InferenceError`` for a text that is too long, a prompt that does not exist, a role that the model has no
    ///   route for or an option out of range; `TorchError` when memory or device fails.
    public func encode(
        _ texts: [String],
        as role: TextRole? = nil,
        prompt: Prompt = .default,
        maxActiveDimensions: Int? = nil,
        overlong: OverlongTextRule = .refuse,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> SparseEmbeddings {
        try checkOptions(maxActiveDimensions, maxBatchTokens)
        return try embeddings(
            of: preparer.prepare(texts, as: role, prompt: prompt, overlong: overlong),
            maxActiveDimensions: maxActiveDimensions,
            maxBatchTokens: maxBatchTokens
        )
    }

    /// Computes the weights of prepared texts: the second half of
    /// ``encode(_:as:prompt:maxActiveDimensions:overlong:maxBatchTokens:)``.
    ///
    /// Asks between batches whether the current task is cancelled.
    ///
    /// - Parameters:
    ///   - texts: Texts that ``preparer`` made, queries and documents in any order.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what the folder says.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One vector for each text, in order.
    /// - Throws: ``InferenceError`` for texts that another model's preparer made or an option out of range; `TorchError`
    ///   when memory or device fails; `CancellationError`.
    public func embeddings(
        of texts: [PreparedText],
        maxActiveDimensions: Int? = nil,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> SparseEmbeddings {
        try checkOptions(maxActiveDimensions, maxBatchTokens)
        let limit = maxActiveDimensions ?? model.settings.maxActiveDimensions
        var vectors = [SparseVector](repeating: SparseVector(indices: [], values: []), count: texts.count)
        for role in [nil, TextRole.query, .document] {
            let members = texts.indices.filter { texts[$0].task == role?.rawValue }
            let prepared = members.map { texts[$0] }
            guard !prepared.isEmpty else { continue }
            for index in members { try preparer.check(texts[index], number: index + 1, for: role) }
            let most = max(1, Self.maxBatchValues / model.dimensions)
            for places in prepared.batches(maxTokens: maxBatchTokens, maxSequences: most) {
                try Task.checkCancellation()
                let batch = PackedBatch(places.map { prepared[$0].tokenIDs })
                let weights: [Float] = try withRecovery {
                    try withoutGradients {
                        try model(batch, task: role?.rawValue, precision: precision).array()
                    }
                }
                try weights.withUnsafeBufferPointer { weights in
                    for (row, place) in places.enumerated() {
                        let all = weights[row * model.dimensions..<(row + 1) * model.dimensions]
                        guard all.allSatisfy(\.isFinite) else {
                            throw divergence.error("a weight of text", number: members[place] + 1)
                        }
                        vectors[members[place]] = SparseVector(all, limit: limit)
                    }
                }
            }
        }
        return SparseEmbeddings(
            vectors: vectors,
            dimensions: model.dimensions,
            isTruncated: texts.map(\.isTruncated)
        )
    }

    private func checkOptions(_ maxActiveDimensions: Int?, _ maxBatchTokens: Int) throws {
        try check("max-batch-tokens", maxBatchTokens, in: 1...Int.max)
        if let maxActiveDimensions { try check("max-active-dims", maxActiveDimensions, in: 1...Int.max) }
    }

    /// The tokens of a vector's entries with their weights, the largest first.
    ///
    /// - Parameters:
    ///   - vector: Weights of this model's vocabulary.
    ///   - topK: The greatest number of tokens; nil for all.
    /// - Returns: Each token as the vocabulary spells it, and its weight.
    public func decode(_ vector: SparseVector, topK: Int? = nil) -> [(token: String, weight: Float)] {
        vector.decoded(by: tokenizer, topK: topK)
    }

    /// Compares texts, by the folder's own similarity.
    ///
    /// - Parameters:
    ///   - queries: Weights of queries.
    ///   - documents: Weights of documents.
    /// - Returns: For each query its similarities, one for each document; larger is nearer.
    public func similarity(_ queries: SparseEmbeddings, _ documents: SparseEmbeddings) -> [[Float]] {
        queries.similarity(to: documents, by: model.settings.similarity)
    }

    /// One text's weights as a JSON object, the largest first, with the shortest digits that give the same float32.
    ///
    /// - Parameters:
    ///   - embeddings: Weights of this model's vocabulary.
    ///   - index: The number of the text, from 0.
    ///   - topK: The greatest number of weights; nil for all.
    /// - Returns: UTF-8 text on one line, without a line feed.
    package func jsonLine(_ embeddings: SparseEmbeddings, _ index: Int, topK: Int? = nil) -> [UInt8] {
        let vector = embeddings[index]
        let entries = vector.byWeight.prefix(topK ?? vector.count)
        return JSONValue.object([
            "indices": .array(entries.map { JSONValue(Int($0.index)) }),
            "values": .array(entries.map { .number(JSONNumber($0.value)) }),
            "tokens": .array(decode(vector, topK: topK).map { .string($0.token) }),
            "truncated": .bool(embeddings.isTruncated[index]),
        ]).serialized()
    }
}

extension SparseVector {
    /// The tokens of the entries with their weights, the largest first.
    func decoded(by tokenizer: Tokenizer, topK: Int?) -> [(token: String, weight: Float)] {
        byWeight.prefix(max(0, topK ?? count)).map { entry in
            // Entries beyond the tokenizer's only fill up the matrix; they name no token.
            (token: tokenizer.idToToken(entry.index) ?? "<\(entry.index)>", weight: entry.value)
        }
    }
}

extension SparseEmbeddingPipeline {
    /// Turns texts into what a ``SparseEmbeddingPipeline`` computes with, apart from its model.
    public struct Preparer: Sendable {
        /// How texts of a role become tokens; nil is the key of texts without a role.
        private let inputs: [TextRole?: Input]
        private let prompts: PromptTexts
        /// Whether blanks around a text are left out.
        private let trims: Bool

        private struct Input: Sendable {
            let preparation: TextPreparation
            let vocabularySize: Int
        }

        init(_ model: SparseModel) throws {
            prompts = PromptTexts(prompts: model.settings.prompts, defaultName: model.settings.defaultPromptName)
            trims = model.settings.generation == .version5
            var inputs: [TextRole?: Input] = [:]
            var tokenizers: [String: Tokenizer] = [:]
            for role in [nil, TextRole.query, .document] {
                if let router = model.chain.router, router.route(for: role?.rawValue) == nil { continue }
                let input = try model.chain.input(for: role?.rawValue)
                let tokenizer = try tokenizers[input.folder] ?? Tokenizer(folder: input.folder)
                tokenizers[input.folder] = tokenizer
                guard tokenizer.vocabularySize <= input.vocabularySize else {
                    throw InferenceError.unsuitableModel(
                        folder: input.folder,
                        found: "the tokenizer has \(tokenizer.vocabularySize) tokens "
                            + "for \(input.vocabularySize) weights",
                        expected: "the tokenizer of the model"
                    )
                }
                let usual =
                    input.configuration.map { TextPreparation.limit(tokenizer, $0) } ?? tokenizer.modelMaxLength ?? .max
                let preparation = TextPreparation(
                    tokenizer: tokenizer,
                    limit: min(usual, input.maxTokens ?? .max),
                    addsSpecialTokens: input.addsSpecialTokens
                )
                inputs[role] = Input(preparation: preparation, vocabularySize: input.vocabularySize)
            }
            self.inputs = inputs
        }

        private func input(for role: TextRole?) throws -> Input {
            if let input = inputs[role] { return input }
            let known = inputs.keys.compactMap { $0?.rawValue }.sorted()
            throw InferenceError.invalidOption(
                name: "task",
                found: role?.rawValue ?? "not given",
                expected: known.isEmpty ? "a route of the model" : known.joined(separator: ", ")
            )
        }

        /// Maximum number of tokens per text of a role, including special tokens.
        ///
        /// - Parameter role: What the text is to a search; nil for neither.
        /// - Returns: The number; nil for a role that the model has no route for.
        public func limit(for role: TextRole? = nil) -> Int? { inputs[role]?.preparation.limit }

        /// The tokenizer of documents, or else of what the model has a route for.
        func tokenizer() throws -> Tokenizer {
            try (inputs[.document] ?? inputs[nil] ?? input(for: .query)).preparation.tokenizer
        }

        func check(_ text: PreparedText, number: Int, for role: TextRole?) throws {
            let input = try input(for: role)
            try InferenceError.numbering({ $0 + number - 1 }) {
                try [text].check(limit: input.preparation.limit, vocabularySize: input.vocabularySize)
            }
        }

        /// Prepares texts, on all threads.
        ///
        /// - Parameters:
        ///   - texts: The texts; an empty one is only its special tokens.
        ///   - role: What they are to a search; nil for neither.
        ///   - prompt: What to put before each text; the default is the folder's own for the role.
        ///   - overlong: What to do with texts that are too long.
        /// - Returns: One value for each text, in order.
        /// - Throws: ``InferenceError`` for a text that is too long, a prompt that does not exist or a role that the model
        ///   has no route for.
        public func prepare(
            _ texts: [String],
            as role: TextRole? = nil,
            prompt: Prompt = .default,
            overlong: OverlongTextRule = .refuse
        ) throws -> [PreparedText] {
            let promptText = try prompts.text(of: prompt, for: role)
            let inputs = texts.map { trims ? (promptText + $0).withoutOuterBlanks : promptText + $0 }
            return try input(for: role).preparation.prepare(inputs, overlong: overlong).map {
                PreparedText($0.tokenIDs, isTruncated: $0.isTruncated, task: role?.rawValue)
            }
        }
    }
}
