public import EttinModel
public import EttinTokenizer
import Torch

/// Continues texts with a decoder.
///
/// ```swift
/// let generator = try TextGenerationPipeline(folder: "models/ettin-decoder-150m")
/// var options = generator.defaultOptions
/// options.maxNewTokens = 50
/// print(try generator.generate(["Once upon a time"], options: options)[0].text)
/// ```
///
/// Not `Sendable`: use one from one thread at a time. Its ``preparer`` is, and what that makes.
public final class TextGenerationPipeline {
    /// A continuation.
    public struct Result: Sendable, Hashable {
        /// Why generation ended.
        public enum FinishReason: String, Sendable, Hashable {
            /// The model generated an end token, or the text reached a stop sequence.
            case stop
            /// The limit on tokens, or the model's context, was reached.
            case length
        }

        /// The continuation, without the prompt and special tokens.
        public let text: String
        /// The generated tokens, with the one that ended the text.
        public let tokenIDs: [Int32]
        /// Why generation ended.
        public let finishReason: FinishReason
        /// The number of tokens of the prompt.
        public let promptTokenCount: Int
        /// Whether the prompt was truncated.
        public let isTruncated: Bool
    }

    /// The model.
    public let model: LanguageModel
    /// The tokenizer.
    public let tokenizer: Tokenizer
    /// What the model's `generation_config.json` says, with defaults for the rest.
    public let defaultOptions: GenerationOptions
    /// Prepares prompts for ``generate(from:options:batchSize:onText:shouldStop:)``, on any thread.
    public let preparer: Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public let notices: [String]
    /// What ``defaultOptions`` were made of; nil when the file is ignored.
    package let configuration: GenerationConfiguration?
    private let endTokenIDs: [Int]
    private let divergence: Divergence

    /// Loads a decoder.
    ///
    /// - Parameters:
    ///   - folder: A causal language model with its tokenizer.
    ///   - options: Where and in which precision to compute.
    ///   - usesGenerationConfiguration: Whether ``defaultOptions`` and the end tokens are those of
    ///     `generation_config.json`; if not, they are ours and those of `config.json`.
    /// - Throws: `CheckpointError`, `StateDictionaryError`, `TokenizerError` for files that are missing or broken or ask
    ///   for a way to generate that is not implemented; ``InferenceError`` for an encoder.
    public init(
        folder: String,
        options: ComputeOptions = ComputeOptions(),
        usesGenerationConfiguration: Bool = true
    ) throws {
        try FolderEvidence.requireLanguageModel(folder: folder, expected: "a causal language model")
        let configuration = try ModernBERTConfiguration(folder: folder)
        try configuration.require(.decoder, folder: folder)
        divergence = Divergence(folder: folder)
        tokenizer = try Tokenizer(folder: folder)
        try configuration.requireIDs(of: tokenizer, folder: folder)
        let generation =
            usesGenerationConfiguration ? try GenerationConfiguration.read(folder: folder, model: configuration) : nil
        self.configuration = generation
        notices =
            try ModelFolderNotices.all(folder: folder, obeyedKeys: generation?.keysOfModel ?? []) + tokenizer.notices
            + (generation?.check() ?? []) + (generation?.notices(vocabularySize: configuration.vocabularySize) ?? [])
        defaultOptions = generation.map(GenerationOptions.init) ?? GenerationOptions()
        endTokenIDs = generation?.eosTokenIDs ?? configuration.eosTokenIDs
        model = try LanguageModel.load(folder: folder, dtype: options.parameterDType, device: options.device)
        try options.prepare(model, divergence)
        preparer = Preparer(tokenizer, context: TextPreparation.limit(tokenizer, configuration))
    }

