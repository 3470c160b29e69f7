import EttinEvaluation
import EttinFiles
import EttinJSON
import EttinTraining
import Foundation
import TestSupport
import Testing

@testable import EttinFineTuning

@Suite("The folder of a run of fine-tuning")
struct RunFolderTests {
    private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    private func batches(_ run: TinyRun, _ folder: String) throws -> [Int] {
        try CheckpointStore(
            folder: run.folder.file(folder),
            tag: "checkpoint-",
            stateFile: TrainerState.strategiesFileName
        ).entries().map(\.batch)
    }

    private let table = "run/eval/triplet_evaluation_dev_results.csv"

    @Test("A run that begins removes tables of evaluators, and no other file")
    func otherFiles() throws {
        let run = try TinyRun()
        let eval = run.folder.file("run/eval")
        try FileManager.default.createDirectory(atPath: eval, withIntermediateDirectories: true)
        for name in ["dev.jsonl", "own_results.csv"] {
            try "name,value\n".write(toFile: "\(eval)/\(name)", atomically: true, encoding: .utf8)
        }
        for _ in 0..<2 {
            try run.train(run.recipe("run", "max_steps=2", "overwrite_output_dir=true"))
            #expect(try text(run.folder.file(table)).split(separator: "\r\n").count == 2)
        }
        for name in ["dev.jsonl", "own_results.csv"] { #expect(try text("\(eval)/\(name)") == "name,value\n") }
    }

    @Test("Resuming in another folder takes nothing from a run that is there")
    func elsewhere() throws {
        let run = try TinyRun()
        let whole = try run.train(run.recipe("one"))
        try run.train(run.recipe("two"))
        let from = "resume_from_checkpoint=\(run.folder.file("one/checkpoint-2"))"
        let error = #expect(throws: TrainingError.self) { try run.train(run.recipe("two", from)) }
        #expect("\(try #require(error))".contains("overwrite_output_dir=true"))
        #expect(try batches(run, "two") == [2, 4, 6])
        withExtendedLifetime(whole) {}
        try run.train(run.recipe("three", from))
        #expect(try batches(run, "three") == [4, 6] && batches(run, "one") == [2, 4, 6])
        #expect(try run.bytes("three/final/model.safetensors") == run.bytes("one/final/model.safetensors"))
    }

    @Test("A checkpoint of another trainer is refused before the first step", arguments: ["false", "true"])
    func strangers(overwrites: String) throws {
        let run = try TinyRun()
        let stranger = run.folder.file("run/checkpoint-2")
        try FileManager.default.createDirectory(atPath: stranger, withIntermediateDirectories: true)
        let error = #expect(throws: TrainingError.self) {
            try run.train(run.recipe("run", "overwrite_output_dir=\(overwrites)"))
        }
        #expect("\(try #require(error))".contains("checkpoint-2"))
        #expect(try FilePath.names(inFolder: run.folder.file("run")) == ["checkpoint-2"])
    }

    @Test("A run that replaces another is not finished before its end")
    func replaced() throws {
        let run = try TinyRun()
        try run.train(run.recipe())
        #expect(try RunState(ofFineTuning: run.folder.file("run")).isFinished)
        try run.train(run.recipe("run", "overwrite_output_dir=true"), steps: 1)
        #expect(try RunState(ofFineTuning: run.folder.file("run")) == .begun(batch: 1))
        #expect(!FilePath.exists(run.folder.file("run/trainer_state.json")))
    }

    @Test("A finished run that is resumed ends with the same model, card and history")
    func finishedBefore() throws {
        let run = try TinyRun()
        try run.train(run.recipe("run", "autoresume=true"))
        let card = try run.bytes("run/final/README.md")
        let again = try run.train(run.recipe("run", "autoresume=true"))
        #expect(try run.bytes("run/final/README.md") == card)
        #expect(again.progress.history.last?["train_loss"] != nil)
        #expect(try text(run.folder.file("run/trainer_state.json")).contains("train_loss"))
        #expect(try FilePath.names(inFolder: run.folder.file("run")).allSatisfy { !$0.hasSuffix(".tmp") })
    }

