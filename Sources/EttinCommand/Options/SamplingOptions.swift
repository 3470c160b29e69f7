import ArgumentParser
import EttinInference
import EttinModel

/// How tokens are chosen and when generation ends.
struct SamplingOptions: ParsableArguments {
    @Option(
        name: [.customShort("n"), .customLong("max-new-tokens"), .customLong("max-tokens")],
        parsing: .unconditional,
        help: ArgumentHelp("Maximum number of new tokens (default: 128).", valueName: "count")
    )
    var maxNewTokens: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Maximum number of tokens, prompt and new ones together.", valueName: "count")
    )
    var maxLength: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Minimum number of new tokens: no end token before (default: 0).", valueName: "count")
    )
    var minNewTokens: Int?

    @Option(
        name: [.customLong("temperature"), .customLong("temp")],
        parsing: .unconditional,
        help: ArgumentHelp("Sampling temperature; 0 is greedy (default: 0).", valueName: "number")
    )
    var temperature: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Sample from the k most likely tokens; 0 disables (default: 50).", valueName: "count")
    )
    var topK: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Nucleus (top-p) sampling threshold; 1 disables (default: 1).", valueName: "probability")
    )
    var topP: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Drop tokens less likely than this share of the most likely one; 0 disables (default: 0).",
            valueName: "share"
        )
    )
    var minP: Double?

    @Option(
        name: [.customLong("repetition-penalty"), .customLong("repeat-penalty")],
        parsing: .unconditional,
        help: ArgumentHelp("Penalty for tokens of prompt and text; 1 disables (default: 1).", valueName: "factor")
    )
    var repetitionPenalty: Double?

    @Option(help: ArgumentHelp("Random seed (default: 0).", valueName: "number"))
    var seed: UInt64?

    @Option(help: ArgumentHelp("Text that ends generation; repeatable.", valueName: "text"))
    var stop: [String] = []

    @Flag(inversion: .prefixedNo, help: "Take defaults and end tokens from the model's generation_config.json.")
    var generationConfig = true

    /// Whether an option is given that matters only when tokens are drawn.
    var shapesDrawing: Bool { topK != nil || topP != nil || minP != nil || seed != nil }

    func validate() throws {
        if maxNewTokens != nil, maxLength != nil {
            throw ValidationError("--max-new-tokens and --max-length cannot be combined")
        }
        do {
            try applied(to: GenerationOptions()).validate()
        } catch let error as InferenceError {
            throw ValidationError("\(error)")
        }
    }

    /// A model's options with those that were given in their place.
    func applied(to defaults: GenerationOptions) -> GenerationOptions {
        var options = defaults
        if let maxNewTokens { (options.maxNewTokens, options.maxLength) = (maxNewTokens, nil) }
        if let maxLength { (options.maxNewTokens, options.maxLength) = (.max, maxLength) }
        if let minNewTokens { (options.minNewTokens, options.minLength) = (minNewTokens, 0) }
        options.temperature = temperature ?? options.temperature
        options.topK = topK ?? options.topK
        options.topP = topP ?? options.topP
        options.minP = minP ?? options.minP
        options.repetitionPenalty = repetitionPenalty ?? options.repetitionPenalty
        options.seed = seed ?? options.seed
        if !stop.isEmpty { options.stopTexts = stop }
        return options
    }

    /// What is generated with, and where each value that is not an option's comes from.
    ///
    /// - Parameters:
    ///   - options: The options as applied.
    ///   - file: What the model's files say; nil when they are ignored.
    /// - Returns: One line.
    func summary(of options: GenerationOptions, _ file: GenerationConfiguration?) -> String {
        func value(_ text: String, given: Bool, stated: Bool) -> String {
            given ? text : "\(text) (\(stated ? file?.file ?? "" : "default"))"
        }
        let isStatedLength = file?.maxNewTokens != nil || file?.maxLength != nil
        let isGivenLength = maxNewTokens != nil || maxLength != nil
        let length =
            options.maxLength.map { "up to \($0) tokens with the prompt" } ?? "up to \(options.maxNewTokens) new tokens"
        var parts = [value(length, given: isGivenLength, stated: isStatedLength)]
        if options.temperature == 0 {
            parts.append(value("greedy", given: temperature != nil, stated: file?.samples != nil))
        } else {
            let isStated = file?.samples == true
            let heat = "temperature \(options.temperature)"
            parts.append(value(heat, given: temperature != nil, stated: isStated && file?.temperature != nil))
            parts.append(value("top-k \(options.topK)", given: topK != nil, stated: file?.topK != nil))
            parts.append(value("top-p \(options.topP)", given: topP != nil, stated: file?.topP != nil))
            if options.minP > 0 { parts.append(value("min-p \(options.minP)", given: minP != nil, stated: true)) }
            parts.append(value("seed \(options.seed)", given: seed != nil, stated: false))
        }
        if options.repetitionPenalty != 1 {
            let penalty = "repetition penalty \(options.repetitionPenalty)"
            parts.append(value(penalty, given: repetitionPenalty != nil, stated: true))
        }
        return "generating: " + (parts + rules(of: options, file)).joined(separator: ", ")
    }

    /// The rules that are not values of options, or only of some.
    private func rules(of options: GenerationOptions, _ file: GenerationConfiguration?) -> [String] {
        let rules = [
            ("min_new_tokens", options.minNewTokens > 0 && minNewTokens == nil), ("min_length", options.minLength > 0),
            ("stop_strings", !options.stopTexts.isEmpty && stop.isEmpty),
            ("suppress_tokens", !options.suppressedTokenIDs.isEmpty),
            ("begin_suppress_tokens", !options.firstSuppressedTokenIDs.isEmpty),
            ("bad_words_ids", !options.badWordsIDs.isEmpty), ("no_repeat_ngram_size", options.noRepeatNGramSize > 0),
        ]
        return rules.filter(\.1).map { "\($0.0) (\(file?.file ?? ""))" }
    }
}
