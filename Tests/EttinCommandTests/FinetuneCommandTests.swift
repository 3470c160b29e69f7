import EttinJSON
import Foundation
import Testing

@Suite("ettin finetune embedding")
struct FinetuneCommandTests {
    private func data(_ folder: String) throws -> String {
        let lines = (0..<12).map { "{\"query\": \"question \($0)\", \"answer\": \"the answer of number \($0)\"}\n" }
        let path = "\(folder)/pairs.jsonl"
        try lines.joined().write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private func arguments(_ folder: String, _ more: String...) throws -> [String] {
        [
            "finetune", "embedding", "--model", try TinyModels.shared().encoder, "--train", try data(folder),
            "--output",
            "\(folder)/run", "--batch-size", "4", "--epochs", "1", "loss=MultipleNegativesRankingLoss",
            "logging_steps=1",
        ] + more
    }

    @Test("Options alone make a recipe, whose model embed uses")
    func options() throws {
        try withTemporaryFolder { folder in
            let result = try Command.succeed(arguments(folder, "--json"))
            let report = try #require(try result.objects().first)
            #expect(report["finished"] == true && report["step"] == 3)
            let model = try #require(report["model"]?.stringValue)
            #expect(model == "\(folder)/run/final")
            #expect(try Command.succeed(["embed", model, "question 1"]).objects().count == 1)
            let again = try Command.run(arguments(folder))
            #expect(again.code == 1 && again.errors.contains("overwrite_output_dir=true"), "\(again.errors)")
            let resumed = try Command.succeed(arguments(folder, "resume_from_checkpoint=true"))
            #expect(resumed.lines.first == "\(folder)/run/final")
        }
    }

    @Test("A recipe is read from a file, and a plan writes nothing")
    func plan() throws {
        try withTemporaryFolder { folder in
            let recipe = """
                model_name_or_path: \(try TinyModels.shared().encoder)
                train_dataset: \(try data(folder))
                loss: {type: CachedMultipleNegativesRankingLoss, mini_batch_size: 2}
                per_device_train_batch_size: 4
                warmup_ratio: 0.1
                output_dir: \(folder)/run

                """
            try recipe.write(toFile: "\(folder)/recipe.yaml", atomically: true, encoding: .utf8)
            let words = ["finetune", "embedding", "\(folder)/recipe.yaml", "--dry-run"]
            let plan = try #require(try Command.succeed(words + ["--json"]).objects().first)
            #expect(plan["max_steps"] == 9 && plan["warmup_steps"] == 1 && plan["rows"] == 12)
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/run"))
        }
    }

    @Test(
        "Wrong values are named with what is right",
        arguments: [
            (["learning_rat=1"], "did you mean learning_rate?"), (["fp16=true"], "bf16"),
            (["loss=TripletLos"], "did you mean TripletLoss?"), (["columns=[query]"], "column"),
            (["train_dataset=missing.jsonl"], "missing.jsonl"), (["--layout", "7"], "expected 5 or 6"),
        ]
    )
    func refusals(_ values: [String], _ text: String) throws {
        try withTemporaryFolder { folder in
            let result = try Command.run(arguments(folder) + values)
            #expect(result.code != 0 && result.errors.contains(text), "\(result.errors)")
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/run"))
        }
    }
}
