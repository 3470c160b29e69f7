import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import EttinTokenizer
import EttinTraining
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinFineTuning

@Suite("Fine-tuning a classifier")
struct ClassifierFineTuningTests {
    @Test(
        "A run learns named classes, measures, and ends in a folder that inference loads",
        arguments: ModelKind.allCases
    )
    func named(kind: ModelKind) throws {
        let run = try TinyClassifier(kind: kind)
        let session = try run.train(
            run.recipe("named.jsonl", "run", "num_train_epochs=12", "metrics=[accuracy, f1_macro]")
        )
        let evaluations = session.progress.history.filter { $0["eval_accuracy"] != nil }
        #expect(evaluations.count == 12)
        #expect(Array(evaluations[0].keys.prefix(3)) == ["eval_loss", "eval_accuracy", "eval_f1_macro"])
        let last = try #require(evaluations.last?["eval_accuracy"]?.doubleValue)
        #expect(last > 0.9, "\(last)")
        let config = try run.json("run/final/config.json")
        #expect(config["id2label"] == ["0": "animal", "1": "bread", "2": "question"])
        #expect(config["problem_type"] == "single_label_classification")
        let classifier = try TextClassificationPipeline(folder: session.finalFolder)
        let results = try classifier(TinyRun.rows.map { .init($0[0]) }).map { $0.labels[0].label }
        let wanted = TinyRun.rows.indices.map { ["question", "animal", "bread"][$0 % 3] }
        #expect(zip(results, wanted).count { $0 == $1 } >= 9, "\(results)")
        #expect(session.plan.text.contains("transformers") && session.plan.text.contains("\"animal\""))
    }

