import EttinModel
import EttinTokenizer
import TestSupport
import Testing
import Torch

@testable import EttinInference

@Suite struct QuestionAnsweringPipelineTests {
    static let context = "A cat sat on the mat; the dog sat on the cat. The quick brown fox jumps over the lazy dog."

    static func pipeline(positions: Int = 64) throws -> QuestionAnsweringPipeline {
        try TinyCheckpoint(QuestionAnsweringModel.self, positions: positions)
            .loaded { try QuestionAnsweringPipeline(folder: $0) }
    }

    /// All spans of a window, from the logits.
    private func spans(
        _ window: PreparedQuestion.Window,
        _ logits: [Float],
        longest: Int
    ) -> [(characters: Range<Int>, score: Double, logit: Double)] {
        let rows = [0] + window.tokens
        let starts = softmax(rows.map { logits[2 * $0] })
        let ends = softmax(rows.map { logits[2 * $0 + 1] })
        return window.tokens.indices.flatMap { first in
            (first..<min(first + longest, window.tokens.upperBound)).map { last in
                let (start, end) = (first - window.tokens.lowerBound, last - window.tokens.lowerBound)
                return (
                    window.offsets[start].lowerBound..<window.offsets[end].upperBound,
                    starts[start + 1] * ends[end + 1], Double(logits[2 * first]) + Double(logits[2 * last + 1])
                )
            }
        }
    }

    @Test func theAnswerIsTheSpanWithTheLargestLogits() throws {
        let pipeline = try Self.pipeline()
        let input = QuestionAnsweringPipeline.Input("Who sat?", context: Self.context)
        let prepared = try pipeline.preparer.prepare([input])
        #expect(prepared[0].windows.count == 1)
        #expect(
            prepared[0].windows[0].text.tokenIDs == pipeline.tokenizer.encodeIDs("Who sat?", pair: Self.context)
        )
        let logits = try pipeline.logits(of: [prepared[0].windows[0].text])[0]
        for longest in [1, 4, 100] {
            let best = try #require(spans(prepared[0].windows[0], logits, longest: longest).max { $0.logit < $1.logit })
            let answer = try pipeline.results(for: prepared, maxAnswerLength: longest)[0].answers[0]
            #expect(answer.logit == best.logit && abs(answer.score - best.score) < 1e-9)
            #expect(best.characters.contains(answer.start) && answer.end <= best.characters.upperBound)
            #expect(answer.text == String(Self.context[answer.range]))
            #expect(answer.text.first != " " && answer.text.last != " ")
        }
    }

    @Test func furtherAnswersDifferAndDescend() throws {
        let pipeline = try Self.pipeline()
        let input = QuestionAnsweringPipeline.Input("Who sat?", context: Self.context)
        let answers = try pipeline([input], topK: 6)[0].answers
        #expect(answers.count == 6 && Set(answers.map(\.range)).count == 6)
        #expect(answers.map(\.score) == answers.map(\.score).sorted(by: >))
        #expect(try pipeline([input])[0].answers == [answers[0]])
        let withNone = try pipeline([input], topK: 10_000, handlesImpossibleAnswer: true)[0].answers
        #expect(withNone.count { $0.text.isEmpty && $0.start == 0 && $0.end == 0 } == 1)
    }

    @Test func longContextsAreReadInWindows() throws {
        let pipeline = try Self.pipeline(positions: 28)
        let question = "Who sat?"
        let prepared = try pipeline.preparer.prepare([.init(question, context: Self.context)], stride: 4)[0]
        #expect(prepared.windows.count > 1)
        func ids(_ text: String) -> [Int32] { pipeline.tokenizer.encodeIDs(text, addSpecialTokens: false) }
        let front: [Int32] = [1] + ids(question) + [2]
        let room = 28 - front.count - 1
        for (index, window) in prepared.windows.enumerated() {
            let part = ids(Self.context).dropFirst(index * (room - 4)).prefix(room)
            let expected: [Int32] = front + Array(part) + [2]
            #expect(window.text.tokenIDs == expected)
        }
        let logits = try pipeline.logits(of: prepared.windows.map(\.text))
        let best = try #require(
            zip(prepared.windows, logits).flatMap { spans($0, $1, longest: 15) }.max { $0.score < $1.score }
        )
        let answer = try pipeline.results(for: [prepared])[0].answers[0]
        #expect(abs(answer.score - best.score) < 1e-9)
        #expect(
            message { _ = try pipeline([.init(question, context: Self.context)], stride: room) }
                == "--stride is \(room); expected 0 to \(room - 1)"
        )
        let short = try pipeline.preparer.prepare([.init(question, context: Self.context)], maxLength: 20)[0]
        #expect(short.windows.allSatisfy { $0.text.tokenIDs.count <= 20 })
        #expect(short.windows.count > prepared.windows.count)
    }

    @Test(arguments: [ComputeDType.float32, .bfloat16, .int8])
    func aQuestionAloneIsAnsweredAsInABatch(dtype: ComputeDType) throws {
        let pipeline = try TinyCheckpoint(QuestionAnsweringModel.self)
            .loaded { try QuestionAnsweringPipeline(folder: $0, options: ComputeOptions(dtype: dtype)) }
        let inputs = ["Who sat?", "", "What does the fox jump over?"].map {
            QuestionAnsweringPipeline.Input($0, context: Self.context)
        }
        let together = try pipeline(inputs)
        for (input, result) in zip(inputs, together) {
            let alone = try pipeline([input])[0].answers[0]
            #expect(abs(alone.score - result.answers[0].score) <= 1e-6 && alone.range == result.answers[0].range)
        }
    }

    @Test func withoutACharacterInAnyTokenTheAnswerIsEmpty() {
        var search = AnswerSearch(topK: 3, maxLength: 4)
        let window = PreparedQuestion.Window(text: PreparedText([1, 5, 2]), tokens: 1..<2, offsets: [0..<1])
        search.add(window, startsAndEnds: [0, 0, 1, 1, 0, 0], TextCharacters(" "))
        #expect(search.best(handlesImpossibleAnswer: false).map(\.characters) == [0..<0])
    }

    @Test func whatHoldsNoAnswerIsRefused() throws {
        let pipeline = try Self.pipeline(positions: 16)
        #expect(
            message { _ = try pipeline([.init("Who?", context: "a"), .init("Who?", context: "")]) }
                == "text 2 has an empty context; expected a text that may hold the answer"
        )
        let long = String(repeating: "Who sat on the mat? ", count: 5)
        let tooLong = message { _ = try pipeline([.init("Who?", context: "a"), .init(long, context: "a")]) }
        #expect(tooLong.hasPrefix("text 2 has ") && tooLong.hasSuffix("fewer than 16, to leave room for the context"))
        #expect(
            message { _ = try pipeline([.init("Who?", context: " \n")]) }
                == "text 1 has a context without words; expected a text that may hold the answer"
        )
        #expect(
            message { _ = try pipeline([.init("Who?", context: "a")], topK: 0) } == "--top-k is 0; expected 1 or more"
        )
        #expect(
            message { _ = try pipeline([.init("Who?", context: "a")], maxAnswerLength: 0) }
                == "--max-answer-length is 0; expected 1 or more"
        )
        let text = message { _ = try TinyCheckpoint(.encoder).loaded { try QuestionAnsweringPipeline(folder: $0) } }
        #expect(text.contains("expected a question-answering model"), "\(text)")
    }
}
