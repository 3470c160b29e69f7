public import EttinModel

/// How tokens are chosen and when generation ends, with transformers' names and meanings.
public struct GenerationOptions: Sendable, Hashable {
    /// Maximum number of new tokens; `max_new_tokens`.
    public var maxNewTokens = 128
    /// Maximum number of tokens of prompt and continuation together; nil for the model's context; `max_length`.
    public var maxLength: Int?
    /// Minimum number of new tokens, before which no end token is chosen; `min_new_tokens`.
    public var minNewTokens = 0
    /// The same for prompt and continuation together; `min_length`.
    public var minLength = 0
    /// Sampling temperature; 0 is greedy; `temperature`.
    public var temperature = 0.0
    /// Sample from the k most likely tokens; 0 disables; `top_k`.
    public var topK = 50
    /// Nucleus (top-p) sampling threshold; 1 disables; `top_p`.
    public var topP = 1.0
    /// Sample from tokens at least this share as likely as the most likely one; 0 disables; `min_p`.
    public var minP = 0.0
    /// Penalty for tokens that occur in prompt or text; 1 disables; `repetition_penalty`.
    public var repetitionPenalty = 1.0
    /// No run of this many tokens occurs twice in prompt and text; 0 for no such rule; `no_repeat_ngram_size`.
    public var noRepeatNGramSize = 0
    /// Tokens that are never chosen; `suppress_tokens`.
    public var suppressedTokenIDs: [Int] = []
    /// Tokens that are not chosen as the first; `begin_suppress_tokens`.
    public var firstSuppressedTokenIDs: [Int] = []
    /// Sequences of tokens that are never completed; `bad_words_ids`.
    public var badWordsIDs: [[Int]] = []
    /// Random seed.
    public var seed: UInt64 = 0
    /// Texts that end generation; they are not part of the result; `stop_strings`.
    public var stopTexts: [String] = []
    /// Tokens that end generation; nil for the model's own; `eos_token_id`.
    public var endTokenIDs: [Int]?

    /// Creates options for greedy decoding.
    public init() {}

    /// Creates the options of a model's `generation_config.json`.
    ///
    /// Without `do_sample` decoding is greedy, whatever temperature the file gives. `max_length`
    /// counts only without `max_new_tokens`.
    ///
    /// - Parameter configuration: The content of the file.
    public init(_ configuration: GenerationConfiguration) {
        if let count = configuration.maxNewTokens {
            maxNewTokens = count
        } else if let length = configuration.maxLength {
            (maxNewTokens, maxLength) = (.max, length)
        }
        minNewTokens = configuration.minNewTokens ?? minNewTokens
        // As in transformers, the count of new tokens takes precedence.
        minLength = configuration.minNewTokens == nil ? configuration.minLength ?? minLength : 0
        temperature = configuration.samples == true ? configuration.temperature ?? 1 : 0
        topK = configuration.topK ?? topK
        topP = configuration.topP ?? topP
        minP = configuration.minP ?? minP
        repetitionPenalty = configuration.repetitionPenalty ?? repetitionPenalty
        noRepeatNGramSize = configuration.noRepeatNGramSize ?? noRepeatNGramSize
        suppressedTokenIDs = configuration.suppressedTokenIDs
        firstSuppressedTokenIDs = configuration.firstSuppressedTokenIDs
        badWordsIDs = configuration.badWordsIDs
        stopTexts = configuration.stopStrings
    }

    /// Checks that every option is in its range.
    ///
    /// - Throws: ``InferenceError/invalidOption(name:found:expected:)``.
    package func validate() throws {
        try check("max-new-tokens", maxNewTokens, in: 1...Int.max)
        if let maxLength { try check("max-length", maxLength, in: 1...Int.max) }
        try check("min-new-tokens", minNewTokens, in: 0...Int.max)
        try check("min-length", minLength, in: 0...Int.max)
        try check("no-repeat-ngram-size", noRepeatNGramSize, in: 0...Int.max)
        try check("top-k", topK, in: 0...Int.max)
        // Logits are divided by it in float32.
        guard temperature == 0 || (1e-6...1e6).contains(temperature) else {
            let expected = "0, or 0.000001 to 1000000"
            throw InferenceError.invalidOption(name: "temperature", found: "\(temperature)", expected: expected)
        }
        guard topP > 0, topP <= 1 else {
            throw InferenceError.invalidOption(name: "top-p", found: "\(topP)", expected: "above 0, at most 1")
        }
        guard minP >= 0, minP <= 1 else {
            throw InferenceError.invalidOption(name: "min-p", found: "\(minP)", expected: "0 to 1")
        }
        guard (1e-6...1e6).contains(repetitionPenalty) else {
            throw InferenceError.invalidOption(
                name: "repetition-penalty",
                found: "\(repetitionPenalty)",
                expected: "0.000001 to 1000000"
            )
        }
        guard minNewTokens <= maxNewTokens else {
            throw InferenceError.invalidOption(
                name: "min-new-tokens",
                found: "\(minNewTokens)",
                expected: "at most --max-new-tokens, \(maxNewTokens)"
            )
        }
        guard stopTexts.allSatisfy({ !$0.isEmpty }) else {
            throw InferenceError.invalidOption(name: "stop", found: "an empty text", expected: "at least one character")
        }
    }
}
