import TestSupport
import Testing
import Torch

@testable import EttinModel

@Suite struct LanguageModelFilesTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    @Test(arguments: GoldenModelTests.goldens)
    func savedFoldersLoadBackBitForBit(golden: GoldenModelTests.Golden) throws {
        let model = try GoldenModelTests.model(golden)
        try model.save(folder: folder.path)
        let loaded = try LanguageModel.load(folder: folder.path)
        #expect(loaded.parameters.map(\.key) == model.parameters.map(\.key))
        for (one, other) in zip(model.parameters, loaded.parameters) {
            #expect(try one.tensor.isEqual(to: other.tensor), "\(one.key)")
        }
        let batch = PackedBatch([GoldenModelTests.ids])
        #expect(try withoutGradients { try model(batch).isEqual(to: loaded(batch)) })
        let half = try LanguageModel.load(folder: folder.path, dtype: .bfloat16)
        #expect(half.parameters.allSatisfy { $0.tensor.dtype == .bfloat16 })
    }

    @Test func aFolderOfAnotherShapeIsAnErrorThatNamesTheTensors() throws {
        let model = try GoldenModelTests.model(GoldenModelTests.goldens[0])
        try model.save(folder: folder.path)
        var other = model.configuration
        other.intermediateSize = 32
        try other.write(toFolder: folder.path, format: .version4)
        #expect {
            try LanguageModel.load(folder: folder.path)
        } throws: { error in
            "\(error)".contains("model.layers.0.mlp.Wi.weight: shape [48, 16]; expected [64, 16]")
        }
    }
}
