import EttinModel
import EttinTokenizer

/// What the pipelines of classifiers read from a folder besides the weights.
struct ClassifierFiles {
    let tokenizer: Tokenizer
    let preparation: TextPreparation
    let notices: [String]
    let divergence: Divergence

    /// Reads a folder.
    ///
    /// - Parameters:
    ///   - folder: The folder of a classifier.
    ///   - kind: What the caller runs.
    ///   - expected: The noun for it.
    /// - Throws: `CheckpointError` for a folder of another kind, before a head that it lacks could be missed;
    ///   `CheckpointError`, `TokenizerError` for files that are missing or broken; ``InferenceError`` when model and
    ///   tokenizer do not fit.
    init(folder: String, of kind: FolderKind, expected: String) throws {
        try FolderEvidence.require(kind, folder: folder, expected: expected)
        divergence = Divergence(folder: folder)
        let configuration = try ModernBERTConfiguration(folder: folder)
        tokenizer = try Tokenizer(folder: folder)
        // Keys of rerankers, which a classifier of one label may be.
        let obeyedKeys = RerankerSettings.configurationKeys
        notices = try ModelFolderNotices.all(folder: folder, obeyedKeys: obeyedKeys) + tokenizer.notices
        try configuration.requireIDs(of: tokenizer, folder: folder)
        preparation = TextPreparation(
            tokenizer: tokenizer,
            limit: TextPreparation.limit(tokenizer, configuration)
        )
    }
}
