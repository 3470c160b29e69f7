import EttinJSON
import Foundation
import Testing

@Suite("ettin sweep")
struct SweepCommandTests {
    private static let sweep = """
        command: pretrain
        recipe: recipe.yaml
        output: sweep
        metric: {name: metrics/eval/LanguageCrossEntropy}
        parameters: {optimizer.lr: {values: [1e-3, 1e-2]}}
        seeds: [1, 2]
        """

    private func withSweep(_ body: (SmallRun, ([String]) throws -> CommandResult) throws -> Void) throws {
        try withTemporaryFolder { folder in
            let run = try SmallRun(folder)
            _ = try write(Self.sweep, to: "\(folder)/sweep.yaml")
            try body(run) { try Command.run(["sweep", "sweep.yaml", "--threads", "1"] + $0, in: folder) }
        }
    }

    @Test("Settings and seeds run, are compared, and are not run again; the runs are those of the command itself")
    func comparison() throws {
        try withSweep { run, sweep in
            let planned = try sweep(["--dry-run"])
            #expect(planned.code == 0, "\(planned.errors)")
            let heading = "optimizer.lr  seed  state  batches  time  metrics/eval/LanguageCrossEntropy"
            #expect(planned.lines.first.map(String.init) == heading)
            #expect(planned.lines[1...4].allSatisfy { $0.contains("  new ") })
            #expect(!run.exists("sweep"))
            let result = try sweep(["--json"])
            #expect(result.code == 0, "\(result.errors)")
            let document = try result.document()
            let runs = try #require(document["runs"]?.arrayValue)
            #expect(runs.map { $0["state"]?.stringValue } == ["finished", "finished", "finished", "finished"])
            #expect(Set(runs.compactMap { $0["metric"]?.doubleValue }).count == 4)
            let best = runs.compactMap { $0["metric"]?.doubleValue }.min()
            #expect(document["best_run"]?["metric"]?.doubleValue == best)
            let written = try String(contentsOfFile: "\(run.folder)/sweep/sweep.json", encoding: .utf8)
            #expect(try JSONValue(parsing: written) == document)
            // What the command itself trains to, with the same values.
            #expect(try run.pretrain("optimizer.lr=1e-2", "seed=2", "save_folder=alone").code == 0)
            let weights = try ["alone", "sweep/optimizer.lr=1e-2,seed=2"].map {
                try Data(contentsOf: URL(filePath: "\(run.folder)/\($0)/step2/model.safetensors"))
            }
            #expect(weights[0] == weights[1])
            let again = try sweep([])
            #expect(again.code == 0)
            #expect(again.errors.split(separator: "\n").count { $0.hasSuffix(": already finished, at batch 2") } == 4)
            #expect(again.output.contains("Mean ± standard deviation over 2 seeds:\n"))
            #expect(again.output.contains("\nBest setting: optimizer.lr="))
            // Longer runs go on from where they were, once that is wanted.
            let longer = try sweep(["max_duration=3ba"])
            #expect(longer.code == 1)
            #expect(longer.errors.contains("was run with max_duration \"2ba\", but now it is \"3ba\"; expected"))
            let accepted = try sweep(["max_duration=3ba", "--accept-changes", "seeds=[1]"])
            #expect(accepted.code == 0, "\(accepted.errors)")
            #expect(run.exists("sweep/optimizer.lr=1e-3,seed=1/step3"))
            #expect(!run.exists("sweep/optimizer.lr=1e-3,seed=2/step3"))
        }
    }

    @Test("A run that fails is told, the others are run, and the command fails")
    func failure() throws {
        try withSweep { run, sweep in
            // A file is where a run's folder is to be.
            let folder = "\(run.folder)/sweep"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            _ = try write("", to: "\(folder)/optimizer.lr=1e-3,seed=1")
            let result = try sweep(["seeds=[1]"])
            #expect(result.code == 1)
            #expect(result.errors.contains("error: sweep/optimizer.lr=1e-3,seed=1: "))
            #expect(result.errors.contains("error: 1 of 2 runs failed; the same command tries them again"))
            #expect(result.output.contains("        1e-3     1  failed          –"))
            #expect(result.output.contains("\nBest run: sweep/optimizer.lr=1e-2,seed=1, "))
            let stopped = try sweep(["seeds=[1]", "--fail-fast"])
            #expect(stopped.code == 1)
            #expect(stopped.output == "")
        }
    }

