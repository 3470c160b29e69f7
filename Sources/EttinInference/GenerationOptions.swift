public import EttinModel

/// How tokens are chosen and when generation ends, with transformers' names and meanings.
public struct GenerationOptions: Sendable, Hashable {
    /// Maximum number of new tokens; `max_new_tokens`.
    public var maxNewTokens = 128
    /// Sampling temperature; 0 is greedy; `temperature`.
    public var temperature = 0.0
    /// Sample from the k most likely tokens; 0 disables; `top_k`.
    public var topK = 50
    /// Nucleus (top-p) sampling threshold, above 0 and at most 1; 1 disables; `top_p`.
    public var topP = 1.0
    /// Repetition penalty; above 1 makes tokens of prompt and text less likely, 1 disables; `repetition_penalty`.
    public var repetitionPenalty = 1.0
    /// Random seed.
    public var seed: UInt64 = 0
    /// Stop sequences: texts that end generation and are not part of the result.
    public var stopTexts: [String] = []
    /// Ids of the tokens that end generation; nil for the model's own; `eos_token_id`.
    public var endTokenIDs: [Int]?

    /// Creates options for greedy decoding.
    public init() {}

    /// Creates the options of a model's `generation_config.json`.
    ///
    /// Without `do_sample` decoding is greedy, whatever temperature the file gives.
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
