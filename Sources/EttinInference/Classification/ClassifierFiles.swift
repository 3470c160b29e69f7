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
    ///   - obeyedKeys: Further keys of `config.json` that the caller obeys.
    /// - Throws: `CheckpointError`, `TokenizerError` for files that are missing or broken; ``InferenceError`` when model
    ///   and tokenizer do not fit.
    init(folder: String, obeyedKeys: Set<String> = []) throws {
        divergence = Divergence(folder: folder)
        let configuration = try ModernBERTConfiguration(folder: folder)
        tokenizer = try Tokenizer(folder: folder)
        notices = try ModelFolderNotices.all(folder: folder, obeyedKeys: obeyedKeys) + tokenizer.notices
        try configuration.requireIDs(of: tokenizer, folder: folder)
        preparation = TextPreparation(
            tokenizer: tokenizer,
            limit: TextPreparation.limit(tokenizer, configuration)
        )
    }
}

extension FolderEvidence {
    /// Refuses a folder whose model was made for something else, before a head that it lacks could be missed.
    ///
    /// - Parameters:
    ///   - kind: What is asked for.
    ///   - folder: The folder.
    ///   - expected: The noun for it.
    ///   - allowingSequenceClassification: Whether a reranker will do that is a classifier with one label.
    /// - Throws: `CheckpointError` that says what the folder holds.
    static func require(
        _ kind: FolderKind,
        folder: String,
        expected: String,
        allowingSequenceClassification: Bool = false
    ) throws {
        try UnsupportedFolder.check(folder)
        // Nothing tells: loading is strict, and lists what is missing.
        guard let evidence = try FolderEvidence(folder: folder), evidence.kind != kind else { return }
        if allowingSequenceClassification, evidence.kind == .reranker, try isSequenceClassifier(folder) { return }
        throw evidence.error(folder: folder, expected: expected)
    }

    /// Whether a folder is a checkpoint of `…ForSequenceClassification`, with or without sentence-transformers' files.
    static func isSequenceClassifier(_ folder: String) throws -> Bool {
        guard FilePath.exists(FilePath.joined(folder, "config.json")) else { return false }
        return try ModernBERTConfiguration(folder: folder).architectures.first?
            .hasSuffix("ForSequenceClassification") == true
    }
}
