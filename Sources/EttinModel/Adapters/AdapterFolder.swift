// An adapter and its base as one folder: links to the files of both, of which each reader of a model's folder reads what it
// would read of any. Weights are merged where they are loaded (`StoredAdapter`), so that nothing is written but links.
import EttinFiles
import EttinJSON

/// Folders of adapters, opened with the models that they change.
package enum AdapterFolder {
    /// Finds the folder of a base by its name and revision; nil where it cannot.
    package typealias Resolver = (_ name: String, _ revision: String?) throws -> String?

    /// What an opened folder is made of, which a file in it says.
    struct Opened {
        static let file = ".ettin_adapter.json"
        let adapter: String
        let base: String
        let isMerged: Bool

        init(adapter: String, base: String, isMerged: Bool) {
            (self.adapter, self.base, self.isMerged) = (adapter, base, isMerged)
        }

        init?(folder: String) throws {
            let path = FilePath.joined(folder, Self.file)
            guard FilePath.exists(path) else { return nil }
            let object = try JSONFile.object(path: path, name: path, sizeLimit: JSONFile.settingsSizeLimit)
            guard let adapter = object["adapter"]?.stringValue, let base = object["base"]?.stringValue else {
                return nil
            }
            self.init(adapter: adapter, base: base, isMerged: object["merged"]?.boolValue ?? true)
        }
    }

    /// The configuration of the model with its adapter, such as the labels of a classifier, which PEFT has no place for.
    ///
    /// Beside a `config.json` transformers and sentence-transformers look for weights, and not for the base.
    package static let configurationFile = "adapted_config.json"

    /// Writes the configuration of a model beside its adapter.
    static func write(
        _ configuration: ModernBERTConfiguration,
        toFolder folder: String,
        format: ModernBERTConfiguration.Format
    ) throws {
        let bytes = try configuration.serialized(format)
        try CheckpointError.translating {
            try AtomicFile.write(bytes, to: FilePath.joined(folder, configurationFile))
        }
    }

    /// Whether a folder holds an adapter and no model.
    ///
    /// - Parameter folder: A folder.
    /// - Returns: Whether it does.
    package static func isAdapter(_ folder: String) -> Bool {
        FilePath.exists(FilePath.joined(folder, LoRAConfiguration.file)) && !hasWeights(folder)
    }

    /// Whether a folder is one that ``opened(_:base:isMerged:resolver:)`` has made.
    ///
    /// - Parameter folder: A folder.
    /// - Returns: Whether it is.
    package static func isOpened(_ folder: String) -> Bool { FilePath.exists(FilePath.joined(folder, Opened.file)) }

    private static func hasWeights(_ folder: String) -> Bool {
        TensorStore.Form.allCases.contains { FilePath.exists(FilePath.joined(folder, $0.rawValue)) }
    }

    /// The folder of a model; that of an adapter is opened with its base.
    ///
    /// - Parameters:
    ///   - folder: The folder of a model or an adapter.
    ///   - base: The folder of the base; nil for the one that the adapter names: beside it, as a path, or by `resolver`.
    ///   - isMerged: Whether the adapter's products are added to the weights; false for the weights as they were, with what
    ///     the adapter stores whole.
    ///   - resolver: Finds the base where its name is no folder.
    /// - Returns: The folder itself where it is no adapter; else a folder that reads as a model, and is there for as long as
    ///   the process runs.
    /// - Throws: `CheckpointError` for an adapter that is broken, of another type, or without a base.
    package static func opened(
        _ folder: String,
        base: String? = nil,
        isMerged: Bool = true,
        resolver: Resolver = { _, _ in nil }
    ) throws -> String {
        guard isAdapter(folder) else {
            try requireOneModel(folder)
            return folder
        }
        let configuration = try LoRAConfiguration(folder: folder)
        let weights = try weights(of: folder)
        let base = try base ?? self.base(of: folder, configuration, resolver)
        guard !isAdapter(base), hasWeights(base), FilePath.exists(FilePath.joined(base, "config.json")) else {
            throw CheckpointError(
                .unsupported,
                file: folder,
                found: "has the base \(quoted(base, limit: 160)), which is "
                    + (isAdapter(base) ? "an adapter itself" : "no folder with config.json and weights"),
                expected: "a model; `ettin merge` makes one of an adapter"
            )
        }
        return try CheckpointError.translating {
            let opened = try ProcessFolder.make(named: "ettin-adapter")
            try link(folder, base, into: opened)
            let description = Opened(adapter: absolute(folder), base: base, isMerged: isMerged)
            try write(description, configuration, weights, toFolder: opened)
            return opened
        }
    }

    /// Refuses a model's weights beside an adapter: transformers takes the adapter, and readers of weights would not.
    private static func requireOneModel(_ folder: String) throws {
        let files = [LoRAConfiguration.file, AttachedLoRA.weightsFile]
        guard !isOpened(folder), files.allSatisfy({ FilePath.exists(FilePath.joined(folder, $0)) }) else { return }
        throw CheckpointError(
            .unsupported,
            file: folder,
            found: "holds an adapter (\(files.joined(separator: ", "))) beside the weights of a model",
            expected: "one of them in a folder of its own"
        )
    }

    /// Refuses a folder with a model's weights, which readers would take in place of an adapter.
    static func requireNoWeights(_ folder: String) throws {
        guard hasWeights(folder) else { return }
        throw CheckpointError(
            .unsupported,
            file: folder,
            found: "holds the weights of a model, beside which an adapter would be saved",
            expected: "a folder without weights"
        )
    }

    /// Opens the tensors of an adapter.
    ///
    /// - Throws: `CheckpointError` when there are none.
    package static func weights(of folder: String) throws -> TensorStore {
        for name in [AttachedLoRA.weightsFile, "adapter_model.bin"] {
            let path = FilePath.joined(folder, name)
            if FilePath.exists(path) { return try TensorStore.open(file: path) }
        }
        throw CheckpointError(
            .missing,
            file: folder,
            found: "has \(LoRAConfiguration.file), but neither \(AttachedLoRA.weightsFile) nor adapter_model.bin",
            expected: "an adapter as PEFT's save_pretrained writes it"
        )
    }

    // MARK: Base

    /// Finds the folder of an adapter's base.
    private static func base(
        of folder: String,
        _ configuration: LoRAConfiguration,
        _ resolver: Resolver
    ) throws -> String {
        guard let name = configuration.baseModel, !name.isEmpty else {
            throw CheckpointError(
                .missing,
                file: FilePath.joined(folder, LoRAConfiguration.file),
                item: quoted("base_model_name_or_path"),
                found: "is missing",
                expected: "the model that the adapter changes; `ettin merge --base` names another"
            )
        }
        let parent = FilePath.folder(of: absolute(folder))
        let path = FilePath.expandingHome(name)
        var places = [path]
        if !path.hasPrefix("/") { places.insert(FilePath.joined(parent, path), at: 0) }
        // A base that was moved together with its adapter.
        places.append(FilePath.joined(parent, FilePath.lastComponent(of: path)))
        let own = absolute(folder)
        if let found = places.first(where: { FilePath.kind(of: $0) == .folder && absolute($0) != own }) { return found }
        func missing(_ reason: String) -> CheckpointError {
            CheckpointError(
                .missing,
                file: folder,
                found: "is an adapter of \(quoted(name, limit: 160)), \(reason)",
                expected: "that model; `ettin merge --base` names another"
            )
        }
        do {
            if let found = try resolver(name, configuration.revision) { return found }
        } catch {
            throw missing("which could not be had: \(error)")
        }
        throw missing("which is neither a folder here nor beside it")
    }

    private static func absolute(_ path: String) -> String { FilePath.absolute(path) }

    // MARK: Links

    /// Files that belong together, so that the adapter's or the base's are taken.
    private static let tokenizerFiles: Set<String> = [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
        "vocab.json", "merges.txt", "spiece.model", "chat_template.jinja", "chat_template.json",
        "additional_chat_templates",
    ]

    /// Links the files of the adapter, and those of the base that the adapter does not have.
    ///
    /// An adapter that says what the model is, by its own modules or configuration, takes weights, tokenizer and generation
    /// settings of the base alone.
    private static func link(_ folder: String, _ base: String, into opened: String) throws {
        let own = try FilePath.names(inFolder: folder)
        let describesItself = try describesItself(folder, own, base)
        let hasTokenizer = own.contains("tokenizer.json") || own.contains("tokenizer_config.json")
        for name in try FilePath.names(inFolder: base) where !own.contains(name) && !name.hasPrefix(".") {
            let isTokenizer = tokenizerFiles.contains(name)
            if isTokenizer && hasTokenizer || name.hasPrefix("adapter_") { continue }
            let isWeights = name.hasPrefix("model") && name != FeatureModules.file || name.hasPrefix("pytorch_model")
            let isNeeded = isTokenizer || isWeights || ["config.json", "generation_config.json"].contains(name)
            if describesItself && !isNeeded { continue }
            try FilePath.replaceLink(FilePath.joined(opened, name), to: absolute(FilePath.joined(base, name)))
        }
        for name in own where !name.hasPrefix(".") {
            let link = name == configurationFile ? "config.json" : name
            try FilePath.replaceLink(FilePath.joined(opened, link), to: absolute(FilePath.joined(folder, name)))
        }
    }

    /// Whether an adapter says all that the base's folder says of its model.
    ///
    /// A configuration alone says nothing of the modules around a transformer; one of another architecture makes
    /// another model of it.
    private static func describesItself(_ folder: String, _ own: [String], _ base: String) throws -> Bool {
        if own.contains(FeatureModules.file) { return true }
        guard let name = [configurationFile, "config.json"].first(where: { own.contains($0) }) else {
            return false
        }
        guard FilePath.exists(FilePath.joined(base, FeatureModules.file)) else { return true }
        func architectures(_ path: String) throws -> JSONValue? {
            try JSONFile.object(path: path, name: path, sizeLimit: JSONFile.settingsSizeLimit)["architectures"]
        }
        let described = try architectures(FilePath.joined(folder, name))
        return try described != architectures(FilePath.joined(base, "config.json"))
    }

    /// Writes what the folder is, and the base's configuration with what the adapter changes of it.
    private static func write(
        _ opened: Opened,
        _ configuration: LoRAConfiguration,
        _ weights: TensorStore,
        toFolder folder: String
    ) throws {
        let description: JSONValue = [
            "adapter": .string(opened.adapter), "base": .string(opened.base), "merged": .bool(opened.isMerged),
        ]
        try JSONFile.write(description, toFolder: folder, name: Opened.file)
        let path = FilePath.joined(folder, "config.json")
        let own = ["config.json", configurationFile].contains { FilePath.exists(FilePath.joined(opened.adapter, $0)) }
        guard !own else { return }
        var object = try JSONFile.object(path: path, name: path, sizeLimit: JSONFile.settingsSizeLimit)
        let before = object
        try change(&object, configuration, weights)
        guard object != before else { return }
        try FilePath.remove(path)
        try JSONFile.write(.object(object), toFolder: folder, name: "config.json")
    }

    /// PEFT stores no configuration: what differs from the base follows from the tensors and the task.
    private static func change(
        _ object: inout JSONObject,
        _ configuration: LoRAConfiguration,
        _ weights: TensorStore
    ) throws {
        func rows(_ ending: String) -> Int? {
            weights.names.first { $0.hasSuffix(ending) }.flatMap { weights.descriptor($0)?.shape.first }
        }
        if let count = rows(AttachedLoRA.embeddingKey) { object["vocab_size"] = JSONValue(count) }
        guard let count = rows(".classifier.weight") else { return }
        let kind = object["model_type"]?.stringValue.flatMap(ModelKind.init(rawValue:)) ?? .encoder
        let architecture: String? =
            switch configuration.taskType {
            case "SEQ_CLS": SequenceClassificationModel.architecture(of: kind)
            case "TOKEN_CLS": TokenClassificationModel.architecture(of: kind)
            case "QUESTION_ANS": QuestionAnsweringModel.architecture(of: kind)
            default: nil
            }
        if let architecture { object["architectures"] = .array([.string(architecture)]) }
        // A tensor of no columns may have any number of rows.
        guard (1...ConfigurationLimits.labels).contains(count) else {
            throw CheckpointError(
                .malformed,
                file: AttachedLoRA.weightsFile,
                item: "classifier.weight",
                found: "has \(count) rows",
                expected: "1 to \(ConfigurationLimits.labels) labels"
            )
        }
        let labels = object["id2label"]?.objectValue?.count ?? 2
        guard labels != count else { return }
        let names = (0..<count).map { "LABEL_\($0)" }
        object["id2label"] = .object(JSONObject(names.enumerated().map { ("\($0)", .string($1)) }))
        object["label2id"] = .object(JSONObject(names.enumerated().map { ($1, JSONValue($0)) }))
        object["num_labels"] = nil
    }
}
