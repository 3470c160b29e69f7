import EttinModel
import EttinTokenizer

extension TextEmbeddingPipeline {
    /// Turns texts into what a ``TextEmbeddingPipeline`` computes with, apart from its model.
    public struct Preparer: Sendable {
        private let preparation: TextPreparation
        private let prompts: [String: String]
        private let defaultPromptName: String?
        private let includesPrompt: Bool

        init(preparation: TextPreparation, settings: EmbeddingSettings, includesPrompt: Bool) {
            self.preparation = preparation
            prompts = settings.prompts
            defaultPromptName = settings.defaultPromptName
            self.includesPrompt = includesPrompt
        }

        /// Maximum number of tokens per text, including special tokens.
        public var limit: Int { preparation.limit }

        /// Prepares texts, on all threads.
        ///
        /// - Parameters:
        ///   - texts: The texts; an empty one is only its special tokens.
        ///   - prompt: What to put before each text.
        ///   - overlong: What to do with texts that are too long.
        /// - Returns: One value for each text, in order.
        /// - Throws: ``InferenceError`` for a text that is too long or a prompt that does not exist.
        public func prepare(
            _ texts: [String],
            prompt: Prompt = .default,
            overlong: OverlongTextRule = .refuse
        ) throws -> [PreparedText] {
            let promptText = try text(of: prompt)
            guard !promptText.isEmpty else { return try preparation.prepare(texts, overlong: overlong) }
            let prepared = try preparation.prepare(texts.map { promptText + $0 }, overlong: overlong)
            let count = includesPrompt ? 0 : countOfPromptTokens(promptText)
            return prepared.map {
                PreparedText($0.tokenIDs, isTruncated: $0.isTruncated, promptTokenCount: count)
            }
        }

        private func text(of prompt: Prompt) throws -> String {
            let name: String
            switch prompt {
            case .none: return ""
            case .text(let text): return text
            case .named(let given): name = given
            case .default:
                guard let given = defaultPromptName else { return "" }
                name = given
            }
            guard let text = prompts[name] else {
                let known = prompts.keys.sorted()
                throw InferenceError.invalidOption(
                    name: "prompt-name",
                    found: "\"\(name)\"",
                    expected: known.isEmpty ? "none, as the model has no prompts" : known.joined(separator: ", ")
                )
            }
            return text
        }

        /// The tokens of the prompt alone, with the special ones in front but not those behind.
        ///
        /// > Source: sentence-transformers, `SentenceTransformer._get_prompt_length`.
        private func countOfPromptTokens(_ prompt: String) -> Int {
            let ids = preparation.tokenizer.encodeIDs(prompt)
            return ids.count - (ids.last.map(preparation.tokenizer.isSpecial) == true ? 1 : 0)
        }
    }
}
