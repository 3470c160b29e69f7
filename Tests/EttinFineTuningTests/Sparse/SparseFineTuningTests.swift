import EttinEvaluation
import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import EttinTraining
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinFineTuning

@Suite("Fine-tuning a sparse model")
struct SparseFineTuningTests {
    private static let splade =
        "loss={type: SpladeLoss, loss: SparseMultipleNegativesRankingLoss, document_regularizer_weight: 3e-2, "
        + "query_regularizer_weight: 5e-2}"

    private func recipe(_ run: TinyRun, _ output: String = "run", _ values: String...) throws -> SparseRecipe {
        try SparseRecipe(
            values: [
                "model_name_or_path=\(run.folder.file("model"))", "train_dataset=\(run.folder.file("train.jsonl"))",
                "eval_dataset=\(run.folder.file("dev.jsonl"))", "output_dir=\(run.folder.file(output))", Self.splade,
                "evaluator={type: SparseTripletEvaluator, name: dev}", "batch_sampler=no_duplicates",
                "per_device_train_batch_size=4", "per_device_eval_batch_size=4", "num_train_epochs=2",
                "learning_rate=5e-3", "warmup_ratio=0.1", "logging_steps=1", "eval_strategy=steps", "eval_steps=2",
                "save_steps=2", "report_to=none",
            ] + values
        )
    }

    @discardableResult
    private func train(_ recipe: SparseRecipe, steps: Int = .max) throws -> FineTuningSession {
        try trained(steps: steps) { try FineTuningSession(recipe, $0) }
    }

