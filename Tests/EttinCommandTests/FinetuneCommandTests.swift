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
            let report = try result.document()
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
            let plan = try Command.succeed(words + ["--json"]).document()
            #expect(plan["max_steps"] == 9 && plan["warmup_steps"] == 1 && plan["rows"] == 12)
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/run"))
        }
    }

    @Test("Options are values of the recipe, before those of its file")
    func flags() throws {
        try withTemporaryFolder { folder in
            try "per_device_train_batch_size: 2\n".write(
                toFile: "\(folder)/recipe.yaml",
                atomically: true,
                encoding: .utf8
            )
            let words = try arguments(folder, "--eval", "\(folder)/pairs.jsonl", "--lr", "1e-3", "--layout", "6")
            let plan = ["--dry-run", "--json"]
            let fromFile = ["finetune", "embedding", "\(folder)/recipe.yaml"] + words.dropFirst(2)
            for words in [words, fromFile] {
                let plan = try Command.succeed(words + plan).document()
                #expect(plan["max_steps"] == 3 && plan["rows"] == 12)
            }
            try Command.succeed(words)
            let run = try JSONValue(parsing: String(contentsOfFile: "\(folder)/run/run.json", encoding: .utf8))
            #expect(run["recipe"]?["learning_rate"]?.doubleValue == 1e-3)
            #expect(run["recipe"]?["num_train_epochs"]?.doubleValue == 1)
            #expect(run["eval_data"]?.stringValue == "\(folder)/pairs.jsonl")
            let modules = try String(contentsOfFile: "\(folder)/run/final/modules.json", encoding: .utf8)
            #expect(modules.contains("sentence_transformers.base"))
        }
    }

    @Test("A full disk at a save leaves nothing half-written, and the run goes on where there is room")
    func fullDisk() throws {
        try withTemporaryFolder { folder in
            let words = try arguments(folder, "save_steps=2", "autoresume=true", "report_to=none")
            let process = Process()
            process.executableURL = URL(filePath: "/bin/sh")
            // Files stay below a few kilobytes; the signal of one that grows further is ignored, so that writing fails.
            process.arguments =
                ["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"", Command.binary.path] + words
            let errors = Pipe()
            (process.standardOutput, process.standardError) = (FileHandle.nullDevice, errors)
            try process.run()
            let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 1 && text.contains("error: \(folder)/run/"), "\(text)")
            let left = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/run")
            let isWhole = left.allSatisfy { !$0.hasPrefix("checkpoint-") && !$0.hasSuffix(".tmp") && $0 != "final" }
            #expect(isWhole, "\(left)")
            #expect(try Command.succeed(words).lines.first == "\(folder)/run/final")
        }
    }

    @Test("An interrupted run saves, names its checkpoint, and exits with 130", .timeLimit(.minutes(1)))
    func interruption() throws {
        try withTemporaryFolder { folder in
            let process = Process()
            process.executableURL = Command.binary
            process.arguments = try arguments(folder, "max_steps=100000", "report_to=none")
            let output = Pipe()
            (process.standardOutput, process.standardError) = (output, FileHandle.nullDevice)
            try process.run()
            let metrics = "\(folder)/run/metrics.jsonl"
            while process.isRunning, (try? Data(contentsOf: URL(filePath: metrics)).isEmpty) ?? true { usleep(20_000) }
            process.interrupt()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationReason == .exit && process.terminationStatus == 130)
            #expect(text.hasPrefix("\(folder)/run/checkpoint-"), "\(text)")
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/run/final"))
        }
    }

    @Test(
        "Wrong values are named with what is right",
        arguments: [
            (["learning_rat=1"], "did you mean learning_rate?", 1),
            (["fp16=true", "bf16=true"], "fp16: is true beside bf16", 1),
            (["loss=TripletLos"], "did you mean TripletLoss?", 1), (["columns=[query]"], "column", 1),
            (["eval_dataset=missing.jsonl"], "missing.jsonl", 1), (["--layout", "7"], "expected 5 or 6", 64),
            (["--layou", "6"], "--layou", 64), (["--batch-size", "13"], "has 12 rows", 1),
        ]
    )
    func refusals(_ values: [String], _ text: String, _ code: Int32) throws {
        try withTemporaryFolder { folder in
            let result = try Command.run(arguments(folder) + values)
            #expect(result.code == code && result.errors.contains(text), "\(result.errors)")
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/run"))
        }
    }
}

@Suite("ettin finetune sparse")
struct FinetuneSparseCommandTests {
    @Test("A sparse model is trained, and ettin sparse runs it")
    func run() throws {
        try withTemporaryFolder { folder in
            let lines = (0..<12).map { "{\"query\": \"question \($0)\", \"answer\": \"the answer of number \($0)\"}\n" }
            try lines.joined().write(toFile: "\(folder)/pairs.jsonl", atomically: true, encoding: .utf8)
            let words = [
                "finetune", "sparse", "--model", try TinyModels.shared().encoder, "--train", "\(folder)/pairs.jsonl",
                "--output", "\(folder)/run", "--batch-size", "4", "--epochs", "1", "--layout", "6", "logging_steps=1",
                "report_to=none", "fp16=true",
            ]
            let plan = try Command.succeed(words + ["--dry-run"])
            #expect(plan.output.contains("bf16, in place of fp16"), "\(plan.output)")
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/run"))
            let report = try Command.succeed(words + ["--json"]).document()
            #expect(report["finished"] == true && report["step"] == 3)
            let model = try #require(report["model"]?.stringValue)
            #expect(try Command.succeed(["sparse", model, "question 1"]).objects().count == 1)
            let history = try JSONValue(
                parsing: String(contentsOfFile: "\(folder)/run/trainer_state.json", encoding: .utf8)
            )
            #expect(history["log_history"]?[0]?["document_regularizer_loss"]?.doubleValue == 0)
            let alone = try Command.run(words + ["overwrite_output_dir=true", "loss=FlopsLoss"])
            #expect(alone.code == 1)
            #expect(alone.errors.contains("loss: is FlopsLoss; expected SpladeLoss"), "\(alone.errors)")
        }
    }
}
