import EttinTokenizer

/// A question with its context as the sequences that a model reads.
public struct PreparedQuestion: Sendable, Hashable {
    /// A question with a part of the context.
    public struct Window: Sendable, Hashable {
        /// The sequence.
        public let text: PreparedText
        /// Which of its tokens are of the context.
        public let tokens: Range<Int>
        /// Where each of these tokens lies in the context, in Unicode scalars.
        public let offsets: [Range<Int>]
    }

    /// The context.
    public let context: String
    /// One sequence, or several that overlap when the context is too long for one.
    public let windows: [Window]
}

extension QuestionAnsweringPipeline {
    /// Turns questions into what a ``QuestionAnsweringPipeline`` computes with, apart from its model.
    public struct Preparer: Sendable {
        private let preparation: TextPreparation
        private let template: TemplateTokens

        init(_ preparation: TextPreparation) {
            self.preparation = preparation
            template = TemplateTokens(preparation.tokenizer)
        }

        /// Maximum number of tokens per sequence, including special tokens.
        public var limit: Int { preparation.limit }

        /// Prepares questions, on all threads.
        ///
        /// - Parameters:
        ///   - inputs: Questions with their contexts.
        ///   - stride: Number of tokens that the windows over a context too long for the model share; nil for 128, or
        ///     less where a window has few.
        ///   - maxLength: Maximum number of tokens per window; nil for the model's.
        /// - Returns: One value for each input, in order.
        /// - Throws: ``InferenceError`` for a context of white space alone, a question that leaves no room for one, or an option out
        ///   of range.
        public func prepare(
            _ inputs: [Input],
            stride: Int? = nil,
            maxLength: Int? = nil
        ) throws -> [PreparedQuestion] {
            if let maxLength { try check("max-length", maxLength, in: 1...max(1, limit)) }
            let limit = min(limit, maxLength ?? .max)
            let (tokenizer, threads) = (preparation.tokenizer, preparation.threadCount)
            let questions = tokenizer.encodeIDsBatch(
                inputs.map(\.question),
                addSpecialTokens: false,
                threads: threads
            )
            let contexts = tokenizer.encodeBatch(inputs.map(\.context), addSpecialTokens: false, threads: threads)
            return try inputs.indices.map { index in
                let context = contexts[index]
                let isBlank = inputs[index].context.unicodeScalars.allSatisfy(\.properties.isWhitespace)
                guard context.count > 0, !isBlank else {
                    throw InferenceError.unsuitableText(
                        number: index + 1,
                        found: inputs[index].context.isEmpty ? "has an empty context" : "has a context without words",
                        expected: "a text that may hold the answer"
                    )
                }
                let front = template.front + questions[index] + template.middle
                let room = limit - front.count - template.back.count
                guard room > 0 else {
                    let tokens = front.count + template.back.count
                    throw InferenceError.noRoom(number: index + 1, tokens: tokens, limit: limit, for: "the context")
                }
                if let stride { try check("stride", stride, in: 0...room - 1) }
                let shared = stride ?? min(QuestionAnsweringPipeline.defaultStride, room / 2)
                let windows = TextWindows.ranges(context.count, size: room, stride: shared).map { range in
                    PreparedQuestion.Window(
                        text: PreparedText(front + context.ids[range] + template.back),
                        tokens: front.count..<front.count + range.count,
                        offsets: Array(context.offsets[range])
                    )
                }
                return PreparedQuestion(context: inputs[index].context, windows: windows)
            }
        }
    }
}