    @Test("Pairs of a decoder are put together as the template says, also in the folder that is written")
    func decoderPairs() throws {
        let run = try TinyClassifier(kind: .decoder)
        let session = try run.train(
            run.recipe("pairs.jsonl", "run", "max_steps=2", "metrics=[f1, matthews_correlation]")
        )
        #expect(session.plan.text.contains("[CLS] A [SEP] B [SEP]"))
        #expect(session.notices.contains { $0.contains("\"idx\" is not read") })
        let classifier = try TextClassificationPipeline(folder: session.finalFolder)
        let tokenizer = classifier.tokenizer
        let ids = tokenizer.encode("the cat", pair: "the mat").ids
        let own = tokenizer.encode("the cat").ids
        let second = tokenizer.encode("the mat", addSpecialTokens: false).ids
        let (begin, end) = (try #require(tokenizer.clsTokenID), try #require(tokenizer.sepTokenID))
        #expect(own.first == begin && own.last != end)
        #expect(ids == own + [end] + second + [end])
        let joined = try run.train(run.recipe("pairs.jsonl", "other", "max_steps=1", "pair_template=A [SEP] B"))
        let other = try TextClassificationPipeline(folder: joined.finalFolder).tokenizer
        #expect(other.encode("the cat", pair: "the mat").ids == own.dropFirst() + [end] + second)
    }

    @Test("Numbers make a regression, lists of names several labels")
    func problems() throws {
        let run = try TinyClassifier()
        let scored = try run.train(run.recipe("scored.jsonl", "scored", "metrics=[pearson, spearmanr, combined_score]"))
        let config = try run.json("scored/final/config.json")
        #expect(config["problem_type"] == "regression" && config["id2label"] == ["0": "LABEL_0"])
        let figures = scored.progress.evaluation.filter { $0.key.hasPrefix("eval_") }.map(\.key)
        #expect(Array(figures.prefix(4)) == ["eval_loss", "eval_pearson", "eval_spearmanr", "eval_combined_score"])
        let several = try run.train(run.recipe("several.jsonl", "several", "label_column_name=labels"))
        #expect(try run.json("several/final/config.json")["problem_type"] == "multi_label_classification")
        #expect(several.progress.evaluation.contains { $0.key == "eval_f1" })
        let losses = several.progress.history.compactMap { $0["loss"]?.doubleValue }
        #expect(losses[losses.count - 1] < losses[0])
    }

    @Test("A resumed run ends in the same bits, with dropout, in float32 and in bfloat16", arguments: [false, true])
    func resume(bf16: Bool) throws {
        let run = try TinyClassifier(dropout: 0.1)
        func recipe(_ output: String) throws -> ClassifierRecipe {
            try run.recipe(
                "pairs.jsonl",
                output,
                "save_strategy=steps",
                "save_steps=4",
                "bf16=\(bf16)",
                "autoresume=true",
                "num_train_epochs=2",
                "metric_for_best_model=accuracy",
                "early_stopping_patience=5",
                "optim=decoupled_adamw",
                "weight_decay=1e-3"
            )
        }
        let whole = try run.train(recipe("whole"))
        try run.train(recipe("cut"), steps: 5)
        let cut = try run.train(recipe("cut"))
        #expect(whole.progress.clock.batch == 10 && cut.progress.clock.batch == 10)
        #expect(try run.run.bytes("whole/final/model.safetensors") == run.run.bytes("cut/final/model.safetensors"))
    }

    @Test("A run ends early where the metric does not improve, and says so")
    func earlyStopping() throws {
        let run = try TinyClassifier()
        var lines: [String] = []
        var options = FineTuningSession.Options()
        options.onLine = { lines.append($0) }
        let recipe = try run.recipe(
            "named.jsonl",
            "run",
            "learning_rate=1e-12",
            "num_train_epochs=9",
            "save_strategy=epoch",
            "metric_for_best_model=accuracy",
            "early_stopping_patience=2",
            "load_best_model_at_end=true"
        )
        do {
            // Gone before the next, which would find its folder locked.
            let session = try FineTuningSession(recipe, options)
            #expect(try session.run() == .finished)
            #expect(session.progress.clock.batch == 9)
            #expect(lines.contains { $0.contains("training ends after step 9") })
            #expect(FilePath.exists(session.finalFolder))
        }
        // What is finished stays so.
        let again = try run.train(
            run.recipe(
                "named.jsonl",
                "run",
                "learning_rate=1e-12",
                "num_train_epochs=9",
                "save_strategy=epoch",
                "autoresume=true",
                "metric_for_best_model=accuracy",
                "early_stopping_patience=2",
                "load_best_model_at_end=true"
            )
        )
        #expect(again.progress.clock.batch == 9)
    }

    @Test("A classifier for other labels makes way where that is asked for; the rest is kept")
    func transfer() throws {
        let run = try TinyClassifier()
        let three = try run.train(run.recipe("named.jsonl", "three", "max_steps=2"))
        let error = #expect(throws: (any Error).self) {
            try run.train(
                run.recipe("numbered.jsonl", "two", "model_name_or_path=\(three.finalFolder)", "num_labels=2")
            )
        }
        #expect("\(try #require(error))".contains("ignore_mismatched_sizes: true"))
        func head(_ folder: String) throws -> [String: [Float]] {
            let state = try TensorStore.open(folder: folder).stateDictionary()
            return try Dictionary(uniqueKeysWithValues: state.map { ($0.key, try $0.tensor.array()) })
        }
        let before = try head(three.finalFolder)
        for values in [
            ["transfer_from=\(three.finalFolder)"],
            ["model_name_or_path=\(three.finalFolder)", "ignore_mismatched_sizes=true"],
        ] {
            let changed = try ClassifierRecipe(
                values: [
                    "model_name_or_path=\(run.folder.file("model"))",
                    "train_dataset=\(run.folder.file("numbered.jsonl"))",
                    "output_dir=\(run.folder.file("two"))", "learning_rate=1e-12", "max_steps=1",
                    "overwrite_output_dir=true",
                    "per_device_train_batch_size=4", "report_to=none", "save_strategy=no",
                ] + values
            )
            let after = try head(run.train(changed).finalFolder)
            #expect(after["classifier.weight"]?.count == 64 && before["classifier.weight"]?.count == 96)
            let dense = try #require(before["head.dense.weight"])
            let kept = try #require(after["head.dense.weight"])
            #expect(zip(dense, kept).allSatisfy { abs($0 - $1) < 1e-6 })
        }
        // One that has all labels is trained further, under its own names.
        let further = try run.train(
            run.recipe("numbered.jsonl", "further", "model_name_or_path=\(three.finalFolder)", "max_steps=1")
        )
        #expect(try run.json("further/final/config.json")["id2label"]?["2"] == "question")
        #expect(further.notices.contains { $0.contains("of which the data has 2") })
    }

