import EttinTokenizer

extension TextClassificationPipeline {
    /// Turns texts into what a ``TextClassificationPipeline`` computes with, apart from its model.
    public struct Preparer: Sendable {
        private let preparation: TextPreparation
        private let pairs: PairPreparation

        init(_ preparation: TextPreparation) {
            self.preparation = preparation
            pairs = PairPreparation(preparation)
        }

        /// Maximum number of tokens per input, including special tokens.
        public var limit: Int { preparation.limit }

        /// The same for inputs of fewer tokens.
        ///
        /// - Parameter count: Maximum number of tokens per input, including special tokens.
        /// - Returns: A preparer whose ``limit`` is that, or the model's where it is lower.
        package func limited(to count: Int) -> Preparer { Preparer(preparation.limited(to: count)) }

        /// Prepares texts and pairs of texts, on all threads.
        ///
        /// - Parameters:
        ///   - inputs: The inputs.
        ///   - overlong: What to do with inputs that are too long; of a pair the longer text gives tokens up first.
        /// - Returns: One value for each input, in order.
        /// - Throws: ``InferenceError`` for an input that is too long.
        public func prepare(_ inputs: [Input], overlong: OverlongTextRule = .refuse) throws -> [PreparedText] {
            let singles = inputs.indices.filter { inputs[$0].textPair?.isEmpty != false }
            guard singles.count < inputs.count else {
                return try preparation.prepare(inputs.map(\.text), overlong: overlong)
            }
            var prepared = [PreparedText?](repeating: nil, count: inputs.count)
            try InferenceError.numbering({ singles[$0 - 1] + 1 }) {
                let texts = try preparation.prepare(singles.map { inputs[$0].text }, overlong: overlong)
                for (index, text) in zip(singles, texts) { prepared[index] = text }
            }
            let others = inputs.indices.filter { inputs[$0].textPair?.isEmpty == false }
            try InferenceError.numbering({ others[$0 - 1] + 1 }) {
                let given = others.map { TextPair(inputs[$0].text, inputs[$0].textPair ?? "") }
                let texts = try pairs.prepare(given, overlong: overlong)
                for (index, text) in zip(others, texts) { prepared[index] = text }
            }
            return prepared.compactMap(\.self)
        }

        /// Prepares pairs of texts, empty ones among them, on all threads.
        ///
        /// - Parameters:
        ///   - pairs: The pairs.
        ///   - overlong: What to do with pairs that are too long: the longer text gives tokens up first.
        /// - Returns: One value for each pair, in order.
        /// - Throws: ``InferenceError`` for a pair that is too long.
        package func prepare(pairs: [TextPair], overlong: OverlongTextRule) throws -> [PreparedText] {
            try self.pairs.prepare(pairs, overlong: overlong)
        }

        /// Prepares the hypotheses that texts are about labels, on all threads.
        ///
        /// - Parameters:
        ///   - texts: The texts.
        ///   - candidateLabels: The labels; at least one.
        ///   - hypothesisTemplate: A sentence with `{}` in the label's place.
        ///   - overlong: What to do with texts that are too long beside a hypothesis; hypotheses are never truncated.
        /// - Returns: One value for each text, in order.
        /// - Throws: ``InferenceError`` for a text that is too long, a hypothesis that leaves no room for one, no
        ///   labels, or a template without a place for them.
        public func prepare(
            _ texts: [String],
            candidateLabels: [String],
            hypothesisTemplate: String = TextClassificationPipeline.defaultHypothesisTemplate,
            overlong: OverlongTextRule = .refuse
        ) throws -> [PreparedZeroShot] {
            guard !candidateLabels.isEmpty, candidateLabels.allSatisfy({ !$0.isEmpty }) else {
                throw InferenceError.invalidOption(
                    name: "labels",
                    found: candidateLabels.isEmpty ? "empty" : "a list with an empty label",
                    expected: "labels separated by commas"
                )
            }
            guard hypothesisTemplate.contains("{}") else {
                throw InferenceError.invalidOption(
                    name: "hypothesis-template",
                    found: "\"\(hypothesisTemplate)\"",
                    expected: "a sentence with {} in the label's place"
                )
            }
            let hypotheses = candidateLabels.map { label in
                hypothesisTemplate.split(separator: "{}", omittingEmptySubsequences: false).joined(separator: label)
            }
            let count = hypotheses.count
            let inputs = texts.flatMap { text in hypotheses.map { TextPair(text, $0) } }
            let prepared = try InferenceError.numbering({ ($0 - 1) / count + 1 }) {
                try pairs.prepare(inputs, overlong: overlong, truncating: .onlyFirst)
            }
            return texts.indices.map { index in
                PreparedZeroShot(labels: candidateLabels, texts: Array(prepared[index * count..<(index + 1) * count]))
            }
        }
    }
}
