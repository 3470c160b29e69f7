import EttinJSON
import EttinModel
import Foundation
import TestSupport

@testable import EttinFineTuning

/// A small model with classified texts.
struct TinyClassifier {
    let run: TinyRun
    var folder: TemporaryFolder { run.folder }

    /// Writes model and data.
    ///
    /// - Parameters:
    ///   - kind: The kind of the model.
    ///   - dropout: The probability of dropout in its layers.
    /// - Throws: When files cannot be written.
    init(kind: ModelKind = .encoder, dropout: Double = 0) throws {
        run = try TinyRun(kind: kind, dropout: dropout)
        let rows = TinyRun.rows
        let names = ["question", "animal", "bread"]
        try write(
            rows.enumerated().map { ["text": .string($1[0]), "label": .string(names[$0 % 3])] },
            to: "named.jsonl"
        )
        try write(rows.enumerated().map { ["text": .string($1[0]), "label": JSONValue($0 % 2)] }, to: "numbered.jsonl")
        try write(
            rows.flatMap {
                [
                    ["premise": .string($0[0]), "hypothesis": .string($0[1]), "label": 1, "idx": 3],
                    ["premise": .string($0[0]), "hypothesis": .string($0[2]), "label": 0, "idx": 4],
                ]
            },
            to: "pairs.jsonl"
        )
        try write(
            rows.enumerated().map { ["text": .string($1[0]), "label": JSONValue(Double($0) / 2 + 0.25)] },
            to: "scored.jsonl"
        )
        try write(
            rows.enumerated().map { index, row in
                let found = names.enumerated().filter { (index >> $0.offset) & 1 == 1 }.map(\.element)
                return ["text": .string(row[0]), "labels": .array(found.map { .string($0) })]
            },
            to: "several.jsonl"
        )
    }

    /// Writes rows as JSON Lines.
    func write(_ rows: [JSONObject], to name: String) throws {
        let text = rows.map { JSONValue.object($0).text() + "\n" }.joined()
        try text.write(toFile: folder.file(name), atomically: true, encoding: .utf8)
    }

    /// A recipe of a few steps on a file that writes to a folder.
    func recipe(_ data: String, _ output: String = "run", _ values: String...) throws -> ClassifierRecipe {
        try ClassifierRecipe(values: self.values(data, output) + values)
    }

    /// A recipe of a tagger likewise.
    func tagger(_ data: String, _ output: String = "run", _ values: String...) throws -> TaggerRecipe {
        try TaggerRecipe(values: self.values(data, output) + values)
    }

    private func values(_ data: String, _ output: String) -> [String] {
        [
            "model_name_or_path=\(folder.file("model"))", "train_dataset=\(folder.file(data))",
            "eval_dataset=\(folder.file(data))", "output_dir=\(folder.file(output))",
            "per_device_train_batch_size=4", "num_train_epochs=4", "learning_rate=5e-3", "logging_steps=1",
            "eval_strategy=epoch", "save_strategy=no", "report_to=none",
        ]
    }

    /// Trains a recipe.
    @discardableResult
    func train(_ recipe: ClassifierRecipe, steps: Int = .max) throws -> FineTuningSession {
        try trained(steps: steps) { try FineTuningSession(recipe, $0) }
    }

    /// Trains a recipe of a tagger.
    @discardableResult
    func train(_ recipe: TaggerRecipe, steps: Int = .max) throws -> FineTuningSession {
        try trained(steps: steps) { try FineTuningSession(recipe, $0) }
    }

    func json(_ name: String) throws -> JSONValue { try JSONValue(parsing: Array(run.bytes(name))) }
}
