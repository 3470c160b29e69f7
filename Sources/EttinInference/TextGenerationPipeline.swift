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
    /// The tokens that end generation where options name none.
    package let endTokenIDs: [Int]
    let divergence: Divergence

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
        defaultOptions = generation.map(GenerationOptions.init) ?? GenerationOptions()
        endTokenIDs = generation?.eosTokenIDs ?? configuration.eosTokenIDs
        model = try LanguageModel.load(folder: folder, dtype: options.parameterDType, device: options.device)
        let widened = try options.widen(model)
        try options.prepare(model, divergence)
        notices =
            try ModelFolderNotices.all(folder: folder, obeyedKeys: generation?.keysOfModel ?? []) + widened
            + tokenizer.notices + (generation?.check() ?? [])
            + (generation?.notices(vocabularySize: configuration.vocabularySize) ?? [])
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
            let sequences = try batch.map { try sequence(prompts[$0], number: $0, options: options) }
            let session = try GenerationSession(self)
            sequences.forEach(session.join)
            while !session.isEmpty {
                if shouldStop() { throw CancellationError() }
                try session.step { try onText?($0.number, $1) }
                if let failure = sequences.lazy.compactMap(\.failure).first { throw failure }
            }
            for sequence in sequences { results[sequence.number] = sequence.result }
        }
        return results.compactMap(\.self)
    }

    /// A prompt with nothing generated yet.
    ///
    /// - Parameters:
    ///   - prompt: A prompt that ``preparer`` made.
    ///   - number: Its number in the request, from 0, on which the numbers drawn for it depend.
    ///   - options: Options that have been checked.
    /// - Returns: What a `GenerationSession` continues.
    /// - Throws: ``InferenceError`` for a prompt longer than the options allow.
    func sequence(_ prompt: PreparedText, number: Int, options: GenerationOptions) throws -> GeneratedSequence {
        GeneratedSequence(
            number: number,
            prompt: prompt,
            options: options,
            endTokenIDs: Set((options.endTokenIDs ?? endTokenIDs).map(Int32.init(clamping:))),
            room: try room(for: prompt, number: number + 1, options),
            tokenizer: tokenizer
        )
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

    /// Checks what a caller asks for, against what the model's `generation_config.json` says too.
    func checkOptions(_ options: GenerationOptions, _ batchSize: Int = 1) throws {
        try options.validate()
        try check("batch-size", batchSize, in: 1...Int.max)
        // What the file says of drawing matters once it is asked for, whether or not the file does.
        if options.temperature > 0 { _ = try configuration?.check(isDrawn: true) }
    }
}
