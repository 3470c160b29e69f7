import EttinJSON
package import Torch

/// Says which tokens count in late interaction: not those of a list of words, or only some tokens.
///
/// The words become tokens by the model's tokenizer, for which see ``resolve(_:)``.
///
/// > Source: sentence-transformers `multi_vector_encoder/modules/multi_vector_mask.py`.
package final class MultiVectorMaskModule: Module, FeatureModule {
    package static let classPath =
        "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"

    /// The words that are left out.
    package let skippedWords: [String]
    /// The tasks whose texts they are left out of.
    package let skippedTasks: [String]
    /// The only tokens that count in anything but a query; nil or empty for all.
    package let keptTokens: [Int32]?
    /// The tokens that are left out.
    package private(set) var skippedTokens: Set<Int32> = []

    package init(
        skippedWords: [String] = [],
        skippedTasks: [String] = ["document"],
        keptTokens: [Int32]? = nil
    ) {
        self.skippedWords = skippedWords
        self.skippedTasks = skippedTasks
        self.keptTokens = keptTokens
        super.init()
    }

    package static func read(_ folder: FeatureModuleFolder) throws -> MultiVectorMaskModule {
        var fields = try folder.settings(isRequired: true)
        func strings(_ key: String, _ fallback: [String]) -> [String] {
            guard let value = fields.value(key), !value.isNull else { return fallback }
            if let text = value.stringValue { return [text] }
            let items = value.arrayValue?.map(\.stringValue) ?? [nil]
            if items.contains(nil) { fields.refuse(key, "is \(value.text())", expected: "a list of strings") }
            return items.compactMap(\.self)
        }
        let words = strings("skiplist_words", [])
        let tasks = strings("skiplist_tasks", ["document"])
        var kept: [Int32]?
        if let value = fields.value("keep_only_token_ids"), !value.isNull {
            let items = value.arrayValue?.map { $0.intValue.flatMap(Int32.init(exactly:)) } ?? [nil]
            if items.contains(where: { $0.map { $0 < 0 } ?? true }) {
                fields.refuse("keep_only_token_ids", "is \(value.text())", expected: "a list of token ids")
            }
            kept = items.compactMap(\.self)
        }
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        return MultiVectorMaskModule(skippedWords: words, skippedTasks: tasks, keptTokens: kept)
    }

    /// Finds the tokens of the words that are left out.
    ///
    /// - Parameter token: The token that is exactly a word; nil for a word that is no token.
    /// - Returns: The words that are no token, and so have no effect.
    package func resolve(_ token: (String) -> Int32?) -> [String] {
        skippedTokens = Set(skippedWords.compactMap(token))
        return skippedWords.filter { token($0) == nil }
    }

    package func connect(_ shapes: inout FeatureShapes) throws { shapes.mask() }

    package func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision) {
        var isScored = features.isScored ?? [Bool](repeating: true, count: features.batch.tokenCount)
        let counts = rule(for: features.task)
        for (row, token) in features.batch.inputIDs.enumerated() where !counts(token) { isScored[row] = false }
        features.isScored = isScored
    }

    /// Which tokens count in the texts of a task.
    ///
    /// - Parameter task: `query` or `document`; nil for documents.
    /// - Returns: Whether a token counts.
    package func rule(for task: String?) -> (Int32) -> Bool {
        let skipped = skippedTasks.contains(task ?? "document") ? skippedTokens : []
        let kept = task == "query" ? [] : Set(keptTokens ?? [])
        return { !skipped.contains($0) && (kept.isEmpty || kept.contains($0)) }
    }

    package func write(_ folder: FeatureModuleFolder) throws {
        try folder.write([
            "skiplist_words": .array(skippedWords.map(JSONValue.string)),
            "skiplist_tasks": .array(skippedTasks.map(JSONValue.string)),
            "keep_only_token_ids": keptTokens.map { .array($0.map { JSONValue(Int($0)) }) } ?? .null,
        ])
    }
}