    /// Continues texts.
    ///
    /// Each continuation depends on its own prompt, number and the options alone, not on the others. Special tokens
    /// that the tokenizer appends to a text are left out, so that the model can continue it.
    ///
    /// - Parameters:
    ///   - prompts: The texts to continue.
    ///   - options: How tokens are chosen and when generation ends; nil for ``defaultOptions``.
    ///   - overlong: What to do with prompts that leave no room for a token.
    ///   - batchSize: Number of prompts to continue at once.
    ///   - onText: Receives pieces of the continuations as they become certain, with the number of the prompt from 0.
    ///   - shouldStop: Asked before each step; true ends generation with `CancellationError`.
    /// - Returns: One continuation for each prompt.
    /// - Throws: ``InferenceError`` for a prompt without tokens, one that is too long or an option out of range;
    ///   `TorchError` when memory or device fails; `CancellationError`; what `onText` throws, which ends generation.
    public func generate(
        _ prompts: [String],
        options: GenerationOptions? = nil,
        overlong: OverlongTextRule = .refuse,
        batchSize: Int = 8,
        onText: ((_ prompt: Int, _ piece: String) throws -> Void)? = nil,
        shouldStop: () -> Bool = { Task.isCancelled }
    ) throws -> [Result] {
        let options = options ?? defaultOptions
        try checkOptions(options, batchSize)
        return try generate(
            from: preparer.prepare(prompts, overlong: overlong),
            options: options,
            batchSize: batchSize,
            onText: onText,
            shouldStop: shouldStop
        )
    }

    /// Continues prepared prompts: the second half of
    /// ``generate(_:options:overlong:batchSize:onText:shouldStop:)``.
    ///
    /// - Parameters:
    ///   - prompts: Prompts that ``preparer`` made, of one request or of several.
    ///   - options: How tokens are chosen and when generation ends; nil for ``defaultOptions``.
    ///   - batchSize: Number of prompts to continue at once.
    ///   - onText: Receives pieces of the continuations as they become certain, with the number of the prompt from 0.
    ///   - shouldStop: Asked before each step; true ends generation with `CancellationError`.
    /// - Returns: One continuation for each prompt.
    /// - Throws: ``InferenceError`` for prompts that another model's preparer made or an option out of range;
    ///   `TorchError` when memory or device fails; `CancellationError`; what `onText` throws, which ends generation.
    public func generate(
        from prompts: [PreparedText],
        options: GenerationOptions? = nil,
        batchSize: Int = 8,
        onText: ((_ prompt: Int, _ piece: String) throws -> Void)? = nil,
        shouldStop: () -> Bool = { Task.isCancelled }
    ) throws -> [Result] {
        let options = options ?? defaultOptions
        try checkOptions(options, batchSize)
        try prompts.check(limit: preparer.limit, vocabularySize: model.configuration.vocabularySize)
        try preparer.requireTokens(prompts)
        var results = [Result?](repeating: nil, count: prompts.count)
        for batch in prompts.batches(maxTokens: .max, maxSequences: batchSize) {
            let sequences = try batch.map { index in
                try GeneratedSequence(
                    number: index,
                    prompt: prompts[index],
                    options: options,
                    endTokenIDs: Set((options.endTokenIDs ?? endTokenIDs).map(Int32.init(clamping:))),
                    room: room(for: prompts[index], number: index + 1, options),
                    tokenizer: tokenizer
                )
            }
            try continueAll(sequences, onText: onText, shouldStop: shouldStop)
            for sequence in sequences { results[sequence.number] = sequence.result }
        }
        return results.compactMap(\.self)
    }

    /// The largest number of tokens that may follow a prompt.
    private func room(for prompt: PreparedText, number: Int, _ options: GenerationOptions) throws -> Int {
        let count = prompt.tokenIDs.count
        if let length = options.maxLength, length <= count {
            throw InferenceError.unsuitableText(
                number: number,
                found: "has \(count) tokens, and --max-length is \(length)",
                expected: "a --max-length above that, or --max-new-tokens, which does not count the prompt"
            )
        }
        return min(options.maxNewTokens, min(preparer.context, options.maxLength ?? .max) - count)
    }

    private func checkOptions(_ options: GenerationOptions, _ batchSize: Int) throws {
        try options.validate()
        try check("batch-size", batchSize, in: 1...Int.max)
        // What the file says of drawing matters once it is asked for, whether or not the file does.
        if options.temperature > 0 { _ = try configuration?.check(isDrawn: true) }
    }

    private func continueAll(
        _ sequences: [GeneratedSequence],
        onText: ((Int, String) throws -> Void)?,
        shouldStop: () -> Bool
    ) throws {
        try withRecovery {
            try withoutGradients {
                let cache = KVCache(for: model.model)
                var running = sequences.map { (text: $0, cached: cache.join(), new: $0.prompt.tokenIDs) }
                while !running.isEmpty {
                    if shouldStop() { throw CancellationError() }
                    let batch = CachedBatch(running.map(\.cached), tokens: running.map(\.new))
                    let ids = try choose(model.nextTokenLogits(batch, cache: cache), for: running.map(\.text))
                    for (index, id) in ids.enumerated() {
                        let text = running[index].text
                        let piece = text.append(id)
                        if !piece.isEmpty { try onText?(text.number, piece) }
                        running[index].new = [id]
                        if text.isFinished { try cache.leave(running[index].cached) }
                    }
                    running.removeAll(where: \.text.isFinished)
                }
            }
        }
    }