    @Test("Adapters on a transferred model are refused, naming both keys and the way out")
    func transferredAdapters() throws {
        let run = try TinyClassifier()
        #expect {
            try run.recipe("named.jsonl", "run", "use_peft=true", "transfer_from=elsewhere")
        } throws: { error in
            ["transfer_from", "use_peft", "model_name_or_path"].allSatisfy { "\(error)".contains($0) }
        }
    }

    struct BadInput: CustomStringConvertible, Sendable {
        let data: String
        let values: [String]
        let message: String
        var description: String { message }
    }

    @Test(
        "Bad input is refused in one sentence, before anything is written",
        arguments: [
            BadInput(
                data: "named.jsonl",
                values: ["labels=[animal, bread]"],
                message: "is \"question\"; expected a label of the map"
            ),
            BadInput(
                data: "numbered.jsonl",
                values: ["num_labels=3", "metrics=f1"],
                message: "has f1, which single_label_classification with 3 labels"
            ),
            BadInput(data: "named.jsonl", values: ["metrics=pearson"], message: "has pearson, which"),
            BadInput(
                data: "named.jsonl",
                values: ["text_column_names=sentence"],
                message: "text_column_names: has \"sentence\", which"
            ),
            BadInput(
                data: "named.jsonl",
                values: ["label_column_name=class"],
                message: "label_column_name: has \"class\", which"
            ),
            BadInput(data: "named.jsonl", values: ["num_labels=2"], message: "num_labels: is 2, but the data has 3"),
            BadInput(
                data: "scored.jsonl",
                values: ["problem_type=single_label_classification"],
                message: "is 0.25; expected a class"
            ),
            BadInput(
                data: "scored.jsonl",
                values: ["label_smoothing_factor=0.1"],
                message: "label_smoothing_factor: is 0.1, but"
            ),
            BadInput(
                data: "pairs.jsonl",
                values: ["pair_template='[CLS] A <x> B'"],
                message: "has \"<x>\", which the vocabulary lacks"
            ),
            BadInput(data: "several.jsonl", values: ["label_column_name=text"], message: "has no column of texts"),
            BadInput(data: "train.jsonl", values: [], message: "has no column of labels"),
            BadInput(
                data: "numbered.jsonl",
                values: ["problem_type=multi_label_classification", "num_labels=2"],
                message: "a list of labels"
            ),
        ]
    )
    func badInput(bad: BadInput) throws {
        let run = try TinyClassifier()
        let error = #expect(throws: (any Error).self) {
            var recipe = try ClassifierRecipe(
                values: [
                    "model_name_or_path=\(run.folder.file("model"))", "train_dataset=\(run.folder.file(bad.data))",
                    "output_dir=\(run.folder.file("run"))", "per_device_train_batch_size=4",
                ] + bad.values
            )
            recipe.arguments.writesTensorBoard = false
            try run.train(recipe)
        }
        let text = "\(try #require(error))"
        #expect(text.contains(bad.message), "\(text)")
        #expect(!FilePath.exists(run.folder.file("run")))
    }

    @Test(
        "Keys that other kinds have are refused",
        arguments: [
            "loss=MSELoss", "evaluator=TripletEvaluator", "prompts=x", "layout=6", "pair_template=B A",
            "metrics=acuracy",
            "labels=[a, a]", "optim=lion", "early_stopping_patience=2", "early_stopping_threshold=0.1",
        ]
    )
    func badKeys(value: String) throws {
        #expect(throws: TrainingError.self) {
            try ClassifierRecipe(values: ["model_name_or_path=m", "train_dataset=d", value])
        }
    }

    @Test("Losses are those of torch.nn and of transformers' label smoother")
    func losses() throws {
        let logits = Tensor([1, 0, 2, -1, 0.5, 0.25] as [Float], shape: [2, 3])
        func loss(_ problem: ProblemType, _ values: [Double], smoothing: Double = 0) throws -> Double {
            try ClassifierObjective(problem: problem, smoothing: smoothing)(logits, values).scalar()
        }
        // By torch: cross_entropy of the labels 2 and 1, with label_smoothing 0.1; BCEWithLogitsLoss; MSELoss.
        let losses = [
            try loss(.singleLabelClassification, [2, 1]),
            try loss(.singleLabelClassification, [2, 1], smoothing: 0.1),
            try loss(.multiLabelClassification, [0, 1, 1, 0, 0, 1]), try loss(.regression, [0, 1, 1, 0, 0, 1]),
        ]
        for (loss, expected) in zip(losses, [0.5508591, 0.6300257, 0.6661025, 0.8020833]) {
            #expect(abs(loss - expected) < 1e-6)
        }
    }
}
