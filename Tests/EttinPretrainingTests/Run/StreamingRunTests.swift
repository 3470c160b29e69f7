import EttinCorpus
import EttinFiles
import EttinModel
import EttinTraining
import TestSupport
import Testing

@testable import EttinPretraining

@Suite("Runs in the order of streaming's loader", .serialized)
struct StreamingRunTests {
    private func recipe(_ training: TinyTraining, _ name: String, shuffle: Bool = true) -> PretrainingRecipe {
        training.recipe(.decoder, name) {
            $0.data.shuffle = shuffle
            $0.data.order = .streaming(DataSettings.StreamingSettings(canonicalNodes: 16))
            $0.globalTrainBatchSize = 8
            $0.evalData = nil
            $0.evalInterval = nil
        }
    }

    @Test("A pass is as long as the loader's, and a stopped run sees the same samples", arguments: [true, false])
    func passes(shuffle: Bool) throws {
        let training = try TinyTraining(try TemporaryFolder())
        // 60 samples on 16 nodes are 16 times 4.
        #expect(try PretrainingPlan(recipe(training, "plan", shuffle: shuffle)).batchesPerEpoch == 8)
        let whole = try TinyTraining.train([recipe(training, "whole", shuffle: shuffle)])
        #expect(whole[0].clock.epoch == 1 && whole[0].clock.batchInEpoch == 4)
        try TinyTraining.train([recipe(training, "stopped", shuffle: shuffle)], batches: 5)
        try TinyTraining.train([recipe(training, "stopped", shuffle: shuffle)])
        #expect(try training.bytes("stopped/ledger.jsonl") == training.bytes("whole/ledger.jsonl"))
    }

    @Test("A run in the order of an earlier version is not continued in another")
    func earlierOrder() throws {
        let training = try TinyTraining(try TemporaryFolder())
        try TinyTraining.train([recipe(training, "run")], batches: 5)
        let path = "run/step4/trainer_state.json"
        let text = String(decoding: try training.bytes(path), as: UTF8.self)
        #expect(text.contains("py1s on 16 nodes taking turns"))
        for name in try FilePath.names(inFolder: training.folder.file("run")) where name.hasPrefix("step") {
            let state = "run/\(name)/trainer_state.json"
            let text = String(decoding: try training.bytes(state), as: UTF8.self)
            try training.folder.write(text.replacing(" taking turns", with: ""), state)
        }
        let error = #expect(throws: TrainingError.self) { try TinyTraining.train([recipe(training, "run")]) }
        #expect(
            error?.description.hasPrefix("the order of the samples: is py1s on 16 nodes taking turns, but ") == true,
            "\(error?.description ?? "")"
        )
    }

    @Test("Streams of different weights are drawn as streaming draws")
    func weights() throws {
        let training = try TinyTraining(try TemporaryFolder())
        var settings = recipe(training, "run").data
        settings.streams = [
            .init(name: "a", localPath: settings.localPath, weight: .repeated(0.5)),
            .init(name: "b", localPath: settings.localPath, split: "validation", weight: .samples(25)),
        ]
        settings.localPath = ""
        let data = try TrainingData(settings)
        // 30 and 25 samples in 16 rows of 4.
        #expect(data.sampleCount == 64)
        #expect(data.runIdentity["the order of the samples"]?.hasSuffix(", drawn as streaming draws") == true)
        settings.order = .permutation
        #expect(try TrainingData(settings).sampleCount == 55)
    }
}
