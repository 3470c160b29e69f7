import EttinFiles
import EttinJSON

/// What the model in a folder was made for, by the names that `ettin info` and messages use.
public enum FolderKind: String, Sendable, Hashable, CaseIterable {
    /// Fills masks.
    case maskedLM = "masked-lm"
    /// Continues texts.
    case causalLM = "causal-lm"
    /// A transformer without a head.
    case backbone
    /// One vector for each text, with modules of sentence-transformers.
    case embedding
    /// A vector for each token, compared by MaxSim, as ColBERT has them.
    case multiVector = "multi-vector"
    /// A weight for each entry of the vocabulary, as SPLADE has them.
    case sparse
    /// A score for each pair of texts.
    case reranker
    /// Classes of texts.
    case classifier
    /// Classes of tokens.
    case tagger
    /// The place of an answer in a text.
    case questionAnswering = "question-answering"
    /// A choice among answers.
    case multipleChoice = "multiple-choice"
    /// Changes to the weights of another model.
    case adapter
    /// Entities by name, with a model of another architecture.
    case gliner

    /// The command of `ettin` that runs such a model; nil where none does.
    public var command: String? {
        switch self {
        case .maskedLM: "fill-mask"
        case .causalLM: "generate"
        case .backbone, .embedding, .multiVector: "embed"
        case .sparse: "sparse"
        case .reranker: "rerank"
        case .classifier: "classify"
        case .tagger: "tag"
        case .questionAnswering: "answer"
        case .multipleChoice: "choose"
        case .adapter, .gliner: nil
        }
    }

    /// The noun for it, with what such a model gives.
    package var phrase: String {
        switch self {
        case .maskedLM: "a masked language model, which fills masks"
        case .causalLM: "a causal language model, which continues texts"
        case .backbone: "a transformer without a head"
        case .embedding: "an embedding model, which gives one vector for each text"
        case .multiVector: "a multi-vector (ColBERT) model, which gives a vector for each token"
        case .sparse: "a sparse (SPLADE) model, which weighs the entries of the vocabulary"
        case .reranker: "a reranker (cross-encoder), which scores pairs of texts"
        case .classifier: "a classifier of texts"
        case .tagger: "a token classifier"
        case .questionAnswering: "a question-answering model"
        case .multipleChoice: "a multiple-choice model"
        case .adapter: "an adapter, without the model that it changes"
        case .gliner: "a GLiNER model, whose architecture is not supported"
        }
    }
}

/// A kind with what it was told by.
public struct FolderEvidence: Sendable, Hashable {
    /// The kind.
    public let kind: FolderKind
    /// The file, with the key and value or the module that tells.
    public let reason: String

    /// Looks at the files of a folder, the most telling first.
    ///
    /// Nil when nothing tells: a folder without `modules.json` whose `config.json` names no architecture.
    ///
    /// - Parameter folder: The folder.
    /// - Throws: `CheckpointError` for files that are not JSON.
    public init?(folder: String) throws {
        func object(_ name: String) throws -> JSONObject? {
            let path = FilePath.joined(folder, name)
            guard FilePath.exists(path) else { return nil }
            return try JSONFile.object(path: path, name: name, sizeLimit: JSONFile.settingsSizeLimit)
        }
        if FilePath.exists(FilePath.joined(folder, "gliner_config.json")) {
            self.init(.gliner, "gliner_config.json is there")
            return
        }
        let hasWeights = TensorStore.Form.allCases.contains { FilePath.exists(FilePath.joined(folder, $0.rawValue)) }
        let modules = try ModuleListing(folder: folder)
        if !hasWeights, FilePath.exists(FilePath.joined(folder, "adapter_config.json")) {
            self.init(.adapter, "adapter_config.json is there, and no weights")
            return
        }
        let config = try object("config.json")
        let architecture = config?["architectures"]?[0]?.stringValue ?? ""
        if let modules {
            let type = try object(EmbeddingSettings.file)?["model_type"]?.stringValue ?? ""
            self = Self(modules, type: type, architecture: architecture)
            return
        }
        if architecture == "HF_ColBERT" {
            self.init(.multiVector, "config.json: \"architectures\" has \(quoted(architecture))")
            return
        }
        let endings: [(String, FolderKind)] = [
            ("ForMaskedLM", .maskedLM), ("ForCausalLM", .causalLM), ("ForSequenceClassification", .classifier),
            ("ForTokenClassification", .tagger), ("ForQuestionAnswering", .questionAnswering),
            ("ForMultipleChoice", .multipleChoice), ("Model", .backbone),
        ]
        guard let kind = endings.first(where: { architecture.hasSuffix($0.0) })?.1 else { return nil }
        self.init(kind, "config.json: \"architectures\" has \(quoted(architecture))")
    }

    init(_ kind: FolderKind, _ reason: String) {
        (self.kind, self.reason) = (kind, reason)
    }