    @Test("Every recipe is checked before the first run starts")
    func mistakes() throws {
        try withSweep { run, sweep in
            func expectRefused(_ arguments: [String], _ message: String) throws {
                let result = try sweep(arguments)
                #expect(result.code == 1)
                #expect(result.errors.contains(message), "\(result.errors)")
                #expect(result.output == "")
            }
            try expectRefused(["parameters={optimizer.lr: {values: [1e-3, x]}}"], "optimizer.lr: is \"x\"; expected")
            try expectRefused(["parameters={optimizer.rate: {values: [1]}}"], "rate: is not a key of optimizer")
            try expectRefused(["command=finetune"], "command: is \"finetune\"; expected pretrain")
            try expectRefused(["recipe=other.yaml"], "other.yaml")
            #expect(!run.exists("sweep"))
            let run1 = "sweep/optimizer.lr=1e-3,seed=1"
            try expectRefused(["metric.name=loss", "seeds=[1]"], "metric.name: is loss, which \(run1) has not logged")
        }
    }

    @Test(
        "Our own sweeps have runs whose recipes can be read",
        arguments: ["nano-sweep", "finetune/sweep-snli", "finetune/glue"]
    )
    func ours(name: String) throws {
        let recipes = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Recipes").path
        let result = try Command.succeed(["sweep", "\(recipes)/\(name).yaml", "--dry-run", "--json"])
        let document = try result.document()
        let runs = try #require(document["runs"]?.arrayValue)
        let settings = try #require(document["settings"]?.arrayValue)
        #expect(settings.count > 1 && runs.count > settings.count)
    }

    @Test("Fine-tuning is swept, planned with a measured time, and reported")
    func fineTuning() throws {
        try withTemporaryFolder { folder in
            let rows = (0..<16).map { row -> String in
                let texts = ["word \(row)", "the word \(row) again", "\(row + 40) others"]
                return #"{"anchor": "\#(texts[0])", "positive": "\#(texts[1])", "negative": "\#(texts[2])"}"#
            }
            _ = try write(rows.joined(separator: "\n") + "\n", to: "\(folder)/triplets.jsonl")
            let recipe = """
                model_name_or_path: \(try TinyModels.shared().encoder)
                train_dataset: triplets.jsonl
                train_test_split: {test_size: 4, seed: 1}
                loss: MultipleNegativesRankingLoss
                evaluator: {type: TripletEvaluator, name: dev}
                output_dir: alone
                max_steps: 4
                per_device_train_batch_size: 4
                eval_strategy: steps
                eval_steps: 2
                save_steps: 2
                logging_steps: 1
                """
            _ = try write(recipe, to: "\(folder)/recipe.yaml")
            let sweep = """
                command: finetune embedding
                recipe: recipe.yaml
                output: sweep
                metric: {name: loss}
                parameters: {learning_rate: {values: [1e-4, 1e-2]}}
                seeds: [1, 2]
                """
            _ = try write(sweep, to: "\(folder)/sweep.yaml")
            let arguments = ["finetune", "embedding", "recipe.yaml", "--threads", "1"]
            let plan = try Command.succeed(arguments + ["--dry-run", "--json"], in: folder).document()
            #expect(plan["seconds_per_step"]?.doubleValue.map { $0 > 0 } == true)
            #expect(plan["peak_bytes"]?.intValue.map { $0 > 1 << 20 } == true)
            let unmeasured = try Command.succeed(arguments + ["--dry-run", "--json", "--no-measure"], in: folder)
                .document()
            #expect(unmeasured["seconds"] == .null && unmeasured["max_steps"] == 4)
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/alone"))
            let result = try Command.run(["sweep", "sweep.yaml", "--threads", "1", "--json"], in: folder)
            #expect(result.code == 0, "\(result.errors)")
            let document = try result.document()
            let runs = try #require(document["runs"]?.arrayValue)
            #expect(runs.map { $0["batch"] } == [4, 4, 4, 4])
            #expect(Set(runs.compactMap { $0["metric"]?.doubleValue }).count == 4)
            // The same run, alone.
            try Command.succeed(arguments + ["learning_rate=1e-2", "seed=2"], in: folder)
            let weights = try ["alone", "sweep/learning_rate=1e-2,seed=2"].map {
                try Data(contentsOf: URL(filePath: "\(folder)/\($0)/final/model.safetensors"))
            }
            #expect(weights[0] == weights[1])
            let again = try Command.succeed(["sweep", "sweep.yaml"], in: folder)
            #expect(again.errors.split(separator: "\n").count { $0.hasSuffix(": already finished, at batch 4") } == 4)
            let report = try Command.succeed(["report", "sweep/learning_rate=1e-2,seed=2", "--json"], in: folder)
            let run = try #require(try report.document()["runs"]?.arrayValue?.first)
            #expect(run["evaluation"]?["eval_dev_cosine_accuracy"]?.doubleValue != nil)
        }
    }
}
