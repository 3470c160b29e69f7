import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinModel

@Suite struct LoadingForTrainingTests {
    static func contents(_ folder: TemporaryFolder) throws -> [String: Data] {
        let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
        return try Dictionary(
            uniqueKeysWithValues: names.filter { !$0.hasSuffix("_Normalize") && $0.contains(".") }.map {
                ($0, try Data(contentsOf: URL(fileURLWithPath: folder.file($0))))
            }
        )
    }

    @Test(arguments: ModelKind.allCases, [DType.float32, .bfloat16])
    func aStepChangesTheModelAndNotItsFile(kind: ModelKind, dtype: DType) throws {
        let folder = try TemporaryFolder()
        let saved = LanguageModel(WeightInitializationTests.configuration(kind))
        saved.initialize(.transformers, seed: 4)
        saved.convert(to: dtype)
        try saved.save(folder: folder.path)
        let files = try Self.contents(folder)
        #expect(files.count == 2)

        let model = try LanguageModel.loadForTraining(folder: folder.path)
        #expect(model.parameters.allSatisfy { $0.tensor.dtype == .float32 && !$0.tensor.isBorrowed })
        for (one, other) in zip(model.parameters, saved.parameters) {
            #expect(try one.tensor.isEqual(to: other.tensor.to(.float32)), "\(one.key)")
        }
        model.setRequiresGradient(true)
        let optimizer = AdamW(model.parameters.map(\.tensor))
        let labels = LanguageModelLossTests.labels(kind)
        model.loss(LanguageModelLossTests.batch, labels: labels).loss.backward()
        optimizer.step()
        for (one, other) in zip(model.parameters, saved.parameters) where !one.key.contains("norm") {
            #expect(try !one.tensor.isEqual(to: other.tensor.to(.float32)), "\(one.key)")
        }
        #expect(try Self.contents(folder) == files)
    }

    @Test func headsThatAreNewAndClassifiersLoadToo() throws {
        let folder = try TemporaryFolder()
        let saved = LanguageModel(ClassifierTests.configuration(.encoder))
        saved.initialize(.transformers, seed: 4)
        try saved.save(folder: folder.path)
        let model = try SequenceClassificationModel.loadForTraining(folder: folder.path, newHeadSeed: 3)
        #expect(model.parameters.allSatisfy { !$0.tensor.isBorrowed })
        // What is loaded to be read shares the file's memory still.
        let read = try LanguageModel.load(folder: folder.path)
        #expect(read.parameters.contains { $0.tensor.isBorrowed })
        #expect(throws: StateDictionaryError.self) {
            try SequenceClassificationModel.loadForTraining(folder: folder.path)
        }
    }
}