    /// What `config_sentence_transformers.json` and modules tell, in the order of the kinds.
    private init(_ listing: ModuleListing, type: String, architecture: String) {
        let settings = "\(EmbeddingSettings.file): \"model_type\" is \(quoted(type, limit: 40))"
        let modules = listing.allModules
        func first(_ names: Set<String>) -> ModuleListing.Entry? { modules.first { names.contains($0.className) } }
        let last = listing.entries.last
        if type == "CrossEncoder" {
            self.init(.reranker, settings)
        } else if let last, last.className == "Dense", last.settings["module_output_name"] == "scores" {
            self.init(.reranker, "\(last.file) writes \"scores\"")
        } else if let scorer = modules.first(where: { $0.settings["transformer_task"] == "sequence-classification" }) {
            self.init(.reranker, "\(scorer.file): \"transformer_task\" is \"sequence-classification\"")
        } else if type == "MultiVectorEncoder" || type == "ColBERT" {
            self.init(.multiVector, settings)
        } else if first(["MultiVectorMask"]) != nil {
            self.init(.multiVector, "\(FeatureModules.file) has a MultiVectorMask")
        } else if first(["Dense"]) != nil, first(["Pooling", "StaticEmbedding", "SparseStaticEmbedding"]) == nil {
            self.init(.multiVector, "\(FeatureModules.file) has a Dense and no Pooling")
        } else if architecture == "HF_ColBERT" {
            self.init(.multiVector, "config.json: \"architectures\" has \(quoted(architecture))")
        } else if type == "SparseEncoder" {
            self.init(.sparse, settings)
        } else if let module = first(["SpladePooling", "SparseStaticEmbedding"]) {
            self.init(.sparse, "\(FeatureModules.file) has a \(module.className)")
        } else if let module = first(["Pooling", "StaticEmbedding"]) {
            self.init(.embedding, "\(module.list) has a \(module.className)")
        } else {
            self.init(.embedding, "\(FeatureModules.file) is there")
        }
    }

    /// Refuses a folder whose model is of another kind.
    ///
    /// A reranker in the layout of transformers is also a classifier, of pairs and with one label.
    ///
    /// - Parameters:
    ///   - kind: What the caller runs.
    ///   - folder: The folder.
    ///   - expected: What was asked for, such as `a token classifier`.
    /// - Throws: `CheckpointError` that says what the folder holds, and which command runs it.
    package static func require(_ kind: FolderKind, folder: String, expected: String) throws {
        try UnsupportedFolder.check(folder)
        guard let evidence = try FolderEvidence(folder: folder), evidence.kind != kind else { return }
        guard kind == .classifier, evidence.kind == .reranker else {
            throw evidence.error(folder: folder, expected: expected)
        }
        guard try !isSequenceClassifier(folder) else { return }
        let scores = try ModuleListing(folder: folder)?.entries.last?.settings["out_features"]?.intValue ?? 1
        guard scores == 1 else {
            throw CheckpointError(
                .unsupported,
                file: folder,
                found: "is \(evidence.kind.phrase) (\(evidence.reason)) by \(scores) numbers",
                expected: "\(expected); no command runs a modular scorer of several classes"
            )
        }
        throw evidence.error(folder: folder, expected: expected)
    }

    /// Whether a folder is a checkpoint of `…ForSequenceClassification`, with or without sentence-transformers' files.
    package static func isSequenceClassifier(_ folder: String) throws -> Bool {
        guard FilePath.exists(FilePath.joined(folder, "config.json")) else { return false }
        return try ModernBERTConfiguration(folder: folder).architectures.first?
            .hasSuffix("ForSequenceClassification") == true
    }

    /// Refuses a folder whose model has another head than a language model's.
    ///
    /// - Parameters:
    ///   - folder: The folder.
    ///   - expected: What was asked for.
    /// - Throws: `CheckpointError` that says what the folder holds.
    package static func requireLanguageModel(folder: String, expected: String) throws {
        try UnsupportedFolder.check(folder)
        guard let evidence = try FolderEvidence(folder: folder) else { return }
        switch evidence.kind {
        case .maskedLM, .causalLM, .backbone, .embedding: return
        case .sparse where FilePath.exists(FilePath.joined(folder, "config.json")): return
        default: throw evidence.error(folder: folder, expected: expected)
        }
    }

    /// Refuses a folder whose model gives something else than one vector for each text.
    ///
    /// - Parameters:
    ///   - folder: The folder.
    ///   - isPoolingGiven: Whether the caller says how to make vectors, of any transformer that has no modules.
    /// - Throws: `CheckpointError` that says what the folder holds.
    package static func requireEmbeddings(folder: String, isPoolingGiven: Bool) throws {
        try UnsupportedFolder.check(folder)
        guard let evidence = try FolderEvidence(folder: folder) else { return }
        switch evidence.kind {
        case .maskedLM, .causalLM, .backbone, .embedding: return
        case .classifier, .tagger, .questionAnswering, .multipleChoice:
            if isPoolingGiven { return }
            throw evidence.error(
                folder: folder,
                expected: "an embedding model",
                or: "--pooling for the vectors of its transformer"
            )
        default: throw evidence.error(folder: folder, expected: "an embedding model")
        }
    }

    /// Refuses a folder of sentence-transformers modules, which a copy of its transformer alone would leave out.
    package static func requireNoModules(folder: String) throws {
        guard FilePath.exists(FilePath.joined(folder, "modules.json")),
            let evidence = try FolderEvidence(folder: folder)
        else { return }
        throw CheckpointError(
            .unsupported,
            file: folder,
            found: "is \(evidence.kind.phrase) (\(evidence.reason))",
            expected: "a language model or a bare trunk, without modules.json"
        )
    }

    /// The refusal of a folder that was made for something else.
    ///
    /// - Parameters:
    ///   - folder: The folder.
    ///   - expected: What was asked for.
    ///   - other: What would work besides the command that fits.
    /// - Returns: One sentence that says what the folder holds, and which command runs it.
    package func error(folder: String, expected: String, or other: String? = nil) -> CheckpointError {
        let ways = [kind.command.map { "`ettin \($0)`" }, other].compactMap(\.self)
        return CheckpointError(
            .unsupported,
            file: folder,
            found: "is \(kind.phrase) (\(reason))",
            expected: expected + (ways.isEmpty ? "" : "; use \(ways.joined(separator: ", or "))")
        )
    }
}