    private func json(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: path))))
    }

    @Test("A run trains, logs the parts of its loss, and ends in a folder that inference loads")
    func run() throws {
        let run = try TinyRun()
        let session = try train(recipe(run))
        let history = session.progress.history
        let losses = history.compactMap { $0["loss"]?.doubleValue }
        #expect(losses.count == 6 && losses.allSatisfy { $0.isFinite }, "\(losses)")
        let base = history.compactMap { $0["base_loss"]?.doubleValue }
        #expect(base.dropFirst().contains { $0 < base[0] }, "\(base)")
        #expect(
            history[0].keys == [
                "loss", "grad_norm", "learning_rate", "base_loss", "document_regularizer_loss",
                "query_regularizer_loss", "epoch", "step",
            ]
        )
        // The first update has no regularisation.
        #expect(history[0]["document_regularizer_loss"]?.doubleValue == 0)
        #expect(history[1]["document_regularizer_loss"]?.doubleValue ?? 0 > 0)
        let evaluation = try #require(history.first { $0["eval_loss"] != nil })
        #expect(
            evaluation.keys == [
                "eval_loss", "eval_dev_dot_accuracy", "eval_dev_anchor_active_dims", "eval_dev_anchor_sparsity_ratio",
                "eval_dev_positive_active_dims", "eval_dev_positive_sparsity_ratio", "eval_dev_negative_active_dims",
                "eval_dev_negative_sparsity_ratio", "eval_runtime", "eval_samples_per_second", "eval_steps_per_second",
                "eval_base_loss", "eval_document_regularizer_loss", "eval_query_regularizer_loss", "epoch", "step",
            ]
        )
        let encoder = try SparseEmbeddingPipeline(folder: session.finalFolder)
        let embeddings = try encoder.encode(["the cat", "a dog"])
        #expect(embeddings.count == 2 && embeddings.dimensions == 320)
        #expect(try run.bytes("run/final/model.safetensors") == run.bytes("run/checkpoint-6/model.safetensors"))
        let table = try String(
            contentsOfFile: run.folder.file("run/eval/triplet_evaluation_dev_results.csv"),
            encoding: .utf8
        )
        #expect(table.hasPrefix("epoch,steps,accuracy_dot,anchor_active_dims,anchor_sparsity_ratio,positive_"))
        let card = try String(contentsOfFile: session.finalFolder + "/README.md", encoding: .utf8)
        for line in ["- splade", "loss:FlopsLoss", "pipeline_tag: feature-extraction", "SparseEncoder(\"path"] {
            #expect(card.contains(line), "\(line)")
        }
        #expect(try json(run.folder.file("run/run.json"))["kind"] == "sparse")
        // The weights of the regularisers are only with the loggers.
        let metrics = try String(contentsOfFile: run.folder.file("run/metrics.jsonl"), encoding: .utf8)
        #expect(metrics.contains("query_regularizer_weight"))
    }

    @Test("A run that stops anywhere is resumed to the same bits", arguments: [1, 3])
    func resuming(steps: Int) throws {
        let run = try TinyRun(dropout: 0.1)
        func recipe(_ output: String, _ schedule: String = "quadratic") throws -> SparseRecipe {
            try self.recipe(
                run,
                output,
                "regularizer_scheduler=\(schedule)",
                "gradient_accumulation_steps=2",
                "num_train_epochs=3",
                "autoresume=true",
                "logging_steps=2",
                "loss={type: CachedSpladeLoss, mini_batch_size: 3, loss: SparseMultipleNegativesRankingLoss, "
                    + "document_regularizer_weight: 3e-2, query_regularizer_weight: 5e-2}"
            )
        }
        let whole = try train(recipe("whole"))
        func stop() throws -> Int { try train(recipe("parts"), steps: steps).progress.clock.batch }
        #expect(try stop() == steps)
        let resumed = try train(recipe("parts"))
        for file in ["final/model.safetensors", "checkpoint-6/optimizer.safetensors", "final/README.md"] {
            #expect(try run.bytes("whole/\(file)") == run.bytes("parts/\(file)"), "\(file)")
        }
        func entries(_ session: FineTuningSession) -> [JSONObject] {
            session.progress.history.filter { $0["loss"] != nil }
        }
        #expect(entries(resumed) == entries(whole))
        // What is regularised how is part of what a run is.
        let other = #expect(throws: TrainingError.self) { try train(recipe("parts", "linear")) }
        #expect("\(try #require(other))".contains("regularizer_scheduler"), "\(String(describing: other))")
    }

    @Test("Passes that are cut give the gradients of one pass", arguments: [0, 0.1])
    func slices(dropout: Double) throws {
        let run = try TinyRun(dropout: dropout)
        func losses(_ type: String) throws -> [Double] {
            let loss =
                "{type: \(type), loss: SparseMultipleNegativesRankingLoss, document_regularizer_weight: 3e-2, "
                + "query_regularizer_weight: 5e-2\(type == "SpladeLoss" ? "" : ", mini_batch_size: 5")}"
            let session = try train(recipe(run, type, "loss=\(loss)", "eval_strategy=no"))
            return session.progress.history.compactMap { $0["loss"]?.doubleValue }
        }
        let (whole, cut) = (try losses("SpladeLoss"), try losses("CachedSpladeLoss"))
        guard dropout == 0 else { return #expect(cut.allSatisfy { $0.isFinite }) }
        for (one, other) in zip(whole, cut) { #expect(abs(one - other) <= 2e-4 * abs(one), "\(whole) \(cut)") }
    }

    @Test("Folders have the layout that the recipe asks for", arguments: [5, 6])
    func layouts(_ layout: Int) throws {
        let run = try TinyRun()
        let session = try train(
            recipe(
                run,
                "run",
                "max_steps=1",
                "layout=\(layout)",
                "max_seq_length=16",
                "pooling_strategy=sum",
                "max_active_dims=40",
                "model_prompts={query: 'q: '}"
            )
        )
        let modules = try json(session.finalFolder + "/modules.json").arrayValue ?? []
        let isNew = layout == 6
        #expect(
            modules[0]["type"]?.stringValue
                == (isNew
                    ? "sentence_transformers.base.modules.transformer.Transformer"
                    : "sentence_transformers.sparse_encoder.models.MLMTransformer")
        )
        #expect(
            modules[1]["type"]?.stringValue
                == "sentence_transformers.sparse_encoder."
                + (isNew ? "modules.splade_pooling.SpladePooling" : "models.SpladePooling")
        )
        #expect(modules[1]["path"] == "1_SpladePooling")
        let pooling = try json(session.finalFolder + "/1_SpladePooling/config.json")
        #expect(pooling["pooling_strategy"] == "sum" && pooling["activation_function"] == "relu")
        #expect(pooling[isNew ? "embedding_dimension" : "word_embedding_dimension"] == 320)
        #expect(pooling.objectValue?.count == 3)
        let settings = try json(session.finalFolder + "/config_sentence_transformers.json")
        #expect(settings["model_type"] == "SparseEncoder" && settings["similarity_fn_name"] == "dot")
        #expect(settings["prompts"] == ["query": "q: ", "document": ""] && settings["max_active_dims"] == 40)
        let transformer = try json(session.finalFolder + "/sentence_bert_config.json")
        #expect(isNew ? transformer["transformer_task"] == "fill-mask" : transformer["max_seq_length"] == 16)
        let encoder = try SparseEmbeddingPipeline(folder: session.finalFolder)
        #expect(encoder.model.pooling?.strategy == .sum && encoder.preparer.limit() == 16)
        #expect(try encoder.encode(["the cat sat on the mat"])[0].count <= 40)
        // A sparse folder is trained further.
        let further = try train(
            recipe(run, "further", "max_steps=1", "model_name_or_path=\(session.finalFolder)", "layout=\(layout)")
        )
        #expect(try json(further.finalFolder + "/1_SpladePooling/config.json")["pooling_strategy"] == "sum")
    }

    @Test("Losses of cosine make it the model's similarity, unless the recipe says another")
    func similarity() throws {
        let run = try TinyRun()
        try """
        {"one": "a cat", "two": "the mat", "score": 0.2}
        {"one": "a dog", "two": "the sun", "score": 0.9}

        """.write(toFile: run.folder.file("pairs.jsonl"), atomically: true, encoding: .utf8)
        for (values, expected) in [([], "cosine"), (["similarity_fn_name=dot"], "dot")] {
            let recipe = try SparseRecipe(
                values: [
                    "model_name_or_path=\(run.folder.file("model"))", "train_dataset=\(run.folder.file("pairs.jsonl"))",
                    "output_dir=\(run.folder.file(expected))", "max_steps=1", "per_device_train_batch_size=2",
                    "loss={type: SpladeLoss, loss: SparseCoSENTLoss, document_regularizer_weight: 1e-3}",
                    "report_to=none",
                ] + values
            )
            let session = try train(recipe)
            #expect(session.notices.contains { $0.contains("becomes cosine") } == (expected == "cosine"))
            let settings = try json(session.finalFolder + "/config_sentence_transformers.json")
            #expect(settings["similarity_fn_name"]?.stringValue == expected)
        }
    }

    struct Refusal: CustomStringConvertible {
        let values: [String]
        let text: String
        var description: String { values.joined(separator: " ") }
    }

    @Test(
        "Data and values that do not fit are refused before anything is written",
        arguments: [
            Refusal(values: ["columns=[query]"], text: "2 or more columns"),
            Refusal(values: ["columns=[query, answer]"], text: "answer"),
            Refusal(values: ["pooling_strategy=mean"], text: "max, sum"),
            Refusal(values: ["activation_function=log1p_rel"], text: "log1p_relu"),
            Refusal(values: ["max_active_dims=0"], text: "max_active_dims"),
            Refusal(values: ["max_seq_length=99"], text: "at most 32"),
            Refusal(values: ["regularizer_scheduler={warmup_ratio: 0}"], text: "above 0"),
            Refusal(values: ["regularizer_scheduler={type: cubic}"], text: "linear, quadratic"),
            Refusal(values: ["evaluator=TripletEvaluator"], text: "SparseTripletEvaluator"),
            Refusal(values: ["evaluator={type: SparseTripletEvaluator, truncate_dim: 4}"], text: "truncate_dim"),
            Refusal(values: ["evaluator={type: SparseTripletEvaluator, max_active_dims: 0}"], text: "max_active_dims"),
            Refusal(values: ["evaluator=SparseMSEEvaluator"], text: "teacher_model"),
            Refusal(values: ["pooling_mode=mean"], text: "pooling_mode: is not a key of a recipe of sparse models"),
            Refusal(values: ["loss=MultipleNegativesRankingLoss"], text: "MultipleNegativesRankingLoss"),
        ]
    )
    func refusals(_ refusal: Refusal) throws {
        let run = try TinyRun()
        let error = #expect(throws: (any Error).self) {
            var recipe = try SparseRecipe(
                values: [
                    "model_name_or_path=\(run.folder.file("model"))", "train_dataset=\(run.folder.file("train.jsonl"))",
                    "eval_dataset=\(run.folder.file("dev.jsonl"))", "output_dir=\(run.folder.file("run"))",
                    "per_device_train_batch_size=4", Self.splade,
                ] + refusal.values
            )
            recipe.arguments.showsProgress = false
            try train(recipe)
        }
        #expect("\(try #require(error))".contains(refusal.text), "\(String(describing: error))")
        #expect(!FilePath.exists(run.folder.file("run/final")))
    }

    @Test("A model without a masked-LM head is refused", arguments: [ModelKind.decoder])
    func headless(kind: ModelKind) throws {
        let run = try TinyRun(kind: kind)
        let error = #expect(throws: (any Error).self) { try train(recipe(run)) }
        #expect("\(try #require(error))".contains("masked language model"), "\(String(describing: error))")
        #expect(!FilePath.exists(run.folder.file("run")))
    }

    @Test("fp16 is bfloat16, and the plan says so")
    func float16() throws {
        let run = try TinyRun()
        let session = try FineTuningSession(recipe(run, "run", "fp16=true", "bf16=false"))
        #expect(session.plan.text.contains("bf16, in place of fp16"), "\(session.plan.text)")
        // Each text of a batch has a weight for each entry of the vocabulary.
        let width = try SparseModel.loadForTraining(folder: run.folder.file("model")).dimensions
        #expect(session.plan.activationBytes > Double(16 * width * session.plan.batch.rows))
        #expect(session.notices.contains { $0.hasPrefix("fp16 takes products in bfloat16") })
        let trained = try train(recipe(run, "run", "fp16=true", "max_steps=3"))
        let losses = trained.progress.history.compactMap { $0["loss"]?.doubleValue }
        #expect(losses.count == 3 && losses.allSatisfy(\.isFinite))
    }

    @Test("A teacher's weights are neared by an evaluator")
    func teacher() throws {
        let run = try TinyRun()
        let evaluator =
            "evaluator={type: SparseMSEEvaluator, name: same, columns: [query], teacher_model: \(run.folder.file("model"))}"
        let session = try train(recipe(run, "run", evaluator, "eval_on_start=true", "max_steps=2"))
        let errors = session.progress.history.compactMap { $0["eval_same_negative_mse"]?.doubleValue }
        // Before the first update the model is its own teacher.
        #expect(errors.count == 2 && abs(errors[0]) < 1e-6 && errors[1] < -1e-3, "\(errors)")
    }

    @Test(
        "The run of sentence-transformers is followed step by step",
        .enabled(if: SharedData.isAvailable, "needs shared/golden")
    )
    func golden() throws {
        let golden = try #require(SharedData.folder) + "/golden/finetune"
        let traces = try json("\(golden)/training_traces.json")
        let trace = try #require(traces["sparse"])
        let run = try TinyRun()
        let rows = try #require(traces["triplet_rows"]?.arrayValue).map {
            $0.arrayValue?.compactMap(\.stringValue) ?? []
        }
        try run.write(rows, to: "train.jsonl")
        try run.write(Array(rows.prefix(6)), to: "dev.jsonl")
        let session = try train(
            recipe(run, "run", "model_name_or_path=\(golden)/models/sparse", "evaluator=null")
        )
        let expected = try #require(trace["log_history"]?.arrayValue)
        let found = session.progress.history
        #expect(found.count == expected.count)
        for (entry, other) in zip(found, expected) {
            let speed = ["eval_runtime", "eval_samples_per_second", "eval_steps_per_second"]
            let speeds = entry.keys.filter { speed.contains($0) || $0 == "total_flos" || $0.hasPrefix("train_") }
            if entry["train_loss"] == nil {
                #expect(entry.keys.filter { !speeds.contains($0) } == other.objectValue?.keys.map(\.self))
            }
            for member in other.objectValue ?? [:] {
                let (value, wanted) = (entry[member.key]?.doubleValue ?? .nan, member.value.doubleValue ?? .nan)
                #expect(
                    abs(value - wanted) <= 1e-4 * max(1, abs(wanted)),
                    "step \(other["step"] ?? 0), \(member.key): \(value) is not \(wanted)"
                )
            }
        }
    }

    @Test(
        "The golden model gives the golden weights",
        .enabled(if: SharedData.isAvailable, "needs shared/golden")
    )
    func goldenModel() throws {
        let golden = try #require(SharedData.folder) + "/golden/finetune"
        let expected = try #require(json("\(golden)/models_expected.json")["sparse"])
        let model = try SparseModel.loadForTraining(folder: "\(golden)/models/sparse")
        let preparer = try SparseEmbeddingPipeline(training: model).preparer
        let texts = try #require(expected["sentences"]?.arrayValue).compactMap { $0.stringValue }
        let prepared = try preparer.prepare(texts)
        let weights = model.rows(of: prepared, task: nil, dropout: DropoutContext(step: 0), precision: .full)
        let values = try weights.array(of: Float.self)
        for (row, first) in try #require(expected["embeddings_first12"]?.arrayValue).enumerated() {
            for (column, value) in (first.arrayValue ?? []).enumerated() {
                LossFixtures.expectClose(
                    Double(values[row * model.dimensions + column]),
                    value.doubleValue ?? .nan,
                    tolerance: 1e-5
                )
            }
        }
        let sums = [290.21481, 274.48712, 216.42316]
        for (row, sum) in sums.enumerated() {
            let found = values[row * model.dimensions..<(row + 1) * model.dimensions]
            LossFixtures.expectClose(found.reduce(0) { $0 + Double($1) }, sum, tolerance: 1e-5)
            #expect(found.count { $0 != 0 } == [301, 303, 273][row])
        }
    }
}
