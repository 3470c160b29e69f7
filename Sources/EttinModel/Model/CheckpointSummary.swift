import EttinFiles

/// What is in the folder of a model, without reading a weight.
public struct CheckpointSummary: Hashable, Sendable {
    /// A file and its size.
    public struct File: Hashable, Sendable {
        /// The name inside the folder.
        public let name: String
        /// The size in bytes.
        public let byteCount: Int
    }

    /// The configuration.
    public let configuration: ModernBERTConfiguration
    /// The size of the suite with this shape; nil for any other shape.
    public let size: EttinSize?
    /// The number of values in the weights, a tied matrix counted once; without weights, that of the configuration.
    public let parameterCount: Int
    /// The types of the weights, most values first; empty without weights.
    public let dtypes: [StoredDType]
    /// The files of the folder, by name.
    public let files: [File]
    /// What the model was made for; nil when no file tells.
    public let kind: FolderKind?
    /// What the files say that has no effect, and weights that are NaN or infinite, a sentence each.
    ///
    /// Only small tensors are looked at: a run that diverges leaves no weight as it was.
    public let notices: [String]

    /// Whether the folder has weights.
    public var hasWeights: Bool { !dtypes.isEmpty }
    /// The number of values in the embedding matrix.
    public var embeddingParameterCount: Int { configuration.embeddingParameterCount }
    /// The number of all other values.
    public var nonEmbeddingParameterCount: Int { parameterCount - embeddingParameterCount }

    /// Describes a model of the suite that need not be here.
    ///
    /// - Parameters:
    ///   - size: The size.
    ///   - kind: Encoder or decoder.
    public init(size: EttinSize, kind: ModelKind) {
        configuration = .ettin(size: size, kind: kind)
        self.size = size
        parameterCount = configuration.parameterCount
        dtypes = []
        files = []
        self.kind = kind == .encoder ? .maskedLM : .causalLM
        notices = []
    }

    /// Describes a folder.
    ///
    /// - Parameter folder: A folder with at least a configuration.
    /// - Throws: `CheckpointError` when the configuration or the weights are broken.
    public init(folder: String) throws {
        let configuration = try ModernBERTConfiguration(folder: folder)
        self.configuration = configuration
        size = EttinSize(shapeOf: configuration)
        let names = try CheckpointError.translating { try FilePath.names(inFolder: folder) }
        files = names.compactMap { name in
            FilePath.fileSize(FilePath.joined(folder, name)).map { File(name: name, byteCount: $0) }
        }
        kind = try FolderEvidence(folder: folder)?.kind
        let notices = try ModelFolderNotices.all(folder: folder)
        let forms = TensorStore.Form.allCases.map { FilePath.joined(folder, $0.rawValue) }
        guard forms.contains(where: FilePath.exists) else {
            parameterCount = configuration.parameterCount
            dtypes = []
            self.notices = notices
            return
        }
        let store = try TensorStore.open(folder: folder)
        let diverged = try store.firstNonFiniteTensor(maxElementCount: 1 << 17).map {
            "the tensor \(quoted($0.name)) holds \($0.value): the training that wrote it has diverged"
        }
        self.notices = notices + [diverged].compactMap(\.self)
        var counts: [StoredDType: Int] = [:]
        let isTied = try configuration.tiesWordEmbeddings && !store.ownsOutputMatrix()
        for tensor in store.names.compactMap(store.descriptor) {
            // Some writers store a tied output matrix although it is the embedding under a second name.
            if isTied, tensor.name == "decoder.weight" { continue }
            counts[tensor.dtype, default: 0] += tensor.elementCount
        }
        parameterCount = counts.values.reduce(0, +)
        dtypes = counts.sorted { ($0.value, $0.key.rank) > ($1.value, $1.key.rank) }.map(\.key)
    }
}
