import EttinJSON
import TestSupport
import Testing
import Torch

@testable import EttinModel

/// Language models with another number of tokens.
@Suite struct VocabularyTests {
    static func setBiases(of model: LanguageModel) {
        model.decoder.bias = Tensor((0..<model.configuration.vocabularySize).map { Float($0 % 7) })
    }

    @Test(arguments: ModelKind.allCases, [true, false])
    func furtherTokensAreTheMeanOfTheOthers(kind: ModelKind, tied: Bool) throws {
        let model = LanguageModelLossTests.model(kind, tied: tied)
        let batch = LanguageModelLossTests.batch
        Self.setBiases(of: model)
        let before = Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.key, $0.tensor.detached().copy()) })
        let (count, logits) = (model.configuration.vocabularySize, withoutGradients { model(batch) })
        model.resizeTokenEmbeddings(count + 12, seed: 3)

        #expect(model.configuration.vocabularySize == count + 12)
        let changed = ["model.embeddings.tok_embeddings.weight", "decoder.weight", "decoder.bias"]
        for (key, tensor) in model.parameters {
            let old = try #require(before[key])
            guard changed.contains(key) else {
                #expect(try tensor.isEqual(to: old), "\(key)")
                continue
            }
            #expect(tensor.size(0) == count + 12)
            #expect(try tensor.narrowed(along: 0, from: 0, count: count).isEqual(to: old), "\(key)")
            let added = tensor.narrowed(along: 0, from: count, count: 12).to(.float32)
            let deviation = added - old.mean(along: 0, keepingDimensions: true)
            let largest = try deviation.absolute().max().scalar()
            // Weights have a standard deviation of 0.1, of which rows take 10⁻⁴·⁵.
            #expect(key == "decoder.bias" ? largest < 1e-6 : largest > 1e-6 && largest < 3e-5, "\(key): \(largest)")
        }
        #expect((model.decoder.weight == nil) == tied)
        let again = withoutGradients { model(batch) }
        #expect(try again.narrowed(along: 1, from: 0, count: count).isEqual(to: logits))

        let other = LanguageModelLossTests.model(kind, tied: tied)
        Self.setBiases(of: other)
        other.resizeTokenEmbeddings(count + 12, seed: 3)
        for ((key, one), (_, two)) in zip(model.parameters, other.parameters) {
            #expect(try one.isEqual(to: two), "\(key)")
        }
    }

    @Test(arguments: ModelKind.allCases, [true, false])
    func fewerTokensKeepTheFirst(kind: ModelKind, tied: Bool) throws {
        let model = LanguageModelLossTests.model(kind, tied: tied)
        let count = model.configuration.vocabularySize
        let rows = model.model.embeddings.tokens.weight.detached().copy()
        model.resizeTokenEmbeddings(count - 2)
        #expect(model.decoder.bias?.size(0) == count - 2)
        let kept = rows.narrowed(along: 0, from: 0, count: count - 2)
        #expect(try model.model.embeddings.tokens.weight.isEqual(to: kept))
        let folder = try TemporaryFolder()
        try model.save(folder: folder.path)
        let loaded = try LanguageModel.load(folder: folder.path)
        #expect(loaded.configuration.vocabularySize == count - 2)
        #expect(try loaded(LanguageModelLossTests.batch).isEqual(to: model(LanguageModelLossTests.batch)))
    }

    /// TRL's `clone_chat_template` on the tiny decoder, whose rows it made of the same distribution.
    @Test(.enabled(if: SharedData.isAvailable, "needs the shared data"))
    func newRowsStrayAsFarAsTheOriginals() throws {
        let shared = try #require(SharedData.folder)
        let golden = try JSONFile.object(
            path: "\(shared)/golden/finetune/sft.json",
            name: "sft.json",
            sizeLimit: 1 << 20
        )
        let clone = try #require(golden["clone_chat_template"])
        let model = try LanguageModel.loadForTraining(folder: "\(shared)/golden/finetune/models/dec")
        let (count, size) = (clone["old_vocab"]?.intValue ?? 0, clone["new_model_vocab"]?.intValue ?? 0)
        #expect(model.configuration.vocabularySize == count)
        model.resizeTokenEmbeddings(size)
        let rows = model.model.embeddings.tokens.weight
        let mean = rows.narrowed(along: 0, from: 0, count: count).mean(along: 0, keepingDimensions: true)
        let largest = try (rows.narrowed(along: 0, from: count, count: size - count) - mean).absolute().max().scalar()
        let expected = try #require(clone["max_abs_dev_new_rows_from_mean"]?.doubleValue)
        #expect(largest > expected / 2 && largest < expected * 2, "\(largest), where TRL has \(expected)")
    }
}
