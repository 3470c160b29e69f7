import EttinEvaluation
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

@Suite("Fine-tuning a multi-vector model")
struct MultiVectorFineTuningTests {
    private func json(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: path))))
    }

    @Test("A run on a teacher's scores learns, and ends in a folder of PyLate that inference loads")
    func run() throws {
        let run = try TinyColBERTRun()
        let session = try run.train(
            run.recipe(
                "run",
                "train_test_split={test_size: 2, seed: 1}",
                "eval_strategy=steps",
                "eval_steps=2",
                "evaluator={type: ColBERTDistillationEvaluator, name: kd}",
                "num_train_epochs=8"
            )
        )
        let losses = session.progress.history.compactMap { $0["loss"]?.doubleValue }
        #expect(losses.count == 16 && losses.allSatisfy { $0.isFinite && $0 > 0 }, "\(losses)")
        #expect(losses[15] < losses[0], "\(losses)")
        let evaluations = session.progress.history.filter { $0["eval_kd_kl_divergence"] != nil }
        #expect(evaluations.count == 8)
        let final = session.finalFolder
        let modules = try json("\(final)/modules.json")
        #expect(modules[1]?["type"] == "pylate.models.Dense.Dense" && modules[1]?["path"] == "1_Dense")
        #expect(modules.arrayValue?.count == 2)
        let about = try json("\(final)/config_sentence_transformers.json")
        #expect(about["model_type"] == "ColBERT" && about["similarity_fn_name"] == "MaxSim")
        #expect(about["query_length"] == 12 && about["document_length"] == 24 && about["query_prefix"] == "[Q] ")
        #expect(about["do_query_expansion"] == true && about["attend_to_expansion_tokens"] == false)
        #expect(about["skiplist_words"]?.arrayValue?.count == 32)
        #expect(try json("\(final)/1_Dense/config.json")["use_residual"] == false)
        #expect(try json("\(final)/tokenizer_config.json")["pad_token"] == "[MASK]")
        let pipeline = try LateInteractionPipeline(folder: final)
        let queries = try pipeline.encode(["the cat"], as: .query)
        #expect(queries.lengths == [12] && queries.dimensions == 16)
        let card = try String(contentsOfFile: final + "/README.md", encoding: .utf8)
        for line in ["loss:Distillation", "library_name: PyLate", "- ColBERT"] {
            #expect(card.contains(line), "\(line)")
        }
    }

    @Test("A plain encoder gets a projection, prefixes as tokens, and a mask token that pads")
    func building() throws {
        let run = try TinyColBERTRun()
        let folder = run.folder.file("model")
        let before = try ModernBERT.load(folder: folder)
        let tokenizer = try Tokenizer(folder: folder)
        func build(_ values: String...) throws -> (model: MultiVectorModel, tokenizer: Tokenizer) {
            try MultiVectorBuilding(recipe: run.recipe("run", overriding: values), folder: folder).model()
        }
        let (model, extended) = try build()
        let size = tokenizer.vocabularySize
        #expect(extended.vocabularySize == size + 2 && extended.padTokenID == tokenizer.maskTokenID)
        #expect(extended.tokenToID("[Q] ") == Int32(size) && extended.tokenToID("[D] ") == Int32(size + 1))
        #expect(extended.encodeIDs("[Q] a", addSpecialTokens: false).first == Int32(size))
        let trunk = model.transformer.trunk
        #expect(trunk.configuration.vocabularySize == size + 2)
        let key = "embeddings.tok_embeddings.weight"
        func rows(_ trunk: ModernBERT) throws -> [Float] {
            try #require(trunk.parameters.first { $0.key == key }).tensor.array(of: Float.self)
        }
        let (old, new) = (try rows(before), try rows(trunk))
        #expect(Array(new[..<(size * 32)]) == Array(old[..<(size * 32)]))
        for column in 0..<32 {
            let mean = (0..<size).reduce(0) { $0 + Double(old[$1 * 32 + column]) } / Double(size)
            for row in [size, size + 1] {
                let difference = abs(Double(new[row * 32 + column]) - mean)
                #expect(difference > 0 && difference < 2e-4, "\(difference)")
            }
        }
        // The projection is drawn from the seed, uniform up to 1/√32.
        func projection(_ model: MultiVectorModel) throws -> [Float] {
            try #require(model.parameters.first { $0.key == "1.linear.weight" }).tensor.array(of: Float.self)
        }
        let weights = try projection(model)
        let bound = Float(1 / 32.0.squareRoot())
        #expect(weights.count == 16 * 32 && weights.allSatisfy { abs($0) <= bound })
        #expect((weights.max() ?? 0) > 0.9 * bound && (weights.min() ?? 0) < -0.9 * bound)
        #expect(try projection(build().model) == weights)
        #expect(try projection(build("seed=7").model) != weights)
        // A word of the vocabulary becomes an added token with its own id, which nothing merges with.
        let words = try build("query_prefix=a", "document_prefix=b").tokenizer
        let letter = try #require(tokenizer.tokenToID("a"))
        #expect(words.vocabularySize == size && words.tokenToID("a") == letter)
        #expect(words.addedTokens.contains { $0.token.content == "a" && $0.id == letter })
        #expect(words.encodeIDs("cat", addSpecialTokens: false).contains(letter))
        // Without prefixes nothing is added, and nothing left out.
        let plain = try build("query_prefix=\"\"", "document_prefix=\"\"")
        #expect(plain.tokenizer.vocabularySize == size)
        #expect(plain.model.transformer.trunk.configuration.vocabularySize == before.configuration.vocabularySize)
    }

    @Test("A model that is trained further keeps what it is, and gets a further projection for another width")
    func further() throws {
        let run = try TinyColBERTRun()
        let first = try run.train(run.recipe("first", "max_steps=1", "do_query_expansion=false", "query_length=10"))
        let model = "model_name_or_path=\(first.finalFolder)"
        func recipe(_ output: String, _ values: String...) throws -> MultiVectorRecipe {
            try run.recipe(
                output,
                overriding: ["max_steps=1", "embedding_size=", "query_length=", "document_length=", model] + values
            )
        }
        let second = try run.train(recipe("second"))
        let about = try json("\(second.finalFolder)/config_sentence_transformers.json")
        #expect(about["do_query_expansion"] == false && about["query_length"] == 10 && about["document_length"] == 24)
        // The first step of a warm-up changes nothing.
        let dense = "final/1_Dense/model.safetensors"
        #expect(try run.bytes("second/\(dense)") == run.bytes("first/\(dense)"))
        let third = try run.train(recipe("third", "embedding_size=4", "bias=true"))
        let new = try json("\(third.finalFolder)/2_Dense/config.json")
        #expect(new["in_features"] == 16 && new["out_features"] == 4 && new["bias"] == true)
        #expect(try LateInteractionPipeline(folder: third.finalFolder).model.dimensions == 4)
    }

    @Test("A run that stops anywhere is resumed to the same bits", arguments: [1, 2, 5])
    func resuming(steps: Int) throws {
        let run = try TinyColBERTRun(dropout: 0.1)
        func recipe(_ output: String) throws -> MultiVectorRecipe {
            try run.recipe(output, "gradient_accumulation_steps=2", "num_train_epochs=3", "autoresume=true")
        }
        try run.train(recipe("whole"))
        func stop() throws -> Int { try run.train(recipe("parts"), steps: steps).progress.clock.batch }
        #expect(try stop() == steps)
        try run.train(recipe("parts"))
        for file in ["model.safetensors", "1_Dense/model.safetensors", "tokenizer.json", "README.md"] {
            #expect(try run.bytes("whole/final/\(file)") == run.bytes("parts/final/\(file)"), "\(file)")
        }
    }

    @Test("A run is resumed with the same texts only", arguments: ["queries", "documents"])
    func otherTexts(name: String) throws {
        let run = try TinyColBERTRun()
        let recipe = try run.recipe("run", "autoresume=true")
        try run.train(recipe, steps: 2)
        let id = name == "queries" ? "query_id" : "document_id"
        try run.write((0..<10).map { "{\"\(id)\": \($0), \"text\": \"another \($0)\"}" }, to: "\(name).jsonl")
        let error = #expect(throws: (any Error).self) { try run.train(recipe) }
        #expect("\(try #require(error))".contains("\(name)_dataset"), "\(String(describing: error))")
    }

    @Test("Slices of any size give the losses of whole batches", arguments: ["Distillation", "CachedContrastive"])
    func slices(loss: String) throws {
        let run = try TinyColBERTRun()
        let data = loss == "Distillation" ? [] : run.triplets
        func losses(_ output: String, _ recipe: String) throws -> [Double] {
            try run.train(run.recipe(output, overriding: data + ["loss=\(recipe)", "max_steps=4"]))
                .progress.history.compactMap { $0["loss"]?.doubleValue }
        }
        let whole = try losses("whole", loss == "Distillation" ? "Distillation" : "Contrastive")
        let sliced = try losses("sliced", "{type: \(loss), mini_batch_size: 2}")
        #expect(whole.count == 4)
        for (a, b) in zip(whole, sliced) { #expect(abs(a - b) < 1e-4 * max(1, a), "\(whole) \(sliced)") }
    }

    @Test("Triplets and corpora are measured by late interaction")
    func evaluators() throws {
        let run = try TinyColBERTRun()
        let folder = run.folder.file("beir")
        try FileManager.default.createDirectory(atPath: folder + "/qrels", withIntermediateDirectories: true)
        try run.write(
            TinyRun.rows.enumerated().map { #"{"_id": "d\#($0)", "text": "\#($1[1])"}"# },
            to: "beir/corpus.jsonl"
        )
        try run.write(
            TinyRun.rows.enumerated().map { #"{"_id": "q\#($0)", "text": "\#($1[0])"}"# },
            to: "beir/queries.jsonl"
        )
        try run.write(
            ["query-id\tcorpus-id\tscore"] + (0..<10).map { "q\($0)\td\($0)\t1" },
            to: "beir/qrels/test.tsv"
        )
        let evaluators =
            "evaluator=[{type: ColBERTTripletEvaluator, name: dev}, "
            + "{type: InformationRetrievalEvaluator, name: beir, dataset: \(folder)}]"
        let session = try run.train(
            run.recipe(
                "run",
                overriding: run.triplets + [
                    "eval_dataset=\(run.folder.file("dev.jsonl"))", evaluators, "eval_strategy=steps", "eval_steps=3",
                    "num_train_epochs=10", "learning_rate=1e-2",
                ]
            )
        )
        let last = try #require(session.progress.history.last { $0["eval_accuracy"] != nil })
        #expect(last["eval_accuracy"]?.doubleValue == 1)
        #expect((last["eval_beir_MaxSim_ndcg@10"]?.doubleValue ?? 0) > 0.6)
        let table = try String(
            contentsOfFile: run.folder.file("run/eval/Information-Retrieval_evaluation_beir_results.csv"),
            encoding: .utf8
        )
        #expect(table.hasPrefix("epoch,steps,MaxSim-Accuracy@1,"))
    }

    @Test(
        "Data and values that do not fit are refused before anything is written",
        arguments: [
            (["document_length=99"], "at most the 32 tokens"), (["query_length=0"], "query_length"),
            (["document_length=2"], "document_length: is 2; expected at least 3"),
            (["query_prefix=\"[MASK]x\""], "splits into \"[MASK]\", \"x\""),
            (["layout=6"], "PyLate's layout"), (["documents_dataset="], "documents_dataset"),
            (["queries_dataset=", "documents_dataset="], "queries_dataset and documents_dataset"),
            (["loss=Contrastive"], "lists in the column \"documents\""),
            (["evaluator={type: RerankingEvaluator}", "eval_strategy=steps"], "measures embedding models"),
            (["empty_texts=refuse", "documents_dataset=queries.jsonl"], "\"document_id\" and \"text\""),
        ] as [([String], String)]
    )
    func refusals(values: [String], text: String) throws {
        let run = try TinyColBERTRun()
        let path = run.folder.file("queries.jsonl")
        let values = values.map { $0.replacingOccurrences(of: "=queries.jsonl", with: "=\(path)") }
        let error = #expect(throws: (any Error).self) {
            try run.train(run.recipe("run", overriding: values))
        }
        #expect("\(try #require(error))".contains(text), "\(String(describing: error))")
        #expect(!FilePath.exists(run.folder.file("run/final")))
    }

    @Test("Columns are queries or documents by their names, the queries first")
    func columns() throws {
        let run = try TinyColBERTRun()
        let others = run.triplets + ["columns=[positive, query]", "max_steps=1"]
        let error = #expect(throws: TrainingError.self) { try run.train(run.recipe("run", overriding: others)) }
        #expect("\(try #require(error))".contains("\"positive\" as column 1"), "\(String(describing: error))")
    }

    @Test(
        "The run of PyLate is followed step by step",
        .enabled(if: SharedData.isAvailable, "needs shared/golden")
    )
    func golden() throws {
        let golden = try #require(SharedData.folder) + "/golden/finetune"
        let trace = try #require(try json("\(golden)/training_traces.json")["colbert_kd"])
        let run = try TinyColBERTRun()
        for (key, id) in [("queries", "query_id"), ("documents", "document_id")] {
            let texts = try #require(trace[key]?.objectValue)
            try run.write(
                texts.map { #"{"\#(id)": \#($0.key), "text": "\#($0.value.stringValue ?? "")"}"# },
                to: "\(key).jsonl"
            )
        }
        let rows = try #require(trace["train"]?.arrayValue)
        // The three passes of the original over four rows are one pass over twelve, in an order that gives its batches.
        let order = Self.goldenOrder
        func recipe(_ output: String, _ lines: [Int]) throws -> MultiVectorRecipe {
            try run.write(
                lines.map { row in
                    let parts = (rows[row].arrayValue ?? []).map { $0.text() }
                    return #"{"query_id": \#(parts[0]), "document_ids": \#(parts[1]), "scores": \#(parts[2])}"#
                },
                to: "kd.jsonl"
            )
            return try run.recipe(
                output,
                "model_name_or_path=\(golden)/models/colbert",
                "embedding_size=",
                "query_length=",
                "document_length=",
                "per_device_train_batch_size=2",
                "num_train_epochs=1",
                "warmup_ratio=0.05"
            )
        }
        let places = try FineTuningSession(recipe("order", Array(0..<4) + Array(0..<4) + Array(0..<4)))
            .trainer.task.places(ofEpoch: 0).flatMap(\.rows)
        var lines = [Int](repeating: 0, count: 12)
        for (step, place) in places.enumerated() {
            let line = try #require(Int(place.split(separator: " ").last ?? ""))
            lines[line - 1] = order[step]
        }
        let session = try run.train(recipe("run", lines))
        let expected = try #require(trace["log_history"]?.arrayValue).filter { $0["loss"] != nil }
        let found = session.progress.history.filter { $0["loss"] != nil }
        #expect(found.count == 6 && expected.count == 6)
        for (entry, other) in zip(found, expected) {
            for key in ["loss", "grad_norm", "learning_rate"] {
                let (value, wanted) = (entry[key]?.doubleValue ?? .nan, other[key]?.doubleValue ?? .nan)
                #expect(
                    abs(value - wanted) <= 1e-4 * max(1, abs(wanted)),
                    "step \(other["step"] ?? 0), \(key): \(value) is not \(wanted)"
                )
            }
        }
        let query = try #require(trace["queries"]?["11"]?.stringValue)
        let vectors = try LateInteractionPipeline(folder: session.finalFolder).encode([query], as: .query)
        let wanted = try #require(trace["final_query_embeddings_q11"]?.arrayValue).flatMap { $0.arrayValue ?? [] }
            .compactMap(\.doubleValue)
        #expect(vectors.values.count == wanted.count)
        for (a, b) in zip(vectors.values, wanted) { #expect(abs(Double(a) - b) < 1e-3, "\(a) is not \(b)") }
    }

    /// The rows of each batch of the original's three passes.
    private static let goldenOrder = [2, 3, 0, 1, 0, 1, 3, 2, 0, 3, 1, 2]
}
