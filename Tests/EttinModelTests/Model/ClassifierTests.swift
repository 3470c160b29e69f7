import TestSupport
import Testing
import Torch

@testable import EttinModel

@Suite struct ClassifierTests {
    static func configuration(_ kind: ModelKind, _ pooling: ClassifierPooling = .cls) -> ModernBERTConfiguration {
        var result = WeightInitializationTests.configuration(kind)
        result.classifierPooling = pooling
        result.labels = ["no", "maybe", "yes"]
        return result
    }

    static let batch = PackedBatch([[5, 6, 7, 8], [9], [10, 11, 12]])

    @Test(arguments: ClassifierPooling.allCases)
    func anEncoderClassifiesItsPooledHiddenStates(pooling: ClassifierPooling) throws {
        let model = SequenceClassificationModel(Self.configuration(.encoder, pooling))
        model.initialize(.transformers, seed: 1)
        try withoutGradients {
            let hidden = model.model(Self.batch).pooled(Self.batch, by: pooling == .cls ? .cls : .mean)
            let scores = model(Self.batch)
            #expect(scores.shape == [3, 3])
            let isEqual = try scores.isEqual(to: model.head.classifier(model.head.prediction(hidden)))
            #expect(isEqual)
        }
    }

    @Test func aDecoderClassifiesTheLastTokenThatIsNotPadding() throws {
        let model = SequenceClassificationModel(Self.configuration(.decoder))
        model.initialize(.transformers, seed: 1)
        #expect(!model.parameters.contains { $0.key == "classifier.bias" })
        try withoutGradients {
            let padded = model(PackedBatch([[5, 6, 7, 1, 1], [1, 1]]))
            let first = model(PackedBatch([[5, 6, 7]]))
            let onlyPads = model(PackedBatch([[1]]))
            let expected = Tensor.concatenate([first, onlyPads])
            let difference = try (padded - expected).absolute().max().scalar()
            #expect(difference < 1e-6)
        }
    }

    @Test func questionAnsweringLossIgnoresPositionsBeyondTheSequence() throws {
        let model = QuestionAnsweringModel(Self.configuration(.encoder))
        model.initialize(.transformers, seed: 1)
        try withoutGradients {
            let scores = model(Self.batch)
            #expect(scores.start.shape == [8] && scores.end.shape == [8])
            let loss = try model.loss(Self.batch, starts: [2, 99, 0], ends: [3, 0, 99]).scalar()
            func entropy(_ column: Tensor, _ from: Int, _ count: Int, _ label: Int) throws -> Double {
                let values = column.narrowed(along: 0, from: from, count: count).logSoftmax(along: 0)
                return -Double(try values.array(of: Float.self)[label])
            }
            let start = try (entropy(scores.start, 0, 4, 2) + entropy(scores.start, 5, 3, 0)) / 2
            let end = try (entropy(scores.end, 0, 4, 3) + entropy(scores.end, 4, 1, 0)) / 2
            #expect(abs(loss - (start + end) / 2) < 1e-5)
        }
    }

    @Test(arguments: ClassifierPooling.allCases)
    func choicesAreScoredByThePooledHead(pooling: ClassifierPooling) throws {
        let model = MultipleChoiceModel(Self.configuration(.encoder, pooling))
        model.initialize(.transformers, seed: 1)
        let batch = PackedBatch([[5, 6, 7, 8], [9], [10, 11, 12], [5, 9]])
        try withoutGradients {
            let logits = model(batch)
            #expect(logits.shape == [4])
            let hidden = model.model(batch).pooled(batch, by: pooling == .cls ? .cls : .mean)
            #expect(try logits.isEqual(to: model.head.classifier(model.head.prediction(hidden)).reshaped(-1)))
            let loss = try model.loss(batch, choiceCount: 2, labels: [1, 0]).scalar()
            let rows = logits.reshaped(2, 2).logSoftmax(along: 1)
            let values = try rows.array(of: Float.self)
            #expect(abs(loss + Double(values[1] + values[2]) / 2) < 1e-6)
        }
    }

