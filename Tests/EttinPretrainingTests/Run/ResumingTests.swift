import EttinFiles
import EttinJSON
import EttinTraining
import Foundation
import TestSupport
import Testing

@testable import EttinPretraining

@Suite("Resuming with another recipe", .serialized)
struct ResumingTests {
    /// A run of a few batches of a recipe in YAML, whose values `run.json` keeps.
    private struct Runs {
        let tiny: TinyTraining

        init(_ folder: TemporaryFolder) throws { tiny = try TinyTraining(folder) }

        func recipe(_ overrides: [String]) throws -> PretrainingRecipe {
            try RecipeText.recipe(
                [
                    "data_local=\(tiny.folder.file("data"))", "save_folder=\(tiny.folder.file("run"))",
                    "autoresume=true",
                    "max_seq_len=20", "model.model_config.hidden_size=16", "model.model_config.intermediate_size=24",
                    "model.model_config.num_hidden_layers=2", "max_duration=2ba", "scheduler.t_warmup=0ba",
                    "loggers={tensorboard: false}",
                ] + overrides
            )
        }

        /// Trains, and gives the lines that were said.
        @discardableResult
        func train(_ overrides: [String] = [], accepting: Bool = false) throws -> [String] {
            var lines: [String] = []
            var options = PretrainingSession.Options()
            options.acceptsChanges = accepting
            options.onLine = { lines.append($0) }
            _ = try PretrainingSession([recipe(overrides)], options).run()
            return lines
        }

        func file(_ name: String) throws -> Data { try tiny.bytes("run/\(name)") }
    }

    private func runs(_ body: (Runs) throws -> Void) throws {
        try withTemporaryFolder { try body(Runs($0)) }
    }

    @Test("Another optimizer, masking or precision is refused, and nothing changes")
    func refused() throws {
        try runs { runs in
            try runs.train()
            let before = try ["run.json", "ledger.jsonl", "metrics.jsonl"].map(runs.file)
            let overrides = ["optimizer.betas=[0.1, 0.5]", "mlm_probability=0.15", "max_duration=4ba"]
            let error = #expect(throws: TrainingError.self) { try runs.train(overrides) }
            let message = error?.description ?? ""
            #expect(message.hasPrefix("mlm_probability: is 0.15, but the run in "))
            #expect(message.contains("has 0.3; optimizer.betas is [0.1, 0.5] instead of [0.9, 0.98]"))
            #expect(message.contains("--accept-changes"))
            #expect(try ["run.json", "ledger.jsonl", "metrics.jsonl"].map(runs.file) == before)
        }
    }

    @Test("Accepted changes are named, take effect, and leave the old run.json under a number")
    func accepted() throws {
        try runs { runs in
            try runs.train()
            let first = try runs.file("run.json")
            let lines = try runs.train(
                ["optimizer.lr=1e-4", "max_duration=4ba"],
                accepting: true
            )
            #expect(lines.contains { $0.contains("optimizer.lr is 0.0001 instead of 0.003, by --accept-changes") })
            #expect(lines.contains { $0.contains("max_duration is 4ba instead of 2ba") })
            #expect(try runs.file("run.1.json") == first)
            let rates = try runs.tiny.metrics("run", "lr-StableAdamW/group0")
            #expect(rates.count == 4 && rates[2] == 1e-4)
            // The next change finds another number, and a resume without one makes no copy.
            let second = try runs.file("run.json")
            try runs.train(["optimizer.lr=1e-4", "max_duration=5ba", "scheduler.t_warmup=0ba"])
            try runs.train(["optimizer.lr=1e-5", "max_duration=6ba"], accepting: true)
            #expect(try runs.file("run.1.json") == first)
            #expect(try runs.file("run.2.json") != second)
            #expect(!FilePath.exists(runs.tiny.folder.file("run/run.3.json")))
        }
    }

    @Test("Other lengths, intervals, threads and paths are named")
    func named() throws {
        try runs { runs in
            try runs.train()
            #expect(try !runs.train().contains { $0.contains("changed on resume") })
            let path = runs.tiny.folder.file("run/run.json")
            let description = try JSONValue(parsing: String(contentsOfFile: path, encoding: .utf8))
            let threads = try #require(description["threads"]?.intValue)
            var other = try #require(description.objectValue)
            other["threads"] = JSONValue(threads + 3)
            other["torch"] = "1.0"
            try Data(JSONValue.object(other).text().utf8).write(to: URL(filePath: path))
            let lines = try runs.train(["max_duration=3ba", "save_interval=1ba", "train_loader.num_workers=2"])
            for words in [
                "max_duration is 3ba instead of 2ba", "save_interval is 1ba instead of 1000ba",
                "train_loader.num_workers is 2 instead of 0", "\(threads) threads instead of \(threads + 3)",
                "instead of 1.0;",
            ] {
                #expect(lines.contains { $0.hasPrefix("changed on resume: ") && $0.contains(words) }, "\(words)")
            }
            try FilePath.remove(path)
            let absent = try runs.train(["max_duration=4ba", "optimizer.eps=1"])
            #expect(absent.contains { $0.contains("run.json: it is missing, so the recipe is not compared") })
        }
    }

    @Test("A run that is longer than it is to become is named, and one that is just as long is finished")
    func shorter() throws {
        try runs { runs in
            try runs.train(["max_duration=4ba"])
            let error = #expect(throws: TrainingError.self) { try runs.train(["max_duration=3ba"]) }
            #expect(error?.description.hasPrefix("max_duration: is 3ba, but ") == true)
            #expect(error?.description.contains("step4 has 4ba behind it already") == true)
            try runs.train(["max_duration=4ba"])
        }
    }
}
