import EttinJSON
import EttinModel
import EttinTables
import Foundation
import TestSupport

@testable import EttinFineTuning

/// A small decoder with conversations to fine-tune it on.
struct TinyChat {
    let run: TinyRun
    var folder: TemporaryFolder { run.folder }

    /// Questions with answers.
    static let turns = TinyRun.rows.map { ($0[0], $0[1]) }

    /// Writes model and data.
    ///
    /// - Parameter dropout: The probability of dropout in the model's layers.
    /// - Throws: When files cannot be written.
    init(dropout: Double = 0) throws {
        run = try TinyRun(kind: .decoder, dropout: dropout)
        try write(
            Self.turns.map { ["messages": .array([Self.message("user", $0.0), Self.message("assistant", $0.1)])] },
            to: "chat.jsonl"
        )
        try write(Self.turns.map { ["text": .string("\($0.0) \($0.1)")] }, to: "text.jsonl")
        try write(
            Self.turns.map { ["prompt": .string($0.0), "completion": .string(" \($0.1)")] },
            to: "completions.jsonl"
        )
    }

    static func message(_ role: String, _ text: String) -> JSONValue {
        ["role": .string(role), "content": .string(text)]
    }

    /// Writes rows as JSON Lines.
    func write(_ rows: [JSONObject], to name: String) throws {
        let text = rows.map { JSONValue.object($0).text() + "\n" }.joined()
        try text.write(toFile: folder.file(name), atomically: true, encoding: .utf8)
    }

    /// A recipe of 6 steps that writes to a folder.
    func recipe(_ output: String = "run", _ values: String...) throws -> SFTRecipe {
        try recipe(output, overriding: values)
    }

    /// A recipe of 6 steps with other values.
    func recipe(_ output: String, overriding values: [String]) throws -> SFTRecipe {
        try SFTRecipe(
            values: [
                "model_name_or_path=\(folder.file("model"))", "train_dataset=\(folder.file("chat.jsonl"))",
                "output_dir=\(folder.file(output))", "per_device_train_batch_size=2", "gradient_accumulation_steps=2",
                "max_steps=6", "learning_rate=5e-3", "logging_steps=1", "save_steps=2", "report_to=none", "bf16=false",
                "chat_template_path=chatml",
            ] + values
        )
    }

    @discardableResult
    func train(_ recipe: SFTRecipe, steps: Int = .max) throws -> FineTuningSession {
        try trained(steps: steps) { try FineTuningSession(recipe, $0) }
    }

    /// The rows of a recipe's data.
    ///
    /// - Parameters:
    ///   - recipe: The recipe.
    ///   - name: The file of the data.
    /// - Returns: The rows, and the model that they are made for.
    /// - Throws: What reading throws.
    func rows(_ recipe: SFTRecipe, of name: String) throws -> (rows: SFTRows, subject: SFTSubject) {
        let table = try TableOpening().open([folder.file(name)])
        let subject = try SFTSubject(
            recipe,
            recipe.model,
            isResumed: false,
            needsTemplate: SFTReading.isConversational(table, recipe),
            tokenizerFolder: { $0 }
        )
        let source = RowSource(recipe: recipe.settings, dataset: DatasetRecipe([name]), isEvaluation: false)
        return (try subject.reading.rows(table, source), subject)
    }
}
