public import EttinModel
public import EttinTokenizer
import Torch

/// Predicts masked tokens.
///
/// ```swift
/// let fillMask = try FillMaskPipeline(folder: "models/ettin-encoder-17m")
/// let result = try fillMask(["The capital of France is [MASK]."])[0]
/// print(result.masks[0][0].text)
/// ```
///
/// Not `Sendable`: use one from one thread at a time. Its ``preparer`` is, and what that makes.
public final class FillMaskPipeline {
    /// A token for a mask.
    public struct Prediction: Sendable, Hashable {
        /// The token's id.
        public let tokenID: Int32
        /// The token's text, with the space in front that most words carry.
        public let text: String
        /// The probability among all tokens, 0 to 1.
        public let score: Double
        /// The whole text with this token in the mask's place; other masks stay.
        public let sequence: String
    }

    /// The predictions for one text.
    public struct Result: Sendable, Hashable {
        /// For each mask, in order, its predictions, most likely first.
        public let masks: [[Prediction]]
        /// Whether the text was truncated.
        public let isTruncated: Bool
    }

    /// The model.
    public let model: LanguageModel
    /// The tokenizer.
    public let tokenizer: Tokenizer
    /// Prepares texts for ``predictions(for:topK:maxBatchTokens:)``, on any thread.
    public let preparer: Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public let notices: [String]
    private let maskTokenID: Int32
    private let divergence: Divergence

    /// Loads an encoder.
    ///
    /// - Parameters:
    ///   - folder: A masked language model with its tokenizer.
    ///   - options: Where and in which precision to compute.
    /// - Throws: `CheckpointError`, `StateDictionaryError`, `TokenizerError` for files that are missing or broken;
    ///   ``InferenceError`` for a decoder or a tokenizer without a mask token.
    public init(folder: String, options: ComputeOptions = ComputeOptions()) throws {
        try FolderEvidence.requireLanguageModel(folder: folder, expected: "a masked language model")
        let configuration = try ModernBERTConfiguration(folder: folder)
        try configuration.require(.encoder, folder: folder)
        divergence = Divergence(folder: folder)
        tokenizer = try Tokenizer(folder: folder)
        guard let mask = tokenizer.maskTokenID else {
            throw InferenceError.unsuitableModel(
                folder: folder,
                found: "the tokenizer's files define no \"mask_token\"",
                expected: "one, such as [MASK]"
            )
        }
        maskTokenID = mask
        try configuration.requireIDs(of: tokenizer, folder: folder)
        let limit = TextPreparation.limit(tokenizer, configuration)
        preparer = Preparer(TextPreparation(tokenizer: tokenizer, limit: limit), maskTokenID: mask)
        model = try LanguageModel.load(folder: folder, dtype: options.parameterDType, device: options.device)
        let widened = try options.widen(model)
        try options.prepare(model, divergence)
        notices = try ModelFolderNotices.all(folder: folder) + widened + tokenizer.notices
    }

    /// Predicts the masks of some texts.
    ///
    /// - Parameters:
    ///   - texts: Each with at least one mask token.
    ///   - topK: Number of predictions per mask; at most the whole vocabulary.
    ///   - overlong: What to do with texts that are too long.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One result for each text.
    /// - Throws: ``InferenceError`` for a text without a mask, one that is too long or an option out of range;
    ///   `TorchError` when memory or device fails.
    public func callAsFunction(
        _ texts: [String],
        topK: Int = 5,
        overlong: OverlongTextRule = .refuse,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Result] {
        try checkOptions(topK, maxBatchTokens)
        return try predictions(
            for: preparer.prepare(texts, overlong: overlong),
            topK: topK,
            maxBatchTokens: maxBatchTokens
        )
    }

