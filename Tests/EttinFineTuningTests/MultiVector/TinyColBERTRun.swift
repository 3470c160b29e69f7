import EttinInference
import EttinModel
import EttinTokenizer
import Foundation
import TestSupport

@testable import EttinFineTuning

/// A small encoder with queries, documents and a teacher's scores.
struct TinyColBERTRun {
    let base: TinyRun
    var folder: TemporaryFolder { base.folder }

    init(dropout: Double = 0) throws {
        base = try TinyRun(dropout: dropout)
        let texts = TinyRun.rows
        try write((0..<10).map { "{\"query_id\": \($0), \"text\": \"\(texts[$0][0])\"}" }, to: "queries.jsonl")
        try write((0..<10).map { "{\"document_id\": \($0), \"text\": \"\(texts[$0][1])\"}" }, to: "documents.jsonl")
        try write(
            (0..<10).map { row in
                let ids = [row, (row + 3) % 10, (row + 7) % 10]
                return "{\"query_id\": \(row), \"document_ids\": \(ids), \"scores\": [9.5, \(row % 4), 0.5]}"
            },
            to: "kd.jsonl"
        )
    }

    func write(_ lines: [String], to name: String) throws {
        let text = lines.map { $0 + "\n" }.joined()
        try text.write(toFile: folder.file(name), atomically: true, encoding: .utf8)
    }

    /// A recipe of 6 steps of distillation that writes to a folder.
    func recipe(_ output: String = "run", _ values: String...) throws -> MultiVectorRecipe {
        try recipe(output, overriding: values)
    }

    func recipe(_ output: String, overriding values: [String]) throws -> MultiVectorRecipe {
        try MultiVectorRecipe(
            values: [
                "model_name_or_path=\(folder.file("model"))", "train_dataset=\(folder.file("kd.jsonl"))",
                "queries_dataset=\(folder.file("queries.jsonl"))",
                "documents_dataset=\(folder.file("documents.jsonl"))", "output_dir=\(folder.file(output))",
                "embedding_size=16", "query_length=12", "document_length=24",
                "per_device_train_batch_size=4", "num_train_epochs=2", "learning_rate=5e-3", "warmup_ratio=0.1",
                "logging_steps=1", "save_steps=2", "report_to=none",
            ] + values
        )
    }

    /// The values that train on triplets in place of scores.
    var triplets: [String] {
        [
            "train_dataset=\(folder.file("train.jsonl"))", "queries_dataset=", "documents_dataset=",
            "loss={type: CachedContrastive, mini_batch_size: 3, temperature: 0.5}",
        ]
    }

    @discardableResult
    func train(_ recipe: MultiVectorRecipe, steps: Int = .max) throws -> FineTuningSession {
        try trained(steps: steps) { try FineTuningSession(recipe, $0) }
    }

    func bytes(_ name: String) throws -> Data { try base.bytes(name) }
}
