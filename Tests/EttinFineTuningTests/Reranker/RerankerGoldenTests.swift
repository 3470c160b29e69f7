import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import EttinTables
import EttinTraining
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinFineTuning

@Suite("Rerankers beside sentence-transformers", .enabled(if: SharedData.isAvailable, "needs shared/golden"))
struct RerankerGoldenTests {
    private var golden: String { get throws { try #require(SharedData.folder) + "/golden" } }

    private func json(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: path))))
    }

    private func copy(_ folder: String, to name: String, _ run: TinyReranker) throws -> String {
        let copied = run.folder.file(name)
        try FileManager.default.copyItem(atPath: folder, toPath: copied)
        return copied
    }

    @Test("The run of the cross-encoder is followed step by step")
    func trace() throws {
        let traces = try json("\(golden)/finetune/training_traces.json")
        let run = try TinyReranker()
        let rows = try #require(traces["triplet_rows"]?.arrayValue).map { $0.arrayValue ?? [] }
        try run.write(
            rows.flatMap { row in
                [1, 0].map { ["query": row[0], "document": row[$0 == 1 ? 1 : 2], "label": JSONValue($0)] }
            },
            to: "pairs.jsonl"
        )
        try run.write(
            rows.prefix(6).map { ["query": $0[0], "positive": [$0[1]], "documents": [$0[2], $0[1]]] },
            to: "ranked.jsonl"
        )
        let base = try copy("\(golden)/finetune/models/cross", to: "base", run)
        let model = try RerankerModel(folder: base)
        for (key, tensor) in model.parameters {
            let weights = (0..<8).map { -1 + 2 * Float($0) / 7 }
            if key.hasSuffix("classifier.weight") { tensor.assign(Tensor(weights, shape: [1, 8])) }
            if key.hasSuffix("classifier.bias") { tensor.assign(.full([1], 0.1)) }
        }
        try model.save(folder: base, layout: .version6)
        let samples = "dataset: \"\(run.folder.file("ranked.jsonl"))\""
        let session = try run.train(
            run.recipe(
                "run",
                "model_name_or_path=\(base)",
                "seed=12",
                "gradient_accumulation_steps=2",
                "evaluator={type: CrossEncoderRerankingEvaluator, name: toy-dev, \(samples)}",
                "logging_steps=2",
                "logging_first_step=true",
                "eval_steps=2",
                "save_steps=2",
                "load_best_model_at_end=true",
                "metric_for_best_model=eval_toy-dev_ndcg@10"
            )
        )
        let expected = try #require(traces["cross"]?["log_history"]?.arrayValue)
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
        #expect(session.trainer.best?.batch == traces["cross"]?["best_checkpoint_step"]?.intValue)
        let logits = try #require(traces["cross"]?["final_scores_logits"]?.arrayValue).compactMap(\.doubleValue)
        let scored = try RerankingPipeline(folder: session.finalFolder).predict(
            [
                TextPair("what is the capital of france", "paris is the capital of france"),
                TextPair("what is the capital of france", "the cat sat on the mat"),
            ],
            activation: .identity
        )
        for (score, wanted) in zip(scored, logits) { #expect(abs(score.value - wanted) <= 1e-4, "\(scored)") }
    }

    @Test("Five steps of the distillation have the losses and the gradients of every tensor")
    func distillation() throws {
        let folder = try golden + "/descendants/reranker-modular"
        let expected = try json("\(folder)/expected.json")
        let distillation = try #require(expected["distillation"])
        let run = try TinyReranker()
        let labels = try #require(distillation["labels"]?.arrayValue)
        let pairs = try #require(expected["pairs"]?.arrayValue)
        try run.write(
            zip(pairs, labels).map { ["query": $0[0] ?? "", "document": $0[1] ?? "", "label": $1] },
            to: "pairs.jsonl"
        )
        let recipe = try run.recipe("run", "model_name_or_path=\(folder)", "loss=MSELoss")
        let subject = try RerankerSubject(recipe, folder)
        let set = try TrainingColumns(TableOpening().open([run.folder.file("pairs.jsonl")]), readsLists: true)
        #expect(try subject.check(set) == [])
        subject.module.setRequiresGradient(true)
        let settings = OptimizerSettings(
            name: .adamW,
            learningRate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weightDecay: 0
        )
        let parameters = subject.module.parameters
        let optimizer = settings.optimizer(for: parameters)
        var losses: [Double] = []
        for step in 0..<5 {
            optimizer.clearGradients()
            losses.append(
                try subject.backward(
                    subject.prepared([0, 1, 2, 3], of: set, step: step),
                    of: nil,
                    weight: 1,
                    dropout: DropoutContext(step: step),
                    precision: .full
                )
            )
            if step == 0 { try expectNorms(parameters, distillation["gradient_norms"]?.objectValue ?? [:]) }
            optimizer.step()
        }
        let wanted = try #require(distillation["losses"]?.arrayValue).compactMap(\.doubleValue)
        #expect(wanted.count == 5)
        for (loss, other) in zip(losses, wanted) { #expect(abs(loss - other) <= 1e-4 * other, "\(losses)") }
        let after = try #require(distillation["scores_after"]?.arrayValue).compactMap(\.doubleValue)
        let value = try subject.value(subject.prepared([0, 1, 2, 3], of: set, step: 5), of: nil, precision: .full)
        let last = zip(after, labels.compactMap(\.doubleValue)).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / 4
        #expect(abs(value.total - last) <= 1e-4 * last)
    }

    private func expectNorms(_ parameters: StateDictionary, _ norms: JSONObject) throws {
        #expect(norms.count == 31 && parameters.count == 31)
        for (key, tensor) in parameters {
            // The original's transformer is one module deeper.
            let name = key.hasPrefix("0.") ? "0.model." + key.dropFirst(2) : key
            let values = try #require(tensor.gradient).array(of: Float.self)
            let norm = values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            let expected = try #require(norms[name]?.doubleValue, "\(name)")
            #expect(abs(norm - expected) <= 1e-4 * expected, "\(name): \(norm) is not \(expected)")
        }
    }

    @Test("A folder of version 6 has the files that the original writes")
    func layout() throws {
        let run = try TinyReranker()
        let base = try golden + "/finetune/models/cross"
        let model = try RerankerModel(folder: base)
        let written = run.folder.file("written")
        try FileManager.default.createDirectory(atPath: written, withIntermediateDirectories: true)
        try model.save(folder: written, layout: .version6)
        for name in ["modules.json", "sentence_bert_config.json"] {
            #expect(try json("\(written)/\(name)") == json("\(base)/\(name)"), "\(name)")
        }
        var (found, expected) = try (
            json("\(written)/config_sentence_transformers.json").objectValue ?? [:],
            json("\(base)/config_sentence_transformers.json").objectValue ?? [:]
        )
        (found["__version__"], expected["__version__"]) = (nil, nil)
        #expect(found == expected)
        #expect(try json("\(written)/config.json") == json("\(base)/config.json"))
    }
}
