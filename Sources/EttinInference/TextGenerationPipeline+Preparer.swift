import EttinTokenizer

extension TextGenerationPipeline {
    /// Turns prompts into what a ``TextGenerationPipeline`` computes with, apart from its model.
    public struct Preparer: Sendable {
        /// Maximum number of tokens of prompt and continuation together: the context.
        public let context: Int
        private let preparation: TextPreparation
        /// For texts that hold their special tokens already.
        private let completePreparation: TextPreparation

        init(_ tokenizer: Tokenizer, context: Int) {
            self.context = context
            preparation = TextPreparation(tokenizer: tokenizer, limit: context - 1, isOpenEnded: true)
            completePreparation = TextPreparation(tokenizer: tokenizer, limit: context - 1, addsSpecialTokens: false)
        }

        /// Maximum number of prompt tokens: one fewer than the context.
        public var limit: Int { preparation.limit }

        /// Prepares prompts, on all threads, without the special tokens that the tokenizer puts behind a text.
        ///
        /// - Parameters:
        ///   - prompts: The texts to continue.
        ///   - overlong: What to do with prompts that leave no room for a token.
        /// - Returns: One value for each prompt, in order.
        /// - Throws: ``InferenceError`` for a prompt without tokens or one that is too long.
        public func prepare(_ prompts: [String], overlong: OverlongTextRule = .refuse) throws -> [PreparedText] {
            let prepared = try preparation.prepare(prompts, overlong: overlong)
            try requireTokens(prepared)
            return prepared
        }

        /// Prepares rendered chat templates, which hold all special tokens: none are added.
        ///
        /// - Parameters:
        ///   - texts: The texts to continue.
        ///   - overlong: What to do with texts that leave no room for a token.
        /// - Returns: One value for each text, in order.
        /// - Throws: ``InferenceError`` for a text without tokens or one that is too long.
        public func prepare(
            rendered texts: [String],
            overlong: OverlongTextRule = .refuse
        ) throws -> [PreparedText] {
            let prepared = try completePreparation.prepare(texts, overlong: overlong)
            try requireTokens(prepared)
            return prepared
        }

        func requireTokens(_ prompts: [PreparedText]) throws {
            guard let empty = prompts.firstIndex(where: \.tokenIDs.isEmpty) else { return }
            throw InferenceError.unsuitableText(
                number: empty + 1,
                found: "has no token",
                expected: "at least one token, as the tokenizer puts none in front"
            )
        }
    }
}
