import EttinModel
import EttinTokenizer
import TestSupport
import Testing
import Torch

@testable import EttinInference

@Suite struct TextClassificationPipelineTests {
    static let inputs: [TextClassificationPipeline.Input] = [
        "A cat sat on the mat.", .init("fox", textPair: "The lazy dog"), "",
        "The quick brown fox jumps over the lazy dog.",
    ]

    static func classifier(
        _ kind: ModelKind = .encoder,
        positions: Int = 64,
        labels: [String] = ["no", "maybe", "yes"],
        _ change: (inout ModernBERTConfiguration) -> Void = { _ in }
    ) throws -> TextClassificationPipeline {
        try TinyCheckpoint(SequenceClassificationModel.self, kind, positions: positions) {
            $0.labels = labels
            change(&$0)
        }.loaded { try TextClassificationPipeline(folder: $0) }
    }

    @Test(arguments: [(ProblemType?.none, 3), (.multiLabelClassification, 3), (.regression, 1), (nil, 1)])
    func theProblemDecidesHowLogitsBecomeScores(problem: ProblemType?, labelCount: Int) throws {
        let classifier = try Self.classifier(labels: (0..<labelCount).map { "l\($0)" }) { $0.problemType = problem }
        let prepared = try classifier.preparer.prepare(Self.inputs)
        for (logits, result) in zip(try classifier.logits(of: prepared), try classifier(Self.inputs)) {
            let logits = logits.map(Double.init)
            let expected =
                switch (problem, labelCount) {
                case (.regression, _): logits
                case (.multiLabelClassification, _), (_, 1): logits.map(sigmoid)
                default: softmax(logits.map { Float($0) })
                }
            #expect(result.labels.map(\.score) == expected.sorted(by: >))
            #expect(Set(result.labels.map(\.label)) == Set(classifier.labels))
        }
        let all = try classifier(Self.inputs)
        #expect(try classifier(Self.inputs, topK: 1).map(\.labels) == all.map { Array($0.labels.prefix(1)) })
        let raw = try classifier(Self.inputs, function: .identity)
        #expect(raw[0].labels.map(\.label) == all[0].labels.map(\.label))
    }

