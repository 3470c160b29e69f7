public import EttinModel

/// How tokens are chosen and when generation ends, with transformers' names and meanings.
public struct GenerationOptions: Sendable, Hashable {
    /// The most tokens to generate; `max_new_tokens`.
    public var maxNewTokens = 128
    /// Divides the logits before a token is drawn; 0 takes the most probable token each time; `temperature`.
    public var temperature = 0.0
    /// Draw among this many most probable tokens only; 0 for all; `top_k`.
    public var topK = 50
    /// Draw among the most probable tokens that make up this much probability; `top_p`.
    public var topP = 1.0
    /// Makes tokens that occur in prompt or text less probable when above 1; `repetition_penalty`.
    public var repetitionPenalty = 1.0
    /// The key of the random generator.
    public var seed: UInt64 = 0
    /// Texts that end generation; they are not part of the result.
    public var stopTexts: [String] = []
    /// Tokens that end generation; nil for the model's own.
    public var endTokenIDs: [Int]?

    /// Creates options that take the most probable token each time.
    public init() {}

    /// Creates the options of a model's `generation_config.json`.
    ///
    /// Without `do_sample` the most probable token is taken each time, whatever temperature the file gives.
    ///
    /// - Parameter configuration: The content of the file.
    public init(_ configuration: GenerationConfiguration) {
        maxNewTokens = configuration.maxNewTokens ?? maxNewTokens
        temperature = configuration.samples == true ? configuration.temperature ?? 1 : 0
        topK = configuration.topK ?? topK
        topP = configuration.topP ?? topP
        repetitionPenalty = configuration.repetitionPenalty ?? repetitionPenalty
    }

    /// Checks that every option is in its range.
    ///
    /// - Throws: ``InferenceError/invalidOption(name:found:expected:)``.
    public func validate() throws {
        try check("max-new-tokens", maxNewTokens, in: 1...Int.max)
        try check("top-k", topK, in: 0...Int.max)
        guard temperature >= 0, temperature.isFinite else {
            throw InferenceError.invalidOption(name: "temperature", found: "\(temperature)", expected: "0 or more")
        }
        guard topP > 0, topP <= 1 else {
            throw InferenceError.invalidOption(name: "top-p", found: "\(topP)", expected: "above 0, at most 1")
        }
        guard repetitionPenalty > 0, repetitionPenalty.isFinite else {
            let found = "\(repetitionPenalty)"
            throw InferenceError.invalidOption(name: "repetition-penalty", found: found, expected: "above 0")
        }
        guard stopTexts.allSatisfy({ !$0.isEmpty }) else {
            throw InferenceError.invalidOption(name: "stop", found: "an empty text", expected: "at least one character")
        }
    }
}
