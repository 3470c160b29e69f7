import EttinFiles
import EttinJSON

/// What the model in a folder was made for, by the names that `ettin info` and messages use.
package enum FolderKind: String, Sendable, Hashable, CaseIterable {
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
package struct FolderEvidence {
    package let kind: FolderKind
    /// The file, with the key and value or the module that tells.
    package let reason: String

    /// Looks at the files of a folder, the most telling first.
    ///
    /// Nil when nothing tells: a folder without `modules.json` whose `config.json` names no architecture.
    ///
    /// - Parameter folder: The folder.
    /// - Throws: `CheckpointError` for files that are not JSON.
    package init?(folder: String) throws {
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
        if !hasWeights, FilePath.exists(FilePath.joined(folder, "adapter_config.json")) {
            self.init(.adapter, "adapter_config.json is there, and no weights")
            return
        }
        let config = try object("config.json")
        let architecture = config?["architectures"]?[0]?.stringValue ?? ""
        if let modules = try Self.modules(folder) {
            let type = try object("config_sentence_transformers.json")?["model_type"]?.stringValue ?? ""
            self = try Self(modules, type: type, folder) ?? Self(.embedding, "modules.json has a Pooling")
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

    private init(_ kind: FolderKind, _ reason: String) {
        (self.kind, self.reason) = (kind, reason)
    }

    private struct Entry {
        let className: String
        let path: String
    }

    private static func modules(_ folder: String) throws -> [Entry]? {
        let path = FilePath.joined(folder, FeatureModules.file)
        guard FilePath.exists(path) else { return nil }
        let list = try JSONFile.value(path: path, name: FeatureModules.file, sizeLimit: JSONFile.settingsSizeLimit)
        return list.arrayValue?.map { entry in
            Entry(
                className: FeatureModules.className(ofPath: entry["type"]?.stringValue ?? ""),
                path: entry["path"]?.stringValue ?? ""
            )
        }
    }

    /// What `config_sentence_transformers.json` and modules tell; nil for an embedding model's.
    private init?(_ modules: [Entry], type: String, _ folder: String) throws {
        let settings = "config_sentence_transformers.json: \"model_type\" is \(quoted(type, limit: 40))"
        switch type {
        case "CrossEncoder": self.init(.reranker, settings)
        case "MultiVectorEncoder", "ColBERT": self.init(.multiVector, settings)
        case "SparseEncoder": self.init(.sparse, settings)
        default:
            if let module = modules.first(where: { ["SpladePooling", "SparseStaticEmbedding"].contains($0.className) })
            {
                self.init(.sparse, "modules.json has a \(module.className)")
            } else if try Self.writesScores(modules.last, folder) {
                self.init(.reranker, "\(FilePath.joined(modules.last?.path ?? "", "config.json")) writes \"scores\"")
            } else if modules.contains(where: { $0.className == "Dense" }),
                !modules.contains(where: { $0.className == "Pooling" })
            {
                self.init(.multiVector, "modules.json has a Dense and no Pooling")
            } else {
                return nil
            }
        }
    }

    private static func writesScores(_ module: Entry?, _ folder: String) throws -> Bool {
        guard let module, module.className == "Dense", FilePath.isPlainName(module.path) else { return false }
        let name = FilePath.joined(module.path, "config.json")
        let path = FilePath.joined(folder, name)
        guard FilePath.exists(path) else { return false }
        let object = try JSONFile.object(path: path, name: name, sizeLimit: JSONFile.settingsSizeLimit)
        return object["module_output_name"]?.stringValue == "scores"
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
                expected: "an embedding model; --pooling uses its transformer all the same"
            )
        default: throw evidence.error(folder: folder, expected: "an embedding model")
        }
    }

    /// Refuses a folder of sentence-transformers modules, which a copy of its transformer alone would leave out.
    package static func requireNoModules(folder: String) throws {
        guard FilePath.exists(FilePath.joined(folder, "modules.json")),
            let evidence = try FolderEvidence(folder: folder)
        else { return }
        throw evidence.error(folder: folder, expected: "a language model or a bare trunk, without modules.json")
    }

    /// The refusal of a folder that was made for something else.
    package func error(folder: String, expected: String) -> CheckpointError {
        CheckpointError(.unsupported, file: folder, found: "is \(kind.phrase) (\(reason))", expected: expected)
    }
}