    @Test("Tables have a line for each evaluation, also after a run was killed between checkpoints")
    func tables() throws {
        let run = try TinyRun()
        func recipe(_ value: String) throws -> EmbeddingRecipe {
            try run.recipe("run", "eval_steps=1", "save_steps=4", value)
        }
        try run.train(recipe("autoresume=true"))
        let whole = try text(run.folder.file(table))
        try run.train(recipe("resume_from_checkpoint=\(run.folder.file("run/checkpoint-4"))"))
        #expect(try text(run.folder.file(table)) == whole && whole.split(separator: "\r\n").count == 7)
    }

    @Test("The best model is measured as it is printed, and its links lead to it")
    func best() throws {
        let run = try TinyRun()
        let session = try run.train(
            run.recipe(
                "run",
                "load_best_model_at_end=true",
                "save_total_limit=1",
                // The loss falls, so this finds an early checkpoint.
                "greater_is_better=true"
            )
        )
        let best = try #require(session.trainer.best)
        #expect(best.batch < 6)
        #expect(session.progress.evaluation.first { $0.key == "eval_loss" }?.value == best.value)
        #expect(FilePath.target(ofLink: run.folder.file("run/latest")) == "checkpoint-\(best.batch)")
        let accuracy = try #require(session.progress.evaluation.first { $0.key == "eval_dev_cosine_accuracy" })
        #expect(session.trainer.task.reports.first?.metrics.first?.value == accuracy.value)
        #expect(try text("\(session.finalFolder)/README.md").contains("\(accuracy.value)"))
    }

    @Test("What is kept of evaluators comes back, NaN included")
    func reports() throws {
        let report = EvaluationReport(
            evaluator: "TripletEvaluator",
            name: "dev",
            primaryMetric: "dev_cosine_accuracy",
            metrics: [("dev_cosine_accuracy", 0.5), ("dev_other", .nan)],
            settings: ["truncate_dim": 8]
        )
        let back = try #require(EvaluationReport(JSONValue(parsing: Array(report.json.text().utf8))))
        #expect(back.description == "Triplet" && back.primaryMetric == report.primaryMetric)
        #expect(back.metrics[0].value == 0.5 && back.metrics[1].value.isNaN && back.settings == report.settings)
        #expect(EvaluationReport(["evaluator": 1]) == nil)
    }

    @Test("A run is resumed with less memory, and not with other numbers")
    func identity() throws {
        let run = try TinyRun()
        try run.train(run.recipe("run", "autoresume=true"), steps: 2)
        for (value, key) in [
            ("weight_decay=0.1", "weight_decay"), ("lr_scheduler_type=cosine", "lr_scheduler_type"),
            ("prompts=query", "prompts"), ("max_seq_length=16", "max_seq_length"), ("adam_beta2=0.9", "adam_beta2"),
            ("loss={type: CachedMultipleNegativesRankingLoss, scale: 10}", "loss"),
        ] {
            let error = #expect(throws: TrainingError.self) {
                try run.train(run.recipe("run", "autoresume=true", value))
            }
            #expect("\(try #require(error))".contains(key), "\(String(describing: error))")
        }
        let less = "loss={type: CachedMultipleNegativesRankingLoss, mini_batch_size: 1}"
        #expect(try run.train(run.recipe("run", "autoresume=true", less)).progress.clock.batch == 6)
    }

    @Test("A tilde in front of the folder is the home folder, whoever sets it")
    func home() throws {
        let run = try TinyRun()
        var recipe = try run.recipe()
        recipe.arguments.outputFolder = "~/no such run"
        let session = try FineTuningSession(recipe)
        #expect(session.finalFolder == FilePath.expandingHome("~/no such run/final"))
    }
}