    /// Predicts the masks of prepared texts: the second half of ``callAsFunction(_:topK:overlong:maxBatchTokens:)``.
    ///
    /// Asks between batches whether the current task is cancelled.
    ///
    /// - Parameters:
    ///   - texts: Texts that ``preparer`` made, of one request or of several.
    ///   - topK: Number of predictions per mask; at most the whole vocabulary.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One result for each text.
    /// - Throws: ``InferenceError`` for texts that another model's preparer made or an option out of range; `TorchError`
    ///   when memory or device fails; `CancellationError`.
    public func predictions(
        for texts: [PreparedText],
        topK: Int = 5,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Result] {
        try checkOptions(topK, maxBatchTokens)
        try texts.check(limit: preparer.limit, vocabularySize: model.configuration.vocabularySize)
        try preparer.requireMasks(texts)
        var results = [Result?](repeating: nil, count: texts.count)
        for batch in texts.batches(maxTokens: maxBatchTokens) {
            try Task.checkCancellation()
            let filled = try predict(batch.map { texts[$0] }, numbers: batch.map { $0 + 1 }, topK: topK)
            for (index, result) in zip(batch, filled) { results[index] = result }
        }
        return results.compactMap(\.self)
    }

    /// The number of tokens that a prediction can be.
    private var candidateCount: Int { min(model.configuration.vocabularySize, tokenizer.vocabularySize) }

    private func checkOptions(_ topK: Int, _ maxBatchTokens: Int) throws {
        try check("top-k", topK, in: 1...candidateCount)
        try check("max-batch-tokens", maxBatchTokens, in: 1...Int.max)
    }

    private func predict(_ texts: [PreparedText], numbers: [Int], topK: Int) throws -> [Result] {
        let batch = PackedBatch(texts.map(\.tokenIDs))
        let rows = batch.inputIDs.indices.filter { batch.inputIDs[$0] == maskTokenID }
        let (scores, ids) = try withRecovery {
            try withoutGradients { () -> ([Float], [Int64]) in
                let hidden = model.model(batch)
                let masked = hidden.selecting(Tensor(rows.map(Int64.init)).to(hidden.device))
                let probabilities = model.logits(masked).to(.float32).softmax(along: 1)
                // Rows beyond the tokenizer's ids only fill up the matrix; they name no token.
                let best = probabilities.narrowed(along: 1, from: 0, count: candidateCount).topK(topK)
                return (try best.values.array(), try best.indices.array())
            }
        }
        var next = 0
        return try zip(texts, numbers).map { text, number in
            let places = text.tokenIDs.indices.filter { text.tokenIDs[$0] == maskTokenID }
            let masks = try places.map { place -> [Prediction] in
                defer { next += topK }
                guard scores[next..<next + topK].allSatisfy(\.isFinite) else {
                    throw divergence.error("a prediction for text", number: number)
                }
                return (next..<next + topK).map { entry in
                    let id = Int32(ids[entry])
                    var filled = text.tokenIDs
                    filled[place] = id
                    return Prediction(
                        tokenID: id,
                        text: tokenizer.decode(CollectionOfOne(id)),
                        score: Double(scores[entry]),
                        // With other masks left, special tokens show where; as transformers' pipeline does.
                        sequence: tokenizer.decode(filled, skipSpecialTokens: places.count == 1)
                    )
                }
            }
            return Result(masks: masks, isTruncated: text.isTruncated)
        }
    }
}

/// Default number of tokens per batch: enough to fill matrix products, with little memory.
public let defaultMaxBatchTokens = 8192

/// Checks an option against a range.
func check(_ name: String, _ value: Int, in range: ClosedRange<Int>) throws {
    guard !range.contains(value) else { return }
    let expected =
        range.upperBound == .max ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
    throw InferenceError.invalidOption(name: name, found: "\(value)", expected: expected)
}

extension ModernBERTConfiguration {
    /// Checks that a model is of the kind that does what is asked of it.
    func require(_ wanted: ModelKind, folder: String) throws {
        guard kind != wanted else { return }
        let lack = kind == .encoder ? "continues no text" : "fills no masks"
        throw InferenceError.unsuitableModel(
            folder: folder,
            found: "config.json: \"model_type\" is \"\(kind.rawValue)\", which \(lack)",
            expected: "\"\(wanted.rawValue)\""
        )
    }

    /// Checks that every id the tokenizer can give has a row in the embedding.
    func requireIDs(of tokenizer: Tokenizer, folder: String) throws {
        guard tokenizer.vocabularySize > vocabularySize else { return }
        throw InferenceError.unsuitableModel(
            folder: folder,
            found: "config.json: \"vocab_size\" is \(vocabularySize), but the tokenizer "
                + "has \(tokenizer.vocabularySize) tokens, including those of its other files",
            expected: "the tokenizer of the model"
        )
    }
}