    /// The next token of each sequence.
    private func choose(_ logits: Tensor, for sequences: [GeneratedSequence]) throws -> [Int32] {
        // Rows beyond the tokenizer's ids only fill up the matrix; they name no token.
        let count = min(tokenizer.vocabularySize, logits.size(1))
        guard count > 0 else { return try logits.array(of: Int32.self) }
        let named = logits.narrowed(along: 1, from: 0, count: count)
        if sequences.allSatisfy(\.sampler.isPlainlyGreedy) {
            let ids = try named.argmax(along: 1).array(of: Int64.self)
            // The largest is NaN where any is.
            let places = ids.enumerated().map { row, id in Int64(row * logits.size(1)) + id }
            let peaks = logits.reshaped(-1).selecting(Tensor(places).to(logits.device)).to(.float32)
            for (sequence, peak) in zip(sequences, try peaks.array(of: Float.self)) where !peak.isFinite {
                throw sequence.diverged(divergence)
            }
            for (sequence, id) in zip(sequences, ids) { sequence.sampler.skip(Int32(id)) }
            return ids.map(Int32.init)
        }
        let values = try named.to(.float32).array(of: Float.self)
        return try sequences.enumerated().map { row, sequence in
            var own = Array(values[row * count..<(row + 1) * count])
            // A head may rule out tokens by -∞; what has diverged has NaN or +∞, or nothing left.
            guard own.allSatisfy({ $0 < .infinity }), own.contains(where: \.isFinite) else {
                throw sequence.diverged(divergence)
            }
            guard let id = sequence.sampler.next(&own) else {
                throw InferenceError.unsuitableText(
                    number: sequence.number + 1,
                    found: "cannot be continued: the options rule out every token",
                    expected: "fewer tokens in suppress_tokens, bad_words_ids or no_repeat_ngram_size"
                )
            }
            return id
        }
    }
}

/// One prompt and what has been generated for it.
private final class GeneratedSequence {
    let number: Int
    let prompt: PreparedText
    var sampler: TokenSampler
    private(set) var tokenIDs: [Int32] = []
    private let endTokenIDs: Set<Int32>
    private let room: Int
    private var decoder: TokenStreamDecoder
    private var stops: StopTexts
    private var text = ""
    private var finishReason: TextGenerationPipeline.Result.FinishReason?

    init(
        number: Int,
        prompt: PreparedText,
        options: GenerationOptions,
        endTokenIDs: Set<Int32>,
        room: Int,
        tokenizer: Tokenizer
    ) {
        self.number = number
        self.prompt = prompt
        self.endTokenIDs = endTokenIDs
        self.room = room
        sampler = TokenSampler(options, sequence: number, prompt: prompt.tokenIDs, endTokenIDs: endTokenIDs)
        decoder = TokenStreamDecoder(tokenizer, skipSpecialTokens: true)
        stops = StopTexts(options.stopTexts)
    }

    var isFinished: Bool { finishReason != nil }

    func diverged(_ divergence: Divergence) -> any Error {
        divergence.error("the next token of text \(number + 1)")
    }

    /// Takes the next token; gives the text that is certain by now.
    func append(_ id: Int32) -> String {
        tokenIDs.append(id)
        let isEnd = endTokenIDs.contains(id)
        var (piece, isStopped) = isEnd ? ("", false) : stops.append(decoder.append(id))
        if isStopped {
            finishReason = .stop
        } else if isEnd || tokenIDs.count >= room {
            let (rest, isLateStop) = stops.append(decoder.finish())
            finishReason = isEnd || isLateStop ? .stop : .length
            piece += rest + (isLateStop ? "" : stops.finish())
        }
        text += piece
        return piece
    }

    var result: TextGenerationPipeline.Result {
        TextGenerationPipeline.Result(
            text: text,
            tokenIDs: tokenIDs,
            finishReason: finishReason ?? .length,
            promptTokenCount: prompt.tokenIDs.count,
            isTruncated: prompt.isTruncated
        )
    }
}