    @Test func mixedPrecisionScoresAreNearAndFloat32() throws {
        func check(_ exact: Tensor, _ mixed: Tensor) throws {
            #expect(exact.dtype == .float32 && mixed.dtype == .float32 && exact.shape == mixed.shape)
            let difference = try (exact - mixed).absolute().max().scalar() / exact.absolute().max().scalar()
            #expect(difference > 0 && difference < 0.05, "\(difference)")
        }
        let pass = DropoutContext()
        for kind in ModelKind.allCases {
            let model = SequenceClassificationModel(Self.configuration(kind, .mean))
            model.initialize(.transformers, seed: 1)
            model.setRequiresGradient(true)
            let mixed = model(Self.batch, training: pass, precision: .mixedBFloat16)
            try check(model(Self.batch), mixed)
            // The head computes in float32, so that scores do not tie.
            let scores = mixed.detached()
            #expect(try !scores.to(.bfloat16).to(.float32).isEqual(to: scores))
            mixed.sum().backward()
            for (key, tensor) in model.parameters { #expect(tensor.gradient?.dtype == .float32, "\(key)") }
        }
        let tagger = TokenClassificationModel(Self.configuration(.encoder))
        tagger.initialize(.transformers, seed: 1)
        try check(tagger(Self.batch), tagger(Self.batch, precision: .mixedBFloat16))
        let model = QuestionAnsweringModel(Self.configuration(.encoder))
        model.initialize(.transformers, seed: 1)
        try check(model(Self.batch).end, model(Self.batch, precision: .mixedBFloat16).end)
        let losses = try [Precision.full, .mixedBFloat16].map {
            try model.loss(Self.batch, starts: [2, 0, 0], ends: [3, 0, 1], precision: $0).scalar()
        }
        #expect(abs(losses[0] - losses[1]) < 0.02 && losses[0] != losses[1])
    }

    // MARK: - Folders

    @Test func everyHeadSavesAndLoadsBitForBit() throws {
        for kind in ModelKind.allCases {
            try roundTrip(SequenceClassificationModel(Self.configuration(kind)))
            try roundTrip(ModernBERT(Self.configuration(kind)))
        }
        try roundTrip(TokenClassificationModel(Self.configuration(.encoder)))
        try roundTrip(QuestionAnsweringModel(Self.configuration(.encoder)))
        try roundTrip(MultipleChoiceModel(Self.configuration(.encoder)))
    }

    private func roundTrip(_ model: some PretrainedModel) throws {
        let folder = try TemporaryFolder()
        model.initialize(.transformers, seed: 2)
        try model.save(folder: folder.path)
        let loaded = try type(of: model).load(folder: folder.path)
        #expect(loaded.parameters.map(\.key) == model.parameters.map(\.key))
        for (one, other) in zip(model.parameters, loaded.parameters) {
            #expect(try one.tensor.isEqual(to: other.tensor), "\(one.key)")
        }
    }

    @Test(arguments: ModelKind.allCases)
    func aTrunkLoadsFromALanguageModelAndTheReverseNeedsANewHead(kind: ModelKind) throws {
        let folder = try TemporaryFolder()
        let model = LanguageModel(WeightInitializationTests.configuration(kind))
        model.initialize(.transformers, seed: 2)
        try model.save(folder: folder.path)
        let trunk = try ModernBERT.load(folder: folder.path)
        #expect(try withoutGradients { try trunk(Self.batch).isEqual(to: model.model(Self.batch)) })

        try trunk.save(folder: folder.path)
        #expect {
            try LanguageModel.load(folder: folder.path)
        } throws: {
            "\($0)".contains("holds a transformer without a language-model head")
        }
        let renewed = try LanguageModel.load(folder: folder.path, newHeadSeed: 2)
        #expect(try withoutGradients { try renewed(Self.batch).isEqual(to: model(Self.batch)) })
    }

    @Test func aClassifierStartsFromALanguageModelWhenAskedTo() throws {
        let folder = try TemporaryFolder()
        let model = LanguageModel(Self.configuration(.encoder))
        model.initialize(.transformers, seed: 2)
        try model.save(folder: folder.path)
        #expect {
            try SequenceClassificationModel.load(folder: folder.path)
        } throws: {
            "\($0)".contains("missing tensors: classifier.weight, classifier.bias")
                && "\($0)".contains("unknown tensors: decoder.bias")
        }
        let classifier = try SequenceClassificationModel.load(folder: folder.path, newHeadSeed: 9)
        // An encoder's prediction head has the same names in both models and is taken over, as transformers does.
        #expect(try classifier.head.prediction.dense.weight.isEqual(to: model.head.dense.weight))
        #expect(try classifier.head.classifier.bias?.isEqual(to: .zeros([3])) == true)
    }

    @Test func tokenClassifiersOfDecodersDoNotExist() throws {
        let folder = try TemporaryFolder()
        let model = LanguageModel(Self.configuration(.decoder))
        model.initialize(.transformers, seed: 2)
        try model.save(folder: folder.path)
        #expect {
            try TokenClassificationModel.load(folder: folder.path)
        } throws: {
            "\($0)".contains("model_type") && "\($0)".contains("\"modernbert\"")
        }
    }
}
