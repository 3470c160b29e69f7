import EttinModel
import EttinTokenizer

extension RerankingPipeline {
    /// Turns pairs of texts into what a ``RerankingPipeline`` computes with, apart from its model.
    public struct Preparer: Sendable {
        private var pairs: PairPreparation
        private let prompts: PromptTexts

        init(_ preparation: TextPreparation, settings: EmbeddingSettings) {
            pairs = PairPreparation(preparation)
            prompts = PromptTexts(prompts: settings.prompts, defaultName: settings.defaultPromptName)
        }

        /// Maximum number of tokens per pair, including special tokens.
        public var limit: Int { pairs.limit }

        /// The same with a lower limit.
        ///
        /// - Parameter limit: Maximum number of tokens per pair, including special tokens.
        /// - Returns: A preparer whose ``limit`` is the lower of the two.
        package func limited(to limit: Int) -> Preparer {
            var preparer = self
            preparer.pairs.limit = min(limit, self.limit)
            return preparer
        }

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
            let text = try prompts.text(of: prompt, for: nil)
            guard !text.isEmpty else { return try self.pairs.prepare(pairs, overlong: overlong) }
            return try self.pairs.prepare(pairs.map { TextPair(text + $0.first, $0.second) }, overlong: overlong)
        }
    }
}
