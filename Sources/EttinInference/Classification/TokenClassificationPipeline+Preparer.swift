import EttinTokenizer

extension TokenClassificationPipeline {
    /// Turns texts into what a ``TokenClassificationPipeline`` computes with, apart from its model.
    public struct Preparer: Sendable {
        private let preparation: TextPreparation
        private let template: TemplateTokens
        /// What the tokenizer puts before a single text and behind it.
        private let front, back: [Int32]

        init(_ preparation: TextPreparation) {
            self.preparation = preparation
            template = TemplateTokens(preparation.tokenizer)
            let encoding = preparation.tokenizer.encode("a")
            let mask = encoding.specialTokensMask
            front = Array(encoding.ids.prefix(mask.prefix { $0 }.count))
            back = Array(encoding.ids.suffix(mask.reversed().prefix { $0 }.count))
        }

        /// Maximum number of tokens per sequence, including special tokens.
        public var limit: Int { preparation.limit }

        /// Prepares texts, on all threads.
        ///
        /// - Parameters:
        ///   - texts: The texts.
        ///   - stride: When given, texts that are too long become windows that share so many tokens.
        ///   - overlong: What to do with texts that are too long without windows.
        /// - Returns: One value for each text, in order.
        /// - Throws: ``InferenceError`` for a text that is too long, and for a stride that windows cannot have.
        public func prepare(
            _ texts: [String],
            stride: Int? = nil,
            overlong: OverlongTextRule = .refuse
        ) throws -> [PreparedTagging] {
            let room = max(0, limit - front.count - back.count)
            if let stride { try check("stride", stride, in: 0...max(0, room - 1)) }
            return try encoded(texts).enumerated().map { index, encoding in
                let count = encoding.count
                var ranges = [0..<count]
                if count > room {
                    if let stride, room > 0 {
                        let fromEnd = preparation.tokenizer.truncatesLeft
                        ranges = TextWindows.ranges(count, size: room, stride: stride, fromEnd: fromEnd)
                    } else if room == 0 {
                        let tokens = front.count + back.count
                        throw InferenceError.noRoom(number: index + 1, tokens: tokens, limit: limit, for: "the text")
                    } else if overlong == .refuse {
                        let tokens = count + front.count + back.count
                        throw InferenceError.overlongText(number: index + 1, tokens: tokens, limit: limit)
                    } else {
                        ranges = [overlong == .keepStart ? 0..<room : count - room..<count]
                    }
                }
                let isTruncated = ranges.count == 1 && ranges[0].count < count
                return PreparedTagging(
                    source: texts[index],
                    windows: ranges.map { window(front, encoding, $0, back, isTruncated: isTruncated) }
                )
            }
        }

        /// Prepares answers with what they were drawn from, on all threads.
        ///
        /// - Parameters:
        ///   - answers: The answers.
        ///   - overlong: What to do with inputs that are too long; the context gives tokens up.
        /// - Returns: One value for each answer, in order.
        /// - Throws: ``InferenceError`` for an input that is too long, or whose answer and question alone are.
        public func prepare(
            _ answers: [GroundedAnswer],
            overlong: OverlongTextRule = .refuse
        ) throws -> [PreparedTagging] {
            let tokenizer = preparation.tokenizer
            let others = tokenizer.encodeIDsBatch(
                answers.map(\.context) + answers.map { $0.question ?? "" },
                addSpecialTokens: false,
                threads: preparation.threadCount
            )
            return try encoded(answers.map(\.answer)).enumerated().map { index, encoding in
                var context = others[index][...]
                let hasQuestion = answers[index].question != nil
                let question = hasQuestion ? template.middle + others[answers.count + index] : []
                let rest = template.count + question.count + encoding.count
                let isTruncated = rest + context.count > limit
                if isTruncated {
                    guard rest < limit else {
                        throw InferenceError.noRoom(number: index + 1, tokens: rest, limit: limit, for: "the context")
                    }
                    guard overlong != .refuse else {
                        let tokens = rest + context.count
                        throw InferenceError.overlongText(number: index + 1, tokens: tokens, limit: limit)
                    }
                    context = overlong == .keepStart ? context.prefix(limit - rest) : context.suffix(limit - rest)
                }
                let front = template.front + context + question + template.middle
                return PreparedTagging(
                    source: answers[index].answer,
                    windows: [window(front, encoding, 0..<encoding.count, template.back, isTruncated: isTruncated)]
                )
            }
        }

        private func encoded(_ texts: [String]) -> [Encoding] {
            preparation.tokenizer.encodeBatch(texts, addSpecialTokens: false, threads: preparation.threadCount)
        }

        private func window(
            _ front: [Int32],
            _ encoding: Encoding,
            _ range: Range<Int>,
            _ back: [Int32],
            isTruncated: Bool
        ) -> PreparedTagging.Window {
            PreparedTagging.Window(
                text: PreparedText(front + encoding.ids[range] + back, isTruncated: isTruncated),
                tokens: front.count..<front.count + range.count,
                offsets: Array(encoding.offsets[range])
            )
        }
    }
}
