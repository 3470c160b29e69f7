import EttinFiles
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
        try UnsupportedFolder.check(folder)
        divergence = Divergence(folder: folder)
        let evidence = try FolderEvidence(folder: folder)
        if let evidence, evidence.kind != kind {
            // A reranker in the layout of transformers is a classifier of pairs with one label.
            guard kind == .classifier, evidence.kind == .reranker, try Self.isSequenceClassifier(folder) else {
                throw evidence.error(folder: folder, expected: expected)
            }
        }
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

    /// Whether a folder is a checkpoint of `…ForSequenceClassification`, with or without sentence-transformers' files.
    private static func isSequenceClassifier(_ folder: String) throws -> Bool {
        guard FilePath.exists(FilePath.joined(folder, "config.json")) else { return false }
        return try ModernBERTConfiguration(folder: folder).architectures.first?
            .hasSuffix("ForSequenceClassification") == true
    }
}
