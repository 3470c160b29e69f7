import EttinCorpus
import EttinFiles
import EttinModel
import EttinTraining
import Foundation
import TestSupport
import Testing

@testable import EttinPretraining

@Suite("Mistakes in data, found before anything is written", .serialized)
struct DataChecksTests {
    /// The message of a session that cannot be; no folder is made for it.
    private func message(
        _ tiny: TinyTraining,
        _ change: (inout PretrainingRecipe) throws -> Void
    ) throws -> String {
        var recipe = tiny.recipe(.encoder, "run")
        try change(&recipe)
        let error = #expect(throws: (any Error).self) { try PretrainingSession([recipe]) }
        #expect(!FilePath.exists(tiny.folder.file("run")))
        return error.map { "\($0)" } ?? ""
    }

    @Test("Data without samples are named by their folder")
    func empty() throws {
        try withTemporaryFolder { folder in
            let tiny = try TinyTraining(folder)
            try FilePath.makeFolder(folder.file("none"))
            try folder.write(#"{"version":2,"shards":[]}"#, "none/index.json")
            let heldOut = try message(tiny) {
                $0.evalData?.localPath = folder.path; $0.evalData?.split = "none"
            }
            #expect(heldOut.hasPrefix("eval_loader.dataset: is \(folder.file("none")), which holds no samples"))
            #expect(heldOut.contains("eval_loader=null"))
            let training = try message(tiny) {
                $0.data.localPath = folder.path; $0.data.split = "none"
            }
            #expect(training.hasPrefix("train_loader.dataset: is \(folder.file("none")), which holds no samples"))
            let few = try message(tiny) {
                $0.evalData?.dropLast = true; $0.globalEvalBatchSize = 11
            }
            #expect(few.hasPrefix("global_eval_batch_size: is 11, but "))
        }
    }

    @Test("Ids above the vocabulary are named by folder and sample, in training and in held-out data")
    func largeIDs() throws {
        try withTemporaryFolder { folder in
            let tiny = try TinyTraining(folder)
            let writer = try MDSWriter(
                folder: folder.file("large/train"),
                columns: [("input_ids", .array(element: .uint16, shape: nil))]
            )
            for id in [7, 50_300] as [Int32] {
                let ids = try MDSArray(tokenIDs: [50281, id, 9], element: .uint16)
                for _ in 0..<8 { try writer.append(["input_ids": .array(ids)]) }
            }
            try writer.finish()
            let words = "\(folder.file("large/train")): sample 8 holds the id 50300; expected ids below the model's"
            #expect(try message(tiny) { $0.data.localPath = folder.file("large") }.hasPrefix(words))
            let heldOut = try message(tiny) {
                $0.evalData?.localPath = folder.file("large")
                $0.evalData?.split = "train"
            }
            #expect(heldOut.hasPrefix(words))
        }
    }

    @Test("An order that ends before the run does is named with both lengths")
    func shortOrder() throws {
        try withTemporaryFolder { folder in
            let tiny = try TinyTraining(folder)
            let stage = OrderExportStage(input: folder.file("data/train"), batchSize: 6, steps: 9)
            try stage.run(StageOptions(output: folder.file("order")))
            let found = try message(tiny) {
                $0.data.shuffle = false
                $0.data.order = .explicit(path: folder.file("order"))
            }
            #expect(found.contains("which ends after 9 steps, but max_duration is 12ba"))
            let enough = tiny.recipe(.encoder, "run") {
                $0.data.shuffle = false
                $0.data.order = .explicit(path: folder.file("order"))
                $0.maxDuration = TrainingTime(9, .batch)
            }
            #expect(try TinyTraining.train([enough])[0].clock.batch == 9)
        }
    }

    @Test("Where one folder of a pair cannot be made, the other is left as it is")
    func folders() throws {
        try withTemporaryFolder { folder in
            let tiny = try TinyTraining(folder)
            try TinyTraining.train([tiny.recipe(.encoder, "pair/encoder")])
            let file = folder.file("pair/encoder/ledger.jsonl")
            let before = try Data(contentsOf: URL(filePath: file))
            try folder.write("a file", "pair/decoder")
            let pair = ModelKind.allCases.map { kind in
                tiny.recipe(kind, "pair") {
                    $0.checkpoints.autoresume = false
                    $0.checkpoints.overwrite = true
                }
            }
            #expect(throws: TrainingError.self) { try TinyTraining.train(pair) }
            #expect(try Data(contentsOf: URL(filePath: file)) == before)
            #expect(FilePath.exists(folder.file("pair/encoder/step12")))
        }
    }
}
