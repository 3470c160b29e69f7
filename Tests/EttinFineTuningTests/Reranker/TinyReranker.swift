import EttinJSON
import Foundation
import TestSupport

@testable import EttinFineTuning

/// A small encoder with pairs to make a reranker of it.
struct TinyReranker {
    let run: TinyRun
    var folder: TemporaryFolder { run.folder }

    /// Writes model and data.
    ///
    /// - Parameter dropout: The probability of dropout in its layers.
    /// - Throws: When files cannot be written.
    init(dropout: Double = 0) throws {
        run = try TinyRun(dropout: dropout)
        let rows = TinyRun.rows
        try write(
            rows.flatMap {
                [
                    ["query": .string($0[0]), "document": .string($0[1]), "label": 1],
                    ["query": .string($0[0]), "document": .string($0[2]), "label": 0],
                ]
            },
            to: "pairs.jsonl"
        )
        try write(
            rows.prefix(6).map {
                [
                    "query": .string($0[0]), "positive": [.string($0[1])],
                    "documents": [.string($0[2]), .string($0[1])],
                ]
            },
            to: "ranked.jsonl"
        )
        try write(
            rows.enumerated().map { index, row in
                // Two documents or three.
                let documents = [row[1], row[2]] + (index % 2 == 0 ? [rows[(index + 1) % rows.count][1]] : [])
                return [
                    "query": .string(row[0]), "documents": .array(documents.map { .string($0) }),
                    "labels": .array(documents.indices.map { $0 == 0 ? 1 : $0 == 1 ? 0 : 0.5 }),
                ]
            },
            to: "lists.jsonl"
        )
    }

    /// Writes rows as JSON Lines.
    func write(_ rows: [JSONObject], to name: String) throws {
        let text = rows.map { JSONValue.object($0).text() + "\n" }.joined()
        try text.write(toFile: folder.file(name), atomically: true, encoding: .utf8)
    }

    /// A recipe of 10 steps that writes to a folder.
    func recipe(_ output: String = "run", _ values: String...) throws -> RerankerRecipe {
        try recipe(output, overriding: values)
    }

    /// A recipe of 10 steps with other values.
    func recipe(_ output: String, overriding values: [String]) throws -> RerankerRecipe {
        let samples = folder.file("ranked.jsonl")
        return try RerankerRecipe(
            values: [
                "model_name_or_path=\(folder.file("model"))", "train_dataset=\(folder.file("pairs.jsonl"))",
                "output_dir=\(folder.file(output))",
                "evaluator={type: CrossEncoderRerankingEvaluator, name: dev, dataset: \"\(samples)\"}",
                "per_device_train_batch_size=4", "per_device_eval_batch_size=4", "num_train_epochs=2",
                "learning_rate=5e-3", "warmup_ratio=0.1", "logging_steps=1", "eval_strategy=steps", "eval_steps=5",
                "save_steps=5", "report_to=none",
            ] + values
        )
    }

    /// Trains a recipe.
    ///
    /// - Parameters:
    ///   - recipe: The recipe.
    ///   - steps: After how many steps the run is asked to stop.
    /// - Returns: The session.
    /// - Throws: What the session throws.
    @discardableResult
    func train(_ recipe: RerankerRecipe, steps: Int = .max) throws -> FineTuningSession {
        try trained(steps: steps) { try FineTuningSession(recipe, $0) }
    }

    func bytes(_ name: String) throws -> Data { try run.bytes(name) }

    func json(_ name: String) throws -> JSONValue { try JSONValue(parsing: Array(bytes(name))) }
}
