import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import EttinTables
import EttinTraining
import Foundation
import TestSupport
import Testing

@testable import EttinFineTuning

@Suite("Fine-tuning an embedding model")
struct EmbeddingFineTuningTests {
    private func json(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: path))))
    }

    @Test("A run trains, measures, saves, and ends in a folder that inference loads")
    func run() throws {
        let run = try TinyRun()
        let session = try run.train(run.recipe())
        let history = session.progress.history
        #expect(history.compactMap { $0["step"]?.intValue } == [1, 2, 2, 3, 4, 4, 5, 6, 6, 6])
        let losses = history.compactMap { $0["loss"]?.doubleValue }
        #expect(losses.count == 6 && losses[5] < losses[0], "\(losses)")
        // The first step of a warm-up changes nothing.
        #expect(history[0]["learning_rate"]?.doubleValue == 0)
        #expect(Array(history[2].keys.prefix(2)) == ["eval_loss", "eval_dev_cosine_accuracy"])
        #expect(try session.trainer.store.entries().map(\.batch) == [2, 4, 6])
        let encoder = try TextEmbeddingPipeline(folder: session.finalFolder)
        let embeddings = try encoder.encode(["the cat", "a dog"])
        #expect(embeddings.count == 2 && embeddings.dimensions == 32)
        #expect(try run.bytes("run/final/model.safetensors") == run.bytes("run/checkpoint-6/model.safetensors"))
        let table = try String(
            contentsOfFile: run.folder.file("run/eval/triplet_evaluation_dev_results.csv"),
            encoding: .utf8
        )
        #expect(table.split(separator: "\r\n").count == 4)
        let card = try String(contentsOfFile: session.finalFolder + "/README.md", encoding: .utf8)
        for line in ["dataset_size:10", "loss:CachedMultipleNegativesRankingLoss", "pipeline_tag: sentence-similarity"]
        {
            #expect(card.contains(line), "\(line)")
        }
    }

    @Test("A run that stops anywhere is resumed to the same bits", arguments: [1, 2, 3, 5])
    func resuming(steps: Int) throws {
        let run = try TinyRun(dropout: 0.1)
        func recipe(_ output: String) throws -> EmbeddingRecipe {
            try run.recipe(output, "gradient_accumulation_steps=2", "num_train_epochs=3", "autoresume=true")
        }
        let whole = try run.train(recipe("whole"))
        #expect(whole.plan.length.stepsPerEpoch == 2 && whole.plan.length.totalSteps == 6)
        // A session holds its folder as long as it lives.
        func stop() throws -> (batch: Int, final: String) {
            let session = try run.train(recipe("parts"), steps: steps)
            return (session.progress.clock.batch, session.finalFolder)
        }
        let stopped = try stop()
        #expect(stopped.batch == steps && !FilePath.exists(stopped.final))
        let resumed = try run.train(recipe("parts"))
        for file in ["final/model.safetensors", "checkpoint-6/optimizer.safetensors", "final/README.md"] {
            #expect(try run.bytes("whole/\(file)") == run.bytes("parts/\(file)"), "\(file)")
        }
        func trainEntries(_ session: FineTuningSession) -> [JSONObject] {
            session.progress.history.filter { $0["loss"] != nil }
        }
        #expect(trainEntries(resumed) == trainEntries(whole))
    }

    @Test("The best model is what the run ends with, and with a limit of 1 what stays")
    func best() throws {
        let run = try TinyRun()
        let session = try run.train(
            run.recipe(
                "run",
                "load_best_model_at_end=true",
                "save_total_limit=1",
                "learning_rate=0.5",
                "warmup_ratio=0"
            )
        )
        let best = try #require(session.trainer.best?.batch)
        #expect(try session.trainer.store.entries().map(\.batch) == [best])
        #expect(try run.bytes("run/final/model.safetensors") == run.bytes("run/checkpoint-\(best)/model.safetensors"))
        #expect(try json(run.folder.file("run/trainer_state.json"))["best_global_step"]?.intValue == best)
    }

    @Test(
        "A folder in the layout of versions from 6 says the same",
        arguments: [["pooling_mode=mean"], ["normalize=true"]]
    )
    func layouts(_ values: [String]) throws {
        let run = try TinyRun()
        let old = try run.recipe("old", values[0], "max_steps=1")
        let new = try run.recipe("new", values[0], "max_steps=1", "layout=6", "max_seq_length=16")
        try run.train(old)
        try run.train(new)
        let modules = try json(run.folder.file("new/final/modules.json")).arrayValue ?? []
        #expect(modules[0]["type"] == "sentence_transformers.base.modules.transformer.Transformer")
        #expect(modules[1]["type"] == "sentence_transformers.sentence_transformer.modules.pooling.Pooling")
        let pooling = try json(run.folder.file("new/final/1_Pooling/config.json"))
        #expect(pooling["embedding_dimension"] == 32 && pooling["pooling_mode"] == "mean")
        #expect(pooling["include_prompt"] == true && pooling.objectValue?.count == 3)
        #expect(try json(run.folder.file("new/final/tokenizer_config.json"))["model_max_length"] == 16)
        let bert = try json(run.folder.file("new/final/sentence_bert_config.json"))
        #expect(
            Set(bert.objectValue?.keys.map(\.self) ?? []) == [
                "transformer_task", "modality_config", "module_output_name",
            ]
        )
        let oldBert = try json(run.folder.file("old/final/sentence_bert_config.json"))
        #expect(oldBert == ["do_lower_case": false, "max_seq_length": 32])
        let about = try json(run.folder.file("old/final/config_sentence_transformers.json"))
        #expect(about["prompts"] == ["query": "", "document": ""])
        let texts = ["the cat sat"]
        let vectors = try ["old", "new"].map {
            try TextEmbeddingPipeline(folder: run.folder.file("\($0)/final")).encode(texts).values
        }
        #expect(vectors[0] == vectors[1])
    }

    struct Refusal: CustomStringConvertible {
        let values: [String]
        let text: String
        var description: String { values.joined(separator: " ") }
    }

    @Test(
        "Data and values that do not fit are refused before anything is written",
        arguments: [
            Refusal(values: ["loss=CoSENTLoss"], text: "CoSENTLoss"),
            Refusal(values: ["columns=[query]"], text: "column"),
            Refusal(values: ["columns=[query, answer]"], text: "answer"),
            Refusal(
                values: ["per_device_train_batch_size=64", "dataloader_drop_last=true"],
                text: "dataloader_drop_last: false"
            ),
            Refusal(values: ["max_seq_length=99"], text: "at most 32"),
            Refusal(values: ["metric_for_best_model=f1", "load_best_model_at_end=true"], text: "eval_f1"),
            Refusal(values: ["learning_rate_mapping={nothing: 1e-3}"], text: "which no parameter matches"),
            Refusal(values: ["resume_from_checkpoint=true"], text: "no checkpoint"),
            Refusal(values: ["prompts={answer: x}"], text: "answer"),
            Refusal(values: ["per_device_train_batch_size=11"], text: "has 10 rows"),
            Refusal(
                values: ["per_device_eval_batch_size=64", "dataloader_drop_last=true"],
                text: "a smaller per_device_eval_batch_size"
            ),
        ]
    )
    func refusals(_ refusal: Refusal) throws {
        let run = try TinyRun()
        let error = #expect(throws: (any Error).self) {
            try run.train(run.recipe("run", overriding: refusal.values))
        }
        #expect("\(try #require(error))".contains(refusal.text), "\(String(describing: error))")
        #expect(!FilePath.exists(run.folder.file("run/final")))
    }

    @Test("A value that is not a text is named by file and line")
    func brokenRow() throws {
        let run = try TinyRun()
        var lines = try String(contentsOfFile: run.folder.file("train.jsonl"), encoding: .utf8)
        lines += "{\"query\": 3, \"positive\": \"a\", \"negative\": \"b\"}\n"
        try lines.write(toFile: run.folder.file("train.jsonl"), atomically: true, encoding: .utf8)
        let error = #expect(throws: (any Error).self) { try run.train(run.recipe()) }
        #expect("\(try #require(error))".contains("train.jsonl"), "\(String(describing: error))")
        #expect("\(try #require(error))".contains("11"), "\(String(describing: error))")
        #expect(!FilePath.exists(run.folder.file("run")))
    }

    @Test("Data whose first pass has no batch is refused before anything is written")
    func noBatch() throws {
        let run = try TinyRun()
        try run.write(TinyRun.rows.map { [$0[0], $0[1], "the same"] }, to: "train.jsonl")
        let error = #expect(throws: TrainingError.self) {
            try run.train(run.recipe("run", "dataloader_drop_last=true"))
        }
        #expect("\(try #require(error))".contains("too many rows share a value"), "\(String(describing: error))")
        #expect(!FilePath.exists(run.folder.file("run")))
    }

    @Test("With a loss for each data set, every data set has a name")
    func namelessData() throws {
        let run = try TinyRun()
        let error = #expect(throws: TrainingError.self) {
            try run.train(
                run.recipe(
                    "run",
                    "train_dataset={one: \(run.folder.file("train.jsonl"))}",
                    "loss={one: {type: MultipleNegativesRankingLoss}}"
                )
            )
        }
        #expect("\(try #require(error))".contains("eval_dataset: is a data set without a name"))
        #expect(!FilePath.exists(run.folder.file("run")))
    }

    @Test(
        "Labels that the loss does not take are refused before anything is written",
        arguments: [
            ["MSELoss", "[1, 2, 3]", "expected 32 numbers"],
            ["OnlineContrastiveLoss", "0.5", "is 0.5; expected 0 or 1 as the label"],
        ]
    )
    func labels(_ example: [String]) throws {
        let run = try TinyRun()
        let row = "{\"query\": \"a cat\", \"positive\": \"the mat\", \"label\": \(example[1])}\n"
        try row.write(toFile: run.folder.file("train.jsonl"), atomically: true, encoding: .utf8)
        let error = #expect(throws: TrainingError.self) { try run.train(run.recipe("run", "loss=\(example[0])")) }
        #expect("\(try #require(error))".contains(example[2]), "\(String(describing: error))")
        #expect(!FilePath.exists(run.folder.file("run")))
    }

    @Test("A loss of several sizes of embeddings is trained by slices")
    func matryoshka() throws {
        let run = try TinyRun()
        let loss = "{type: CachedMultipleNegativesRankingLoss, mini_batch_size: 3}"
        let session = try run.train(
            run.recipe("run", "loss={type: MatryoshkaLoss, matryoshka_dims: [32, 8], loss: \(loss)}", "max_steps=3")
        )
        let losses = session.progress.history.compactMap { $0["loss"]?.doubleValue }
        #expect(losses.count == 3 && losses.allSatisfy { $0 > 0 && $0.isFinite }, "\(losses)")
    }

    @Test("A teacher sees no more of a text than the model reads")
    func textsForATeacher() throws {
        let run = try TinyRun()
        let session = try run.train(run.recipe("run", "max_steps=1", "max_seq_length=5"))
        let encoder = try TextEmbeddingPipeline(folder: session.finalFolder)
        let reading = EmbeddingReading(preparer: encoder.preparer, truncatesLeft: false, keepsTexts: true)
        let set = try TrainingColumns(TableOpening().open([run.folder.file("train.jsonl")]))
        let batch = try reading.prepared([0, 4], of: set, step: 0)
        #expect(batch.columns[2].map(\.isTruncated) == [true, false])
        #expect(batch.texts[2][1] == "a dog")
        let shown = batch.texts[2][0]
        #expect(!shown.isEmpty && shown != Self.longText && Self.longText.hasPrefix(shown), "\(shown)")
    }

    private static let longText = "the cat sat on the mat"

    @Test("A folder that holds a run is neither replaced nor continued unless told")
    func occupied() throws {
        let run = try TinyRun()
        try run.train(run.recipe("run", "max_steps=2"))
        let error = #expect(throws: TrainingError.self) { try run.train(run.recipe("run", "max_steps=2")) }
        #expect("\(try #require(error))".contains("overwrite_output_dir=true"))
        try run.train(run.recipe("run", "max_steps=2", "overwrite_output_dir=true"))
        let other = #expect(throws: TrainingError.self) {
            try run.train(run.recipe("run", "max_steps=4", "autoresume=true", "per_device_train_batch_size=2"))
        }
        #expect("\(try #require(other))".contains("per_device_train_batch_size"))
    }

    @Test("The plan counts steps, tokens and memory")
    func plan() throws {
        let run = try TinyRun()
        let session = try FineTuningSession(run.recipe("run"))
        let plan = session.plan
        #expect(plan.length.totalSteps == 6 && plan.length.stepsPerEpoch == 3 && plan.length.warmupSteps == 1)
        #expect(plan.rows == 10 && plan.tokensPerRow > 9 && plan.stateBytes == 16 * Double(plan.parameters))
        #expect(plan.json["max_steps"] == 6 && plan.text.contains("CachedMultipleNegativesRankingLoss"))
        #expect(!FilePath.exists(run.folder.file("run")))
    }

    @Test(
        "The run of sentence-transformers is followed step by step",
        .enabled(if: SharedData.isAvailable, "needs shared/golden")
    )
    func golden() throws {
        let golden = try #require(SharedData.folder) + "/golden/finetune"
        let traces = try json("\(golden)/training_traces.json")
        let run = try TinyRun()
        let rows = try #require(traces["triplet_rows"]?.arrayValue).map {
            $0.arrayValue?.compactMap(\.stringValue) ?? []
        }
        try run.write(rows, to: "train.jsonl")
        try run.write(Array(rows.prefix(6)), to: "dev.jsonl")
        // The folder of the sparse model without what makes it one is a plain checkpoint.
        let base = run.folder.file("base")
        try FileManager.default.createDirectory(atPath: base, withIntermediateDirectories: true)
        for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
            try FileManager.default.copyItem(atPath: "\(golden)/models/sparse/\(name)", toPath: "\(base)/\(name)")
        }
        let session = try run.train(
            run.recipe("run", "model_name_or_path=\(base)", "pooling_mode=mean", "load_best_model_at_end=true")
        )
        let expected = try #require(traces["dense"]?["log_history"]?.arrayValue)
        let found = session.progress.history
        #expect(found.count == expected.count)
        for (entry, other) in zip(found, expected) {
            for member in other.objectValue ?? [:] {
                let (value, wanted) = (entry[member.key]?.doubleValue ?? .nan, member.value.doubleValue ?? .nan)
                #expect(
                    abs(value - wanted) <= 1e-4 * max(1, abs(wanted)),
                    "step \(other["step"] ?? 0), \(member.key): \(value) is not \(wanted)"
                )
            }
        }
        #expect(session.trainer.best?.batch == 6)
    }
}
