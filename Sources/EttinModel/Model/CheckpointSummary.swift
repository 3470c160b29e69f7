import EttinFiles
package import EttinJSON

/// What is in the folder of a model, without reading a weight; also of one that cannot be run.
package struct CheckpointSummary: Sendable {
    /// A file and its size.
    package struct File: Hashable, Sendable {
        /// The name inside the folder.
        package let name: String
        /// The size in bytes.
        package let byteCount: Int
    }

    /// The configuration of the model, or of the first transformer among its modules; nil for one that cannot be read,
    /// and for static embeddings.
    package let configuration: ModernBERTConfiguration?
    /// The size of the suite with this shape; nil for any other shape.
    package let size: EttinSize?
    /// The number of values in the weights, modules included and a tied matrix counted once; without weights, that of the
    /// configuration.
    package let parameterCount: Int
    /// The types of the weights, most values first; empty without weights.
    package let dtypes: [StoredDType]
    /// The files of the folder, by name.
    package let files: [File]
    /// What the model was made for; nil when no file tells.
    package let evidence: FolderEvidence?
    /// The modules of sentence-transformers; nil for a folder without them.
    package let modules: ModuleListing?
    /// What `config_sentence_transformers.json` says; nil without modules.
    package let settings: EmbeddingSettings?
    /// All that the file says.
    package let settingsObject: JSONObject
    /// What a multi-vector model's folder says about queries and documents; nil for another.
    package let multiVector: MultiVectorSettings?
    /// The folder of the tokenizer below the model's; empty for its own.
    package let tokenizerPath: String
    /// Why the model cannot be run; nil when nothing is known to be in the way.
    package let obstacle: String?
    /// What the files say that has no effect, and weights that are NaN or infinite, a sentence each.
    ///
    /// Only small tensors are looked at: a run that diverges leaves no weight as it was.
    package let notices: [String]

    /// What the model was made for; nil when no file tells.
    package var kind: FolderKind? { evidence?.kind }
    /// Whether the folder has weights.
    package var hasWeights: Bool { !dtypes.isEmpty }
    /// The number of values in the embedding matrix.
    package var embeddingParameterCount: Int { configuration?.embeddingParameterCount ?? 0 }
    /// The number of all other values.
    package var nonEmbeddingParameterCount: Int { parameterCount - embeddingParameterCount }

    /// Describes a model of the suite that need not be here.
    ///
    /// - Parameters:
    ///   - size: The size.
    ///   - kind: Encoder or decoder.
    package init(size: EttinSize, kind: ModelKind) {
        let configuration = ModernBERTConfiguration.ettin(size: size, kind: kind)
        self.configuration = configuration
        self.size = size
        parameterCount = configuration.parameterCount
        dtypes = []
        files = []
        evidence = FolderEvidence(kind == .encoder ? .maskedLM : .causalLM, "the suite's \(kind.name)")
        modules = nil
        settings = nil
        settingsObject = [:]
        multiVector = nil
        tokenizerPath = ""
        obstacle = nil
        notices = []
    }

    /// Describes a folder.
    ///
    /// - Parameter folder: A folder with at least a configuration or a file that tells what it is.
    /// - Throws: `CheckpointError` when the files are broken, but not when they are of another architecture.
    package init(folder: String) throws {
        let names = try CheckpointError.translating { try FilePath.names(inFolder: folder) }
        files = names.compactMap { name in
            FilePath.fileSize(FilePath.joined(folder, name)).map { File(name: name, byteCount: $0) }
        }
        evidence = try FolderEvidence(folder: folder)
        let modules = try ModuleListing(folder: folder)
        self.modules = modules
        var obstacles: [String] = []
        if modules != nil {
            let (settings, fields) = try EmbeddingSettings.read(folder: folder)
            (self.settings, settingsObject) = (settings, fields.object)
        } else {
            (settings, settingsObject) = (nil, [:])
        }
        tokenizerPath =
            names.contains("tokenizer.json")
            ? ""
            : modules?.transformer?.path
                ?? modules?.allModules.first(where: \.isInside)?.path ?? ""
        do {
            // What no command runs is refused by a sentence of its own.
            try UnsupportedFolder.check(folder)
            if evidence?.kind == .adapter, let error = try UnsupportedFolder.withoutWeights(folder) { throw error }
        } catch let error as CheckpointError where error.isAboutSupport {
            obstacles.append(error.description)
        }
        try Self.note(&obstacles) { try modules?.requireReadableModules(folder: folder) }

        var multiVector: MultiVectorSettings?
        if evidence?.kind == .multiVector, obstacles.isEmpty {
            do {
                multiVector = try MultiVectorSettings(folder: folder)
            } catch let error as CheckpointError where error.isAboutSupport {
                obstacles.append(error.description)
            }
        }
        self.multiVector = multiVector

        // The transformer's own folder, where there is one.
        let transformerPath = modules == nil ? "" : modules?.transformer?.path
        var configuration: ModernBERTConfiguration?
        if let transformerPath {
            do {
                configuration = try ModernBERTConfiguration(folder: Self.folder(folder, transformerPath))
            } catch let error as CheckpointError where error.isAboutSupport || !obstacles.isEmpty {
                if obstacles.isEmpty { obstacles.append(error.description) }
            }
        }
        self.configuration = configuration
        size = configuration.flatMap(EttinSize.init(shapeOf:))
        if let configuration, obstacles.isEmpty {
            let truncated = evidence?.kind == .embedding ? settings?.truncateDimension : nil
            try Self.note(&obstacles) {
                try modules?.requireFittingWidths(configuration.hiddenSize, truncateDimension: truncated)
            }
        }
        var notices: [String] = []
        if configuration != nil, let transformerPath {
            notices = try ModelFolderNotices.all(folder: Self.folder(folder, transformerPath))
        }
        var counts: [StoredDType: Int] = [:]
        for path in modules?.weightPaths ?? [""] {
            let part = Self.folder(folder, path)
            guard TensorStore.Form.allCases.contains(where: { FilePath.exists(FilePath.joined(part, $0.rawValue)) })
            else {
                if obstacles.isEmpty { obstacles.append(try Self.missingWeights(part)) }
                continue
            }
            let store = try TensorStore.open(folder: part)
            if path == transformerPath, let diverged = try store.firstNonFiniteTensor(maxElementCount: 1 << 17) {
                notices.append(
                    "the tensor \(quoted(diverged.name)) holds \(diverged.value): the training that wrote it has diverged"
                )
            }
            let isTied = try configuration?.tiesWordEmbeddings == true && !store.ownsOutputMatrix()
            for tensor in store.names.compactMap(store.descriptor) {
                // Some writers store a tied output matrix although it is the embedding under a second name.
                if isTied, tensor.name == "decoder.weight" { continue }
                counts[tensor.dtype, default: 0] += tensor.elementCount
            }
        }
        self.notices = notices
        obstacle = obstacles.isEmpty ? nil : obstacles.joined(separator: "; ")
        parameterCount = counts.isEmpty ? configuration?.parameterCount ?? 0 : counts.values.reduce(0, +)
        dtypes = counts.sorted { ($0.value, $0.key.rank) > ($1.value, $1.key.rank) }.map(\.key)
    }

    private static func folder(_ model: String, _ path: String) -> String {
        path.isEmpty ? model : FilePath.joined(model, path)
    }

    /// Notes why a model cannot be run; not what the operating system refuses.
    private static func note(_ obstacles: inout [String], _ check: () throws -> Void) throws {
        do {
            try check()
        } catch let error as CheckpointError where error.problems.allSatisfy({ $0.kind != .inputOutput }) {
            obstacles.append(error.description)
        }
    }

    /// What a folder without weights lacks.
    private static func missingWeights(_ folder: String) throws -> String {
        do {
            _ = try TensorStore.open(folder: folder)
            return ""
        } catch let error as CheckpointError where error.problems.allSatisfy({ $0.kind != .inputOutput }) {
            return error.description
        }
    }
}

