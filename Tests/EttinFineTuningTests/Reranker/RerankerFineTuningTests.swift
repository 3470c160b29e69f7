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

@Suite("Fine-tuning a reranker")
struct RerankerFineTuningTests {
    private let pairs = [
        TextPair("where is the cat", "the cat sat on the mat"), TextPair("where is the cat", "bake the bread"),
    ]

    @Test("A run trains, measures beside the retriever, and ends in a folder that inference loads")
    func run() throws {
        let run = try TinyReranker()
        let session = try run.train(run.recipe())
        let history = session.progress.history
        let losses = history.compactMap { $0["loss"]?.doubleValue }
        #expect(losses.count == 10 && losses[9] < losses[0], "\(losses)")
        let evaluation = try #require(history.first { $0["eval_dev_ndcg@10"] != nil })
        #expect(
            Array(evaluation.keys.prefix(6)) == [
                "eval_dev_map", "eval_dev_mrr@10", "eval_dev_ndcg@10", "eval_dev_base_map", "eval_dev_base_mrr@10",
                "eval_dev_base_ndcg@10",
            ]
        )
        #expect(evaluation["eval_dev_base_map"]?.doubleValue == 0.5)
        let config = try run.json("run/final/config.json")
        #expect(config["architectures"] == ["ModernBertForSequenceClassification"])
        #expect(config["id2label"] == ["0": "LABEL_0"] && config["label2id"] == ["LABEL_0": 0])
        #expect(config["sentence_transformers"]?["activation_fn"] == "torch.nn.modules.activation.Sigmoid")
        #expect(!FilePath.exists(run.folder.file("run/final/modules.json")))
        let scores = try RerankingPipeline(folder: session.finalFolder).predict(pairs).map(\.value)
        #expect(scores[0] > scores[1] && scores.allSatisfy { 0...1 ~= $0 }, "\(scores)")
        let card = try String(contentsOfFile: session.finalFolder + "/README.md", encoding: .utf8)
        for line in ["dataset_size:20", "loss:BinaryCrossEntropyLoss", "pipeline_tag: text-ranking", "cross-encoder"] {
            #expect(card.contains(line), "\(line)")
        }
        let table = try String(
            contentsOfFile: run.folder.file("run/eval/CrossEncoderRerankingEvaluator_dev_results_@10.csv"),
            encoding: .utf8
        )
        #expect(table.split(separator: "\r\n").count == 3)
    }

    @Test("The dense layer and the norm of the masked-LM head are taken over; the classifier is the seed's")
    func headReuse() throws {
        let run = try TinyReranker()
        func made(_ head: RerankerModel.Head, seed: UInt64) throws -> [String: [Float]] {
            let (model, notices) = try RerankerModel.made(
                ofEncoder: run.folder.file("model"),
                head: head,
                labelCount: 1,
                pooling: nil,
                seed: seed
            )
            #expect(notices == [] && model.head == head)
            return try Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.key, try $0.tensor.array()) })
        }
        let state = try TensorStore.open(folder: run.folder.file("model")).stateDictionary()
        let dense: [Float] = try #require(state.first { $0.key == "head.dense.weight" }).tensor.array()
        let classifiers = try [made(.classification, seed: 1), made(.classification, seed: 2)]
        #expect(classifiers[0]["0.head.dense.weight"] == dense)
        #expect(classifiers[0]["0.classifier.bias"] == [0])
        let weights = classifiers.compactMap { $0["0.classifier.weight"] }
        #expect(weights.count == 2 && weights[0] != weights[1])
        // Drawn with 1/√32 and cut at twice that.
        #expect(weights[0].allSatisfy { abs($0) <= 2 / Float(32).squareRoot() })
        let modular = try made(.modular, seed: 1)
        let drawn = try #require(modular["2.linear.weight"])
        let bound = 1 / Float(32).squareRoot()
        #expect(drawn.allSatisfy { abs($0) <= bound } && (drawn.max() ?? 0) > 0.9 * bound && drawn != dense)
        #expect(modular["3.norm.weight"] == [Float](repeating: 1, count: 32))
        #expect(modular["3.norm.bias"] == [Float](repeating: 0, count: 32))
        #expect(modular["4.linear.weight"]?.count == 32 && modular["4.linear.bias"]?.count == 1)
        #expect(try made(.modular, seed: 1) == modular)
    }

    @Test("A modular head is written as Ettin's rerankers have it, and trained further")
    func modular() throws {
        let run = try TinyReranker()
        let first = try run.train(run.recipe("run", "head=modular", "loss=MSELoss", "max_steps=4"))
        let modules = try run.json("run/final/modules.json").arrayValue ?? []
        #expect(modules.map { $0["path"]?.stringValue } == ["", "1_Pooling", "2_Dense", "3_LayerNorm", "4_Dense"])
        let settings = try run.json("run/final/config_sentence_transformers.json")
        #expect(settings["model_type"] == "CrossEncoder" && settings["prompts"] == [:])
        #expect(settings["activation_fn"] == "torch.nn.modules.linear.Identity")
        #expect(try run.json("run/final/config.json")["architectures"] == ["ModernBertModel"])
        let dense = try run.json("run/final/2_Dense/config.json")
        #expect(dense["bias"] == false && dense["activation_function"] == "torch.nn.modules.activation.GELU")
        let last = try run.json("run/final/4_Dense/config.json")
        #expect(last["module_output_name"] == "scores" && last["out_features"] == 1 && last["bias"] == true)
        #expect(try run.json("run/final/1_Pooling/config.json")["pooling_mode"] == "cls")
        #expect(try run.json("run/final/sentence_bert_config.json")["transformer_task"] == "feature-extraction")
        let again = try run.train(
            run.recipe("again", "model_name_or_path=\(first.finalFolder)", "loss=MSELoss", "max_steps=2")
        )
        #expect(try RerankingPipeline(folder: again.finalFolder).predict(pairs).count == 2)
        #expect(again.plan.text.contains("sentence-transformers 6"))
        let error = #expect(throws: (any Error).self) { try run.train(run.recipe("five", "head=modular", "layout=5")) }
        #expect("\(try #require(error))".contains("head: classification"))
        #expect(!FilePath.exists(run.folder.file("five")))
    }

    @Test("A head becomes the other and comes back with the same scores")
    func conversion() throws {
        let run = try TinyReranker()
        let session = try run.train(run.recipe("run", "max_steps=3"))
        let model = try RerankerModel(folder: session.finalFolder)
        let modular = try model.converted(to: .modular).model
        let back = try modular.converted(to: .classification).model
        #expect(model.head == .classification && modular.head == .modular && back.head == .classification)
        func scores(_ model: RerankerModel, _ name: String) throws -> [Double] {
            let folder = run.folder.file(name)
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try model.save(folder: folder)
            for file in ["tokenizer.json", "tokenizer_config.json"] {
                try FileManager.default.copyItem(atPath: "\(session.finalFolder)/\(file)", toPath: "\(folder)/\(file)")
            }
            return try RerankingPipeline(folder: folder).predict(pairs).map(\.value)
        }
        let expected = try RerankingPipeline(folder: session.finalFolder).predict(pairs).map(\.value)
        for (found, wanted) in zip(try scores(modular, "modular"), expected) { #expect(abs(found - wanted) < 1e-6) }
        #expect(try scores(back, "back") == expected)
        #expect(try run.bytes("back/model.safetensors") == run.bytes("run/final/model.safetensors"))
        // What sigmoid there was is one still, and nothing of the classifier is left behind.
        let config = try run.json("modular/config.json")
        #expect(config["id2label"] == nil && config["sentence_transformers"] == nil)
        // A bias of the norm becomes part of the classifier's.
        let norm = try #require(modular.chain.modules[3] as? LayerNormModule)
        norm.norm.bias?.assign(.full([32], 0.5))
        let shifted = try modular.converted(to: .classification)
        #expect(shifted.notices.count == 1, "\(shifted.notices)")
        let wanted = try scores(modular, "shifted")
        #expect(wanted != expected)
        for (found, wanted) in zip(try scores(shifted.model, "folded"), wanted) { #expect(abs(found - wanted) < 1e-5) }
        // Names of classes are lost, which is said.
        let path = session.finalFolder + "/config.json"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let renamed = text.replacingOccurrences(of: "LABEL_0", with: "relevant")
        try renamed.write(toFile: path, atomically: true, encoding: .utf8)
        let named = try RerankerModel(folder: session.finalFolder).converted(to: .modular)
        #expect(named.notices.contains { $0.contains("\"relevant\"") }, "\(named.notices)")
    }

    @Test("A recipe that asks for the other head converts the model that it begins with")
    func convertedBeginning() throws {
        let run = try TinyReranker()
        let first = try run.train(run.recipe("run", "max_steps=2"))
        let session = try FineTuningSession(
            run.recipe("next", "model_name_or_path=\(first.finalFolder)", "head=modular")
        )
        #expect(session.notices.contains { $0.contains("modular head") })
    }

    @Test(
        "Every loss trains",
        arguments: [
            ["loss=MSELoss"], ["loss={type: BinaryCrossEntropyLoss, pos_weight: 5}", "bf16=true"],
            ["num_labels=2", "loss=CrossEntropyLoss", "evaluator=null", "eval_strategy=no"],
            ["loss={type: CachedMultipleNegativesRankingLoss, mini_batch_size: 3}", "data=train"],
            ["loss={type: MultipleNegativesRankingLoss, num_negatives: 1}", "data=train"],
            ["loss={type: LambdaLoss, mini_batch_size: 3}", "data=lists"], ["loss=RankNetLoss", "data=lists"],
            ["loss=ListNetLoss", "data=lists", "head=modular", "bf16=true"], ["loss=ListMLELoss", "data=lists"],
            ["loss=PListMLELoss", "data=lists", "head=modular"], ["loss=ADRMSELoss", "data=lists"],
        ]
    )
    func losses(_ values: [String]) throws {
        let run = try TinyReranker()
        let values = values.map { value in
            guard value.hasPrefix("data=") else { return value }
            return "train_dataset=\(run.folder.file("\(value.dropFirst(5)).jsonl"))"
        }
        let session = try run.train(run.recipe("run", overriding: values + ["max_steps=6", "eval_steps=6"]))
        let losses = session.progress.history.compactMap { $0["loss"]?.doubleValue }
        #expect(losses.count == 6 && losses.allSatisfy(\.isFinite), "\(losses)")
    }

    @Test("A cached loss is that of the whole batch", arguments: [1, 3])
    func cachedLoss(size: Int) throws {
        let run = try TinyReranker()
        func losses(_ output: String, _ loss: String) throws -> [Double] {
            let session = try run.train(
                run.recipe(
                    output,
                    "train_dataset=\(run.folder.file("train.jsonl"))",
                    "loss=\(loss)",
                    "max_steps=4",
                    "evaluator=null",
                    "eval_strategy=no"
                )
            )
            return session.progress.history.compactMap { $0["loss"]?.doubleValue }
        }
        let whole = try losses("whole", "{type: MultipleNegativesRankingLoss, num_negatives: 2}")
        let cached = try losses(
            "cached",
            "{type: CachedMultipleNegativesRankingLoss, num_negatives: 2, mini_batch_size: \(size)}"
        )
        for (one, other) in zip(whole, cached) { #expect(abs(one - other) <= 1e-4 * abs(one)) }
    }

    @Test("A run that stops anywhere is resumed to the same bits", arguments: ["classification", "modular"], [1, 3])
    func resuming(head: String, steps: Int) throws {
        let run = try TinyReranker(dropout: 0.1)
        func recipe(_ output: String) throws -> RerankerRecipe {
            try run.recipe(
                output,
                "head=\(head)",
                "train_dataset=\(run.folder.file("train.jsonl"))",
                "loss={type: MultipleNegativesRankingLoss, num_negatives: 2}",
                "num_train_epochs=2",
                "eval_steps=3",
                "save_steps=3",
                "autoresume=true"
            )
        }
        try run.train(recipe("whole"))
        func stop() throws -> Int { try run.train(recipe("parts"), steps: steps).progress.clock.batch }
        #expect(try stop() == steps)
        try run.train(recipe("parts"))
        let names = head == "modular" ? ["4_Dense/model.safetensors"] : []
        for file in ["model.safetensors", "README.md"] + names {
            #expect(try run.bytes("whole/final/\(file)") == run.bytes("parts/final/\(file)"), "\(file)")
        }
        #expect(
            try run.bytes("whole/checkpoint-6/optimizer.safetensors")
                == run.bytes("parts/checkpoint-6/optimizer.safetensors")
        )
    }

    @Test("The layout of versions from 6 says the same as that of version 5")
    func layouts() throws {
        let run = try TinyReranker()
        let old = try run.train(run.recipe("old", "max_steps=1"))
        let new = try run.train(
            run.recipe("new", "max_steps=1", "layout=6", "max_length=16", "model_prompts={find: \"find: \"}")
        )
        let modules = try run.json("new/final/modules.json").arrayValue ?? []
        #expect(modules.count == 1)
        #expect(modules[0]["type"] == "sentence_transformers.base.modules.transformer.Transformer")
        let bert = try run.json("new/final/sentence_bert_config.json")
        #expect(bert["transformer_task"] == "sequence-classification" && bert["module_output_name"] == "scores")
        #expect(bert["modality_config"]?["text"]?["method_output_name"] == "logits")
        #expect(try run.json("new/final/config_sentence_transformers.json")["prompts"] == ["find": "find: "])
        #expect(try run.json("new/final/tokenizer_config.json")["model_max_length"] == 16)
        #expect(try run.json("new/final/config.json")["sentence_transformers"] == nil)
        let scores = try [old, new].map { try RerankingPipeline(folder: $0.finalFolder).predict(pairs).map(\.value) }
        #expect(scores[0] == scores[1])
        // Version 5.3 obeys config.json of either layout.
        let other = try run.train(
            run.recipe(
                "other",
                "model_name_or_path=\(old.finalFolder)",
                "max_steps=1",
                "layout=6",
                "activation_fn=torch.nn.modules.linear.Identity"
            )
        )
        let path = try run.json("other/final/config.json")["sentence_transformers"]?["activation_fn"]
        #expect(path == "torch.nn.modules.linear.Identity")
        #expect(try RerankerModel(folder: other.finalFolder).activation == .identity)
    }

    struct Refusal: CustomStringConvertible {
        let values: [String]
        let text: String
        var description: String { values.joined(separator: " ") }
    }

    @Test(
        "Data and values that do not fit are refused before anything is written",
        arguments: [
            Refusal(values: ["num_labels=3"], text: "measures rerankers of one score"),
            Refusal(
                values: ["num_labels=3", "loss=MSELoss", "evaluator=null", "eval_strategy=no"],
                text: "num_labels 1"
            ),
            Refusal(values: ["data=train"], text: "3 columns of texts"),
            Refusal(values: ["data=lists"], text: "a column of lists"),
            Refusal(
                values: ["data=uneven", "loss=LambdaLoss"],
                text: "line 2 column \"labels\": has 2 numbers; expected 1, one for each document"
            ),
            Refusal(values: ["data=empty", "loss=LambdaLoss"], text: "is an empty list"),
            Refusal(values: ["data=mixed"], text: "line 2 column \"document\": is a list, but other rows have a text"),
            Refusal(values: ["data=high"], text: "is 2.0; expected a label from 0.0 to 1.0"),
            Refusal(
                values: ["data=high", "num_labels=2", "loss=CrossEntropyLoss", "evaluator=null", "eval_strategy=no"],
                text: "is 2.0; expected a label from 0.0 to 1.0"
            ),
            Refusal(values: ["max_length=99"], text: "at most 32"),
            Refusal(values: ["prompts={query: \"q: \"}"], text: "stands before the first text"),
            Refusal(values: ["model_prompts={find: \"find: \"}"], text: "rerankers have no prompts"),
            Refusal(values: ["head=generative"], text: "classification, modular"),
            Refusal(values: ["evaluator={type: TripletEvaluator}"], text: "measures embedding models"),
            Refusal(values: ["activation_fn=mine.Activation"], text: "of torch.nn"),
            Refusal(values: ["num_label=2"], text: "did you mean num_labels?"),
        ]
    )
    func refusals(_ refusal: Refusal) throws {
        let run = try TinyReranker()
        try run.write(
            [
                ["query": "a", "documents": ["b", "c"], "labels": [1, 0]],
                ["query": "a", "documents": ["b"], "labels": [1, 0]],
            ],
            to: "uneven.jsonl"
        )
        try run.write(
            [["query": "a", "documents": ["b"], "labels": [1]], ["query": "a", "documents": [], "labels": []]],
            to: "empty.jsonl"
        )
        try run.write(
            [["query": "a", "document": "b", "label": 1], ["query": "a", "document": ["b", "c"], "label": 0]],
            to: "mixed.jsonl"
        )
        try run.write(
            (0..<4).map { ["query": "a", "document": "b", "label": JSONValue($0 == 3 ? 2 : 1)] },
            to: "high.jsonl"
        )
        let values = refusal.values.map { value in
            guard value.hasPrefix("data=") else { return value }
            return "train_dataset=\(run.folder.file("\(value.dropFirst(5)).jsonl"))"
        }
        let error = #expect(throws: (any Error).self) {
            try run.train(run.recipe("run", overriding: values + ["per_device_train_batch_size=2"]))
        }
        #expect("\(try #require(error))".contains(refusal.text), "\(String(describing: error))")
        #expect(!FilePath.exists(run.folder.file("run")))
    }

    @Test("A decoder and a model of another kind are refused")
    func models() throws {
        let run = try TinyRun(kind: .decoder)
        let reranker = try TinyReranker()
        let error = #expect(throws: (any Error).self) {
            try reranker.train(reranker.recipe("run", "model_name_or_path=\(run.folder.file("model"))"))
        }
        #expect("\(try #require(error))".contains("expected an encoder"), "\(String(describing: error))")
        let first = try reranker.train(reranker.recipe("run", "max_steps=1"))
        let other = #expect(throws: (any Error).self) {
            try reranker.train(
                reranker.recipe(
                    "next",
                    "model_name_or_path=\(first.finalFolder)",
                    "num_labels=2",
                    "evaluator=null",
                    "eval_strategy=no"
                )
            )
        }
        #expect("\(try #require(other))".contains("num_labels"), "\(String(describing: other))")
    }
}