    @Test(arguments: ModelKind.allCases)
    func textsAndPairsKeepTheirPlaces(kind: ModelKind) throws {
        let classifier = try Self.classifier(kind)
        let tokenizer = classifier.tokenizer
        let prepared = try classifier.preparer.prepare(Self.inputs)
        #expect(prepared.map(\.tokenIDs) == Self.inputs.map { tokenizer.encodeIDs($0.text, pair: $0.textPair) })
        // As transformers reads it.
        let empty = try classifier.preparer.prepare([.init("fox", textPair: ""), .init("a", textPair: "b")])
        #expect(empty[0].tokenIDs == tokenizer.encodeIDs("fox"))
        let together = try classifier.logits(of: prepared)
        let alone = try prepared.map { try classifier.logits(of: [$0])[0] }
        for (one, other) in zip(together.joined(), alone.joined()) { #expect(abs(one - other) <= 1e-6) }
    }

    @Test(arguments: ModelKind.allCases, [ClassifierPooling.cls, .mean])
    func packedHeadsGiveTheLogitsOfTheModules(kind: ModelKind, pooling: ClassifierPooling) throws {
        let checkpoint = try TinyCheckpoint(SequenceClassificationModel.self, kind) {
            $0.labels = ["a", "b", "c"]
            $0.classifierPooling = pooling
            $0.classifierBias = true
            $0.classifierActivation = .silu
            $0.normBias = true
        }
        let batch = PackedBatch([[1, 20, 30, 2], [1, 40, 2]])
        let model = try SequenceClassificationModel.load(folder: checkpoint.folder.path)
        let expected: [Float] = try withoutGradients { try model(batch).array() }
        for (dtype, tolerance) in [(ComputeDType.float32, 0.00001), (.bfloat16, 0.15), (.int8, 0.5)] {
            let classifier = try checkpoint.loaded {
                try TextClassificationPipeline(folder: $0, options: ComputeOptions(dtype: dtype))
            }
            let logits: [Float] = try withoutGradients { try classifier.model(batch).to(.float32).array() }
            for (one, other) in zip(logits, expected) {
                #expect(Double(abs(one - other)) <= tolerance * Double(max(1, abs(other))), "\(dtype)")
            }
        }
    }

    @Test func inputsThatAreTooLongAreNumberedAmongAll() throws {
        let classifier = try Self.classifier(positions: 14)
        let long = String(repeating: "fox ", count: 20)
        let singles: [TextClassificationPipeline.Input] = ["a", .init(long)]
        let mixed: [TextClassificationPipeline.Input] = [.init("a", textPair: "b"), "b", .init("a", textPair: long)]
        for inputs in [singles, mixed] {
            #expect(message { _ = try classifier(inputs) }.hasPrefix("text \(inputs.count) has "))
            #expect(try classifier(inputs, overlong: .keepStart).last?.isTruncated == true)
        }
        #expect(message { _ = try classifier(["a"], topK: 0) } == "--top-k is 0; expected 1 or more")
    }

    @Test func aFolderOfAnotherKindIsRefused() throws {
        let text = message { _ = try TinyCheckpoint(.encoder).loaded { try TextClassificationPipeline(folder: $0) } }
        #expect(text.contains("is a masked language model"), "\(text)")
        #expect(text.contains("expected a classifier of texts"), "\(text)")
        let tagger = try TinyCheckpoint(TokenClassificationModel.self)
        let other = message { _ = try tagger.loaded { try TextClassificationPipeline(folder: $0) } }
        #expect(other.contains("is a token classifier"), "\(other)")
    }

    @Test func aLabelMapWithHolesIsRefused() throws {
        let checkpoint = try TinyCheckpoint(SequenceClassificationModel.self) { $0.labels = ["a", "b"] }
        let text = String(decoding: try checkpoint.folder.read("config.json"), as: UTF8.self)
        try checkpoint.folder.write(text.replacing("\"1\": \"b\"", with: "\"2\": \"b\""), "config.json")
        let error = message { _ = try checkpoint.loaded { try TextClassificationPipeline(folder: $0) } }
        #expect(error.contains("config.json: \"id2label\" has \"2\""), "\(error)")
        #expect(error.contains("ids from 0 to 1"), "\(error)")
    }

    // MARK: - Zero-shot

    private static let labels = ["cat", "fox", "sea"]

    @Test(arguments: [["contradiction", "neutral", "Entailment"], ["entailment", "neutral", "contradiction"]])
    func labelsAreHypothesesThatTextsEntail(nli: [String]) throws {
        let classifier = try Self.classifier(labels: nli)
        let texts = ["A cat sat on the mat.", "Once upon a time there was a fox."]
        let (entailment, contradiction) = nli[0] == "entailment" ? (0, 2) : (2, 0)
        for multiLabel in [false, true] {
            let results = try classifier.zeroShot(texts, candidateLabels: Self.labels, multiLabel: multiLabel)
            for (text, result) in zip(texts, results) {
                let prepared = try classifier.preparer.prepare(
                    Self.labels.map { .init(text, textPair: "This example is \($0).") }
                )
                let logits = try classifier.logits(of: prepared)
                let scores =
                    multiLabel
                    ? logits.map { softmax([$0[contradiction], $0[entailment]])[1] }
                    : softmax(logits.map { $0[entailment] })
                for label in result.labels {
                    let index = try #require(Self.labels.firstIndex(of: label.label))
                    #expect(abs(label.score - scores[index]) < 1e-6)
                }
                #expect(result.labels.map(\.score) == result.labels.map(\.score).sorted(by: >))
                if !multiLabel { #expect(abs(result.labels.reduce(0) { $0 + $1.score } - 1) < 1e-9) }
            }
        }
        // A single label is scored alone.
        let single = try classifier.zeroShot(texts, candidateLabels: ["cat"])
        #expect(single.allSatisfy { $0.labels[0].score < 1 })
    }

    @Test func hypothesesAreNeverTruncated() throws {
        let classifier = try Self.classifier(positions: 24, labels: ["entailment", "contradiction"])
        let long = String(repeating: "The fox sat. ", count: 20)
        let error = message { _ = try classifier.zeroShot(["fox", long], candidateLabels: ["cat", "sea"]) }
        #expect(error.hasPrefix("text 2 has "), "\(error)")
        let hypothesis = "It is {}."
        let prepared = try classifier.preparer.prepare(
            [long],
            candidateLabels: ["cat"],
            hypothesisTemplate: hypothesis,
            overlong: .keepStart
        )[0].texts[0]
        let tail = classifier.tokenizer.encodeIDs("It is cat.", addSpecialTokens: false) + [2]
        #expect(prepared.tokenIDs.count == 24 && prepared.isTruncated)
        #expect(prepared.tokenIDs.suffix(tail.count) == tail[...])
        // Where the hypothesis alone is too long, nothing is left to truncate.
        let label = String(repeating: "lazy dog ", count: 9)
        let text = message {
            _ = try classifier.zeroShot(["fox", long], candidateLabels: ["cat", label], overlong: .keepStart)
        }
        #expect(text.hasPrefix("text 1 has ") && text.hasSuffix("fewer than 24, to leave room for the text"), "\(text)")
        // What the model refuses is numbered by texts, not by hypotheses.
        let whole = PreparedText([1, 20, 2])
        let foreign = [whole, PreparedText([9999])].map { PreparedZeroShot(labels: ["a", "b"], texts: [whole, $0]) }
        #expect(message { _ = try classifier.zeroShotResults(for: foreign) }.hasPrefix("text 2 has token 9999"))
    }

    @Test func zeroShotNeedsALabelForEntailmentAndAPlaceForLabels() throws {
        let error = message { _ = try Self.classifier().zeroShot(["fox"], candidateLabels: ["cat"]) }
        #expect(error.contains("none of the labels no, maybe, yes is for entailment"), "\(error)")
        let classifier = try Self.classifier(labels: ["entailment", "contradiction"])
        #expect(
            message { _ = try classifier.zeroShot(["fox"], candidateLabels: []) }
                == "--labels is empty; expected labels separated by commas"
        )
        #expect(
            message { _ = try classifier.zeroShot(["fox"], candidateLabels: ["a"], hypothesisTemplate: "It is.") }
                == "--hypothesis-template is \"It is.\"; expected a sentence with {} in the label's place"
        )
    }
}
