import EttinInference
import EttinModel
import EttinTokenizer
import Foundation
import TestSupport

@testable import EttinFineTuning

/// A small encoder with data to fine-tune it on.
struct TinyRun {
    let folder: TemporaryFolder

    static let rows: [[String]] = [
        ["what is the capital of france", "paris is the capital of france", "the cat sat on the mat"],
        ["how to bake bread", "bake the bread in an oven", "a dog sat in the sun"],
        ["where is the cat", "the cat sat on the mat", "bake the bread in an oven"],
        ["who sat in the sun", "a dog sat in the sun", "paris is the capital of france"],
        ["capital of france", "paris is the capital", "a dog"], ["bread recipe", "bread in an oven", "the sun"],
        ["cat on a mat", "the cat is on the mat", "the oven"], ["dog in sun", "the dog sat in the sun", "the mat"],
        ["what is paris", "paris is a capital", "the bread"], ["how to sit", "sat on the mat", "france"],
    ]

    /// Writes model and data.
    ///
    /// - Parameters:
    ///   - kind: The kind of the model.
    ///   - dropout: The probability of dropout in its layers.
    /// - Throws: When files cannot be written.
    init(kind: ModelKind = .encoder, dropout: Double = 0) throws {
        folder = try TemporaryFolder()
        var trainer = BPETrainer(vocabularySize: 320)
        trainer.specialTokens = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"].map { AddedToken($0, isSpecial: true) }
        trainer.roles = [
            "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]", "pad_token": "[PAD]",
            "bos_token": "[CLS]", "eos_token": "[SEP]",
        ]
        var configuration = ModernBERTConfiguration(kind: kind)
        configuration.hiddenSize = 32
        configuration.intermediateSize = 48
        configuration.attentionHeads = 2
        configuration.layerTypes = LayerType.pattern(layers: 2, globalEvery: 3)
        configuration.localAttention = 8
        configuration.maxPositionEmbeddings = 32
        configuration.initializerRange = 0.4
        configuration.mlpDropout = dropout
        var initializer = ModelInitializer(configuration: configuration)
        initializer.scheme = .transformers
        try initializer.adopt(trainer.train(texts: Self.rows.flatMap(\.self)))
        try initializer.write(toFolder: folder.file("model"))
        try write(Self.rows, to: "train.jsonl")
        try write(Array(Self.rows.prefix(6)), to: "dev.jsonl")
    }

    /// Writes rows as query, positive and negative.
    func write(_ rows: [[String]], to name: String) throws {
        let lines = rows.map { row in
            let members = zip(["query", "positive", "negative"], row).map { "\"\($0)\": \"\($1)\"" }
            return "{\(members.joined(separator: ", "))}\n"
        }
        try lines.joined().write(toFile: folder.file(name), atomically: true, encoding: .utf8)
    }

    /// A recipe of 6 steps that writes to a folder.
    func recipe(_ output: String = "run", _ values: String...) throws -> EmbeddingRecipe {
        try recipe(output, overriding: values)
    }

    /// A recipe of 6 steps with other values.
    func recipe(_ output: String, overriding values: [String]) throws -> EmbeddingRecipe {
        try EmbeddingRecipe(
            values: [
                "model_name_or_path=\(folder.file("model"))", "train_dataset=\(folder.file("train.jsonl"))",
                "eval_dataset=\(folder.file("dev.jsonl"))", "output_dir=\(folder.file(output))",
                "loss={type: CachedMultipleNegativesRankingLoss, mini_batch_size: 2}",
                "evaluator={type: TripletEvaluator, name: dev}", "batch_sampler=no_duplicates",
                "per_device_train_batch_size=4", "per_device_eval_batch_size=4", "num_train_epochs=2",
                "learning_rate=5e-3", "warmup_ratio=0.1", "logging_steps=1", "eval_strategy=steps", "eval_steps=2",
                "save_steps=2", "report_to=none",
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
    func train(_ recipe: EmbeddingRecipe, steps: Int = .max) throws -> FineTuningSession {
        try trained(steps: steps) { try FineTuningSession(recipe, $0) }
    }

    func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(filePath: folder.file(name))) }
}

/// Runs a session.
///
/// - Parameters:
///   - steps: After how many steps the run is asked to stop.
///   - make: Makes the session.
/// - Returns: The session.
/// - Throws: What the session throws.
func trained(
    steps: Int,
    _ make: (FineTuningSession.Options) throws -> FineTuningSession
) throws -> FineTuningSession {
    var options = FineTuningSession.Options()
    var count = 0
    options.shouldStop = {
        count += 1
        return count > steps
    }
    let session = try make(options)
    _ = try session.run()
    return session
}
