import ArgumentParser
import EttinInference

/// How tokens are chosen and when generation ends.
struct SamplingOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: ArgumentHelp("The most tokens to generate.", valueName: "count"))
    var maxNewTokens: Int?

    @Option(parsing: .unconditional, help: ArgumentHelp("How evenly tokens are drawn; 0 takes the most probable."))
    var temperature: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Draw among so many most probable tokens; 0 for all.", valueName: "count")
    )
    var topK: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Draw among the tokens that make up this probability.", valueName: "probability")
    )
    var topP: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Above 1, makes tokens that occurred less probable.", valueName: "factor")
    )
    var repetitionPenalty: Double?

    @Option(help: ArgumentHelp("The seed of the draws.", valueName: "number"))
    var seed: UInt64?

    @Option(help: ArgumentHelp("A text that ends generation; may be repeated.", valueName: "text"))
    var stop: [String] = []

    /// Whether an option is given that matters only when tokens are drawn.
    var shapesDrawing: Bool { topK != nil || topP != nil || seed != nil }

    func validate() throws {
        do {
            try applied(to: GenerationOptions()).validate()
        } catch InferenceError.invalidOption(let name, let found, let expected) {
            throw ValidationError("--\(name) is \(found); expected \(expected)")
        }
    }

    /// A model's options with those that were given in their place.
    func applied(to defaults: GenerationOptions) -> GenerationOptions {
        var options = defaults
        options.maxNewTokens = maxNewTokens ?? options.maxNewTokens
        options.temperature = temperature ?? options.temperature
        options.topK = topK ?? options.topK
        options.topP = topP ?? options.topP
        options.repetitionPenalty = repetitionPenalty ?? options.repetitionPenalty
        options.seed = seed ?? options.seed
        if !stop.isEmpty { options.stopTexts = stop }
        return options
    }
}