// MARK: - What is said about a head

extension CheckpointSummary {
    /// What the model has above its transformer: the task of its architecture or of its Transformer module, or the names
    /// of modules.
    package var head: String? {
        if let modules {
            if let task = modules.transformer?.settings["transformer_task"]?.stringValue,
                task != TransformerSettings.Task.featureExtraction.rawValue
            {
                return task
            }
            if modules.transformer?.className == TransformerModule.maskedLMClassName { return "fill-mask" }
            let names = modules.entries.dropFirst().map(\.className)
            return names.isEmpty ? nil : names.joined(separator: ", ")
        }
        return switch kind {
        case .maskedLM: "fill-mask"
        case .causalLM: "text-generation"
        case .classifier: "sequence-classification"
        case .tagger: "token-classification"
        case .questionAnswering: "question-answering"
        case .multipleChoice: "multiple-choice"
        case .multiVector: "projection"
        default: nil
        }
    }

    /// The names of the classes; nil for a model without any.
    package var labels: [String]? {
        guard let configuration else { return nil }
        let isClassifier = kind == .classifier || kind == .tagger || head == "sequence-classification"
        guard isClassifier else { return nil }
        return configuration.labels ?? (0..<configuration.labelCount).map { "LABEL_\($0)" }
    }

    /// How sequences become vectors, by sentence-transformers' names; empty for a model that makes none.
    package var poolings: [String] {
        guard let modules else {
            // What a model without modules gets when it is asked for embeddings.
            guard let configuration, let kind, [.maskedLM, .causalLM, .backbone].contains(kind) else { return [] }
            return [EmbeddingModel.defaultPooling(configuration).rawValue]
        }
        return modules.allModules.filter { $0.className == PoolingModule.className }.flatMap(\.poolings)
    }

