import EttinModel
import EttinTokenizer
import TestSupport
import Testing
import Torch

@testable import EttinInference

@Suite struct MultipleChoicePipelineTests {
    static let inputs: [MultipleChoicePipeline.Input] = [
        .init("The quick fox", choices: ["jumps.", "sat on the mat with the lazy dog."]),
        .init("A cat", choices: ["sea", "fox", "The dog sat."]),
    ]

    @Test(arguments: [(ComputeDType.float32, 1e-5), (.bfloat16, 0.1), (.int8, 0.5)])
    func choicesAreScoredBesideTheirPrompt(dtype: ComputeDType, tolerance: Double) throws {
        let checkpoint = try TinyCheckpoint(MultipleChoiceModel.self) { $0.classifierPooling = .mean }
        let pipeline = try checkpoint.loaded {
            try MultipleChoicePipeline(folder: $0, options: ComputeOptions(dtype: dtype))
        }
        let model = try MultipleChoiceModel.load(folder: checkpoint.folder.path)
        let results = try pipeline(Self.inputs)
        for (input, result) in zip(Self.inputs, results) {
            let ids = input.choices.map { checkpoint.tokenizer.encodeIDs(input.prompt, pair: $0) }
            let logits: [Float] = try withoutGradients { try model(PackedBatch(ids)).array() }
            for (one, other) in zip(result.logits, logits) {
                #expect(abs(one - Double(other)) <= tolerance * max(1, abs(one)), "\(dtype)")
            }
            #expect(abs(result.scores.reduce(0, +) - 1) < 1e-9)
            #expect(result.scores[result.choice] == result.scores.max())
            let alone = try pipeline([input])[0]
            for (one, other) in zip(alone.logits, result.logits) { #expect(abs(one - other) <= 1e-6) }
        }
    }

    @Test func fewerThanTwoChoicesAreRefused() throws {
        let pipeline = try TinyCheckpoint(MultipleChoiceModel.self).loaded { try MultipleChoicePipeline(folder: $0) }
        #expect(
            message { _ = try pipeline(Self.inputs + [.init("fox", choices: ["a"])]) }
                == "text 3 has one choice; expected at least two"
        )
        let text = message { _ = try TinyCheckpoint(.encoder).loaded { try MultipleChoicePipeline(folder: $0) } }
        #expect(text.contains("expected a multiple-choice model"), "\(text)")
    }

    /// A tokenizer without a template gives no token for an empty prompt with an empty choice.
    @Test func aPromptAndChoiceWithoutATokenAreRefused() throws {
        let pipeline = try TinyCheckpoint(MultipleChoiceModel.self).loaded { try MultipleChoicePipeline(folder: $0) }
        let text = PreparedText([1, 20, 2])
        let inputs = [
            MultipleChoicePipeline.Prepared(choices: [text, text]), .init(choices: [text, PreparedText([]), text]),
        ]
        #expect(message { _ = try pipeline.results(for: inputs) } == "text 2 has no token; expected at least one")
    }

    @Test func aChoiceThatIsTooLongIsNumberedByItsPrompt() throws {
        let pipeline = try TinyCheckpoint(MultipleChoiceModel.self, positions: 24)
            .loaded { try MultipleChoicePipeline(folder: $0) }
        let long = String(repeating: "fox ", count: 40)
        let inputs = [MultipleChoicePipeline.Input("a", choices: ["b", "c"]), .init("a", choices: ["b", long])]
        #expect(message { _ = try pipeline(inputs) }.hasPrefix("text 2 has "))
        #expect(try pipeline(inputs, overlong: .keepStart).map(\.isTruncated) == [false, true])
    }
}
