import Testing
import Torch

@testable import EttinModel

@Suite struct LanguageModelLossTests {
    static let batch = PackedBatch([KVCacheTests.tokens(40, 1), KVCacheTests.tokens(1, 2), KVCacheTests.tokens(23, 3)])

    /// A model with gradients, its weights large enough for losses that differ from one another.
    static func model(_ kind: ModelKind, tied: Bool = true) -> LanguageModel {
        var configuration = WeightInitializationTests.configuration(kind)
        configuration.localAttention = 8
        configuration.initializerRange = 0.1
        configuration.tiesWordEmbeddings = tied
        let model = LanguageModel(configuration)
        model.initialize(.transformers, seed: 11)
        model.setRequiresGradient(true)
        return model
    }

    /// A third of the tokens for the encoder; the next token for the decoder.
    static func labels(_ kind: ModelKind) -> [Int32] {
        if kind == .encoder { return batch.inputIDs.enumerated().map { $0 % 3 == 1 ? $1 : -100 } }
        return (0..<batch.sequenceCount).flatMap { Array(batch.inputIDs[batch.range(of: $0)].dropFirst()) + [-100] }
    }

    static func gradients(_ model: LanguageModel) throws -> [(key: String, tensor: Tensor)] {
        try model.parameters.map { key, tensor in
            let gradient = try #require(tensor.gradient, "\(key)")
            tensor.clearGradient()
            return (key, gradient)
        }
    }

    @Test(arguments: ModelKind.allCases, [true, false])
    func lossAndEveryGradientAreThoseOfWholeLogits(kind: ModelKind, tied: Bool) throws {
        let model = Self.model(kind, tied: tied)
        let labels = Self.labels(kind)
        let result = model.loss(Self.batch, labels: labels)
        result.loss.backward()
        let gradients = try Self.gradients(model)
        let whole = model(Self.batch).crossEntropy(Tensor(labels.map(Int64.init)))
        whole.backward()
        let expected = try Self.gradients(model)

        #expect(result.labelledCount == labels.count { $0 != -100 })
        #expect(result.tokenLosses.shape == [result.labelledCount])
        let (loss, wholeLoss) = (try result.loss.scalar(), try whole.scalar())
        #expect(abs(loss - wholeLoss) < 1e-5 * wholeLoss)
        for ((key, gradient), (_, other)) in zip(gradients, expected) {
            #expect(try KVCacheTests.largestDifference(other, gradient) < 1e-5, "\(key)")
        }
    }

    #if arch(x86_64)
        /// Where the processor has none of its own, products are of the same operands, rounded once as its would be.
        @Test(arguments: ModelKind.allCases)
        func mixedPrecisionIsTheSameWithoutProductsOfBFloat16(kind: ModelKind) throws {
            func run() throws -> (loss: Double, gradients: [(key: String, tensor: Tensor)]) {
                let model = Self.model(kind)
                let result = model.loss(Self.batch, labels: Self.labels(kind), precision: .mixedBFloat16)
                result.loss.backward()
                return (try result.loss.scalar(), try Self.gradients(model))
            }
            let own = try run()
            let before = InstructionSet.current
            defer { _ = before.use() }
            try #require(InstructionSet.portable.use())
            let other = try run()
            #expect(abs(other.loss - own.loss) < 2e-3 * own.loss)
            for ((key, gradient), (_, expected)) in zip(other.gradients, own.gradients) {
                #expect(gradient.dtype == .float32, "\(key)")
                let norms = try gradient.norm().scalar() * expected.norm().scalar()
                #expect(try (gradient * expected).sum().scalar() > 0.999 * norms, "\(key)")
            }
        }
    #endif

    @Test(arguments: ModelKind.allCases)
    func mixedPrecisionIsNearAndKeepsItsTypes(kind: ModelKind) throws {
        let model = Self.model(kind)
        let labels = Self.labels(kind)
        let exact = model.loss(Self.batch, labels: labels)
        exact.loss.backward()
        let expected = try Self.gradients(model)
        let mixed = model.loss(Self.batch, labels: labels, precision: .mixedBFloat16)
        mixed.loss.backward()
        #expect(mixed.loss.dtype == .float32)
        #expect(model.model(Self.batch, precision: .mixedBFloat16).dtype == .bfloat16)
        let (loss, other) = (try mixed.loss.scalar(), try exact.loss.scalar())
        #expect(abs(loss - other) < 1e-2 * other)
        for ((key, gradient), (_, other)) in zip(try Self.gradients(model), expected) {
            #expect(gradient.dtype == .float32, "\(key)")
            let cosine = try (gradient * other).sum().scalar() / (gradient.norm().scalar() * other.norm().scalar())
            #expect(cosine > 0.995, "\(key)")
        }
    }

    @Test func nothingLabelledIsALossOfZero() throws {
        let model = Self.model(.encoder)
        let result = model.loss(Self.batch, labels: [Int32](repeating: -100, count: Self.batch.tokenCount))
        result.loss.backward()
        #expect(try result.loss.scalar() == 0)
        #expect(result.labelledCount == 0)
        for (key, gradient) in try Self.gradients(model) {
            #expect(try gradient.absolute().max().scalar() == 0, "\(key)")
        }
    }

    /// Enough steps to see that gradients point downhill in both precisions.
    @Test(arguments: ModelKind.allCases, Precision.allCases)
    func stepsOfTheOptimizerLowerTheLoss(kind: ModelKind, precision: Precision) throws {
        let model = Self.model(kind)
        let labels = Self.labels(kind)
        let optimizer = AdamW(model.parameters.map(\.tensor), learningRate: 3e-3)
        var losses: [Double] = []
        for _ in 0..<8 {
            let loss = model.loss(Self.batch, labels: labels, precision: precision).loss
            loss.backward()
            losses.append(try loss.scalar())
            optimizer.step()
            optimizer.clearGradients()
        }
        #expect(losses[7] < 0.5 * losses[0], "\(losses)")
    }
}
