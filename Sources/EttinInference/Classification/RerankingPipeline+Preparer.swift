import EttinModel
import EttinTokenizer

extension RerankingPipeline {
    /// Turns pairs of texts into what a ``RerankingPipeline`` computes with, apart from its model.
    public struct Preparer: Sendable {
        private let pairs: PairPreparation
        private let settings: EmbeddingSettings

        init(_ preparation: TextPreparation, settings: EmbeddingSettings) {
            pairs = PairPreparation(preparation)
            self.settings = settings
        }

        /// Maximum number of tokens per pair, including special tokens.
        public var limit: Int { pairs.limit }

        /// Prepares pairs, on all threads.
        ///
        /// - Parameters:
        ///   - pairs: Queries with documents.
        ///   - prompt: What to put before the first text of each pair.
        ///   - overlong: What to do with pairs that are too long: the longer text gives tokens up first.
        /// - Returns: One value for each pair, in order.
        /// - Throws: ``InferenceError`` for a pair that is too long or a prompt that does not exist.
        public func prepare(
            _ pairs: [TextPair],
            prompt: Prompt = .default,
            overlong: OverlongTextRule = .refuse
        ) throws -> [PreparedText] {
            let text = try settings.text(of: prompt)
            guard !text.isEmpty else { return try self.pairs.prepare(pairs, overlong: overlong) }
            return try self.pairs.prepare(pairs.map { TextPair(text + $0.first, $0.second) }, overlong: overlong)
        }
    }
}

extension EmbeddingSettings {
    /// The text of a prompt, empty for none.
    ///
    /// - Throws: ``InferenceError`` for a name that no prompt of the folder has.
    func text(of prompt: TextEmbeddingPipeline.Prompt) throws -> String {
        let name: String
        switch prompt {
        case .none: return ""
        case .text(let text): return text
        case .named(let given): name = given
        case .default:
            guard let given = defaultPromptName else { return "" }
            name = given
        }
        if let text = prompts[name] { return text }
        let known = prompts.keys.sorted()
        throw InferenceError.invalidOption(
            name: "prompt-name",
            found: "\"\(name)\"",
            expected: known.isEmpty ? "none, as the model has no prompts" : known.joined(separator: ", ")
        )
    }
}