    /// Whether texts are read by the tokenizer of a StaticEmbedding, which no `tokenizer_config.json` limits.
    package var isStatic: Bool {
        modules?.transformer == nil && modules?.allModules.first?.className == StaticEmbeddingModule.className
    }
}

extension ModuleListing {
    /// The folders with weights, none of them twice.
    fileprivate var weightPaths: [String] {
        let withWeights = [
            TransformerModule.className, TransformerModule.maskedLMClassName, DenseModule.className,
            LayerNormModule.className, StaticEmbeddingModule.className, SparseStaticEmbeddingModule.className,
        ]
        var seen: Set<String> = []
        return (entries + routed).filter { withWeights.contains($0.className) && $0.isInside }.map(\.path)
            .filter { seen.insert($0).inserted }
    }

    /// Refuses what reading the modules would refuse before a weight: one that is not known or not in the folder, settings
    /// that are not there, and those of modules without weights that are wrong.
    fileprivate func requireReadableModules(folder: String) throws {
        let list = try FeatureModules.list(folder: folder)
        let withSettings: [any FeatureModule.Type] = [
            PoolingModule.self, DenseModule.self, LayerNormModule.self, DropoutModule.self, SpladePoolingModule.self,
            MultiVectorMaskModule.self, RouterModule.self,
        ]
        let withoutWeights: [any FeatureModule.Type] = [
            PoolingModule.self, NormalizeModule.self, DropoutModule.self, SpladePoolingModule.self,
            MultiVectorMaskModule.self,
        ]
        func check(_ kind: any FeatureModule.Type, _ path: String, _ entries: [Entry]) throws {
            if withSettings.contains(where: { $0 == kind }), let entry = entries.first(where: { $0.path == path }),
                !entry.hasSettings
            {
                throw CheckpointError(
                    .missing,
                    file: entry.file,
                    found: "is not there",
                    expected: "the settings of the \(kind.className)"
                )
            }
            if withoutWeights.contains(where: { $0 == kind }) {
                _ = try kind.read(FeatureModuleFolder(model: folder, name: path))
            }
        }
        for module in list {
            try check(module.kind, module.path, entries)
            guard module.kind == RouterModule.self else { continue }
            let plan = try RouterModule.plan(FeatureModuleFolder(model: folder, name: module.path))
            for part in plan.routes.flatMap(\.modules) {
                try check(part.kind, module.path.isEmpty ? part.id : FilePath.joined(module.path, part.id), routed)
            }
        }
    }

    /// Refuses a Pooling that does not fit the transformer before it, and a `truncate_dim` above the width of an embedding,
    /// as far as settings tell.
    fileprivate func requireFittingWidths(_ hiddenSize: Int, truncateDimension: Int?) throws {
        let all = allModules
        for (before, entry) in zip(all, all.dropFirst())
        where before.path == transformer?.path && before.isTransformer && before.route == entry.route
            && entry.className == PoolingModule.className
        {
            let size = entry.settings["embedding_dimension"] ?? entry.settings["word_embedding_dimension"]
            guard let size = size?.intValue, size != hiddenSize else { continue }
            throw CheckpointError(
                .malformed,
                file: entry.file,
                item: "\"embedding_dimension\"",
                found: "is \(size)",
                expected: "\(hiddenSize), the width before it"
            )
        }
        guard let truncateDimension, routed.isEmpty, entries.first?.isTransformer == true else { return }
        var width = hiddenSize
        for entry in entries {
            if entry.className == PoolingModule.className { width *= entry.poolings.count }
            guard entry.className == DenseModule.className else { continue }
            let (input, output) = (entry.settings["module_input_name"], entry.settings["module_output_name"])
            guard output == nil || output == input, let size = entry.settings["out_features"]?.intValue else { return }
            width = size
        }
        if truncateDimension > width {
            throw CheckpointError(
                .malformed,
                file: EmbeddingSettings.file,
                item: "\"truncate_dim\"",
                found: "is \(truncateDimension)",
                expected: "at most \(width), the width of an embedding"
            )
        }
    }
}

extension ModuleListing.Entry {
    /// How a Pooling makes vectors, by sentence-transformers' names.
    fileprivate var poolings: [String] {
        if let mode = settings["pooling_mode"] { return (mode.arrayValue ?? [mode]).compactMap(\.stringValue) }
        let flags = PoolingModule.flags.filter { settings[$0.key] == true }.map(\.pooling.rawValue)
        return flags.isEmpty ? [Pooling.mean.rawValue] : flags
    }
}

extension CheckpointError {
    /// Whether the files are well-formed, but of a kind that is not supported.
    fileprivate var isAboutSupport: Bool { problems.allSatisfy { $0.kind == .unsupported } }
}
