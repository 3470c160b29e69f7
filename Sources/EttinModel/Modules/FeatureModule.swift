import EttinFiles
package import EttinJSON
package import Torch

/// The names of features, which are those of sentence-transformers.
package enum FeatureName {
    /// A vector for each token of the batch, `[tokens, width]`.
    package static let tokenEmbeddings = "token_embeddings"
    /// A vector for each sequence, `[sequences, width]`.
    package static let sentenceEmbedding = "sentence_embedding"
    /// The scores of each sequence, `[sequences, scores]`.
    package static let scores = "scores"
}

/// What the modules of a model hand on: the batch, and tensors by name.
package struct ModuleFeatures {
    /// Sequences of token ids.
    package let batch: PackedBatch
    /// How many tokens at the start of each sequence belong to a prompt; nil for none.
    package let promptTokenCounts: [Int]?
    /// What the texts are to the task, `query` or `document`; nil when the caller does not say.
    package let task: String?
    /// How many tokens of each sequence, from its first, are attended to; nil for all.
    package let attendedTokens: [Int32]?
    /// Whether each token counts in late interaction; nil before a MultiVectorMask says so.
    package var isScored: [Bool]?
    private var tensors: [String: Tensor] = [:]
    private var logits: [String: UncomputedLogits] = [:]

    package init(
        _ batch: PackedBatch,
        promptTokenCounts: [Int]? = nil,
        attendedTokens: [Int32]? = nil,
        task: String? = nil
    ) {
        self.batch = batch
        self.promptTokenCounts = promptTokenCounts
        self.attendedTokens = attendedTokens
        self.task = task
    }

    /// A feature; nil when no module has written it.
    package func tensor(_ name: String) -> Tensor? { tensors[name] ?? logits[name].map { $0.computed } }

    /// A feature, which a module has written before another reads it; see ``FeatureModule/connect(_:)``.
    package subscript(name: String) -> Tensor {
        get {
            guard let tensor = tensor(name) else { preconditionFailure("no module has written \"\(name)\"") }
            return tensor
        }
        set {
            tensors[name] = newValue
            logits[name] = nil
        }
    }

    /// Writes logits over the vocabulary, `[tokens, vocabulary]`, which are computed only where they are read whole.
    mutating func write(_ name: String, _ value: UncomputedLogits) {
        tensors[name] = nil
        logits[name] = value
    }

    /// A feature that is logits nobody has computed; nil for any other.
    func uncomputedLogits(_ name: String) -> UncomputedLogits? { logits[name] }
}

/// Logits over the vocabulary as what they are computed from: those of a batch are a hundred times as large.
struct UncomputedLogits {
    let model: LanguageModel
    /// `[tokens, hiddenSize]`, from the model's trunk.
    let hidden: Tensor

    /// `[tokens, vocabulary]`.
    var computed: Tensor { model.logits(hidden) }
}

/// What each row of a feature is the vector of.
package enum FeatureRows: String {
    case tokens = "token"
    case sequences = "sequence"
}

/// The shape of each feature at some place of a chain of modules.
package struct FeatureShapes {
    /// The shape of one feature.
    package struct Shape: Hashable {
        package let width: Int
        package let rows: FeatureRows
    }

    /// How messages call the module that is connected.
    let place: String
    /// The last feature written.
    private(set) var latest: String?
    /// Whether a module before has left out tokens of late interaction.
    private(set) var isMasked = false
    /// How many modules have been connected.
    private(set) var count = 0
    private var shapes: [String: Shape] = [:]

    init(before place: String, _ others: FeatureShapes? = nil) {
        self.place = place
        shapes = others?.shapes ?? [:]
        latest = others?.latest
        isMasked = others?.isMasked ?? false
        count = others.map { $0.count + 1 } ?? 0
    }

    /// Notes that tokens are left out of late interaction.
    mutating func mask() { isMasked = true }

    /// What several routes have written, of which one is taken: the features that all of them write alike.
    ///
    /// - Throws: `CheckpointError` when the feature that is written last differs.
    init(_ place: String, joining routes: [(name: String, shapes: FeatureShapes)]) throws {
        self.place = place
        count = routes.map(\.shapes.count).max() ?? 0
        guard let first = routes.first else { return }
        shapes = first.shapes.shapes.filter { name, shape in routes.allSatisfy { $0.shapes.shapes[name] == shape } }
        latest = first.shapes.latest
        isMasked = routes.contains { $0.shapes.isMasked }
        func written(_ shapes: FeatureShapes) -> String {
            let width = shapes.latest.flatMap { shapes.shapes[$0]?.width } ?? 0
            return "\(quoted(shapes.latest ?? "nothing")) of width \(width)"
        }
        for route in routes where written(route.shapes) != written(first.shapes) {
            throw CheckpointError(
                .unsupported,
                file: FeatureModules.file,
                item: place,
                found: "writes \(written(route.shapes)) on the route \(quoted(route.name))",
                expected: "\(written(first.shapes)), as on the route \(quoted(first.name))"
            )
        }
    }

    /// The shape of a feature that the module reads.
    ///
    /// - Throws: `CheckpointError` when no module before it has written the feature.
    package func shape(of name: String) throws -> Shape {
        if let shape = shapes[name] { return shape }
        let known = shapes.keys.sorted().map { quoted($0) }.joined(separator: " or ")
        throw CheckpointError(
            .unsupported,
            file: FeatureModules.file,
            item: place,
            found: "reads \(quoted(name)), which no module before it writes",
            expected: shapes.isEmpty ? "a Transformer in first place" : "\(known), or a module before it that writes it"
        )
    }

    /// The width of a feature that the module reads with a row for each token, or for each sequence.
    ///
    /// - Throws: `CheckpointError` when no module before it has written the feature, or with other rows.
    package func width(of name: String, with rows: FeatureRows) throws -> Int {
        let shape = try shape(of: name)
        guard shape.rows == rows else {
            throw CheckpointError(
                .unsupported,
                file: FeatureModules.file,
                item: place,
                found: "reads \(quoted(name)), which has a vector for each \(shape.rows.rawValue)",
                expected: "one for each \(rows.rawValue)"
            )
        }
        return shape.width
    }

    /// Whether a feature has been written.
    func contains(_ name: String) -> Bool { shapes[name] != nil }

    /// Notes a feature that the module writes.
    package mutating func write(_ name: String, width: Int, rows: FeatureRows) {
        shapes[name] = Shape(width: width, rows: rows)
        latest = name
    }
}

/// One module of a sentence-transformers folder: it reads named features and writes named features.
///
/// A new kind is a file with such a class, and its line in ``FeatureModules/kinds``.
package protocol FeatureModule: Module, SendableMetatype {
    /// The path of the Python class that files of ours name, in the layout that all releases read. By its last part the
    /// module is known in files of others.
    static var classPath: String { get }

    /// The path of the class in the layout of versions from 6; nil where there is no other.
    static var newClassPath: String? { get }

    /// Names that the class has or had besides.
    static var otherClassNames: [String] { get }

    /// Whether the module reads token ids and no feature, as the first of a model does.
    static var readsTokens: Bool { get }

    /// The path of the class that a file of this module names, where that is not ``classPath-swift.type.property``.
    var classPath: String { get }

    /// The files of the module's tokenizer, and how it reads texts; nil where the module reads no tokens.
    ///
    /// - Parameter task: What the texts are to the task, `query` or `document`; nil when the caller does not say.
    /// - Returns: The files and rules.
    /// - Throws: `CheckpointError` for a task that the module has no route for.
    func input(for task: String?) throws -> ModuleInput?

    /// Reads a module of a folder; its parameters come as the file has them.
    ///
    /// - Parameter folder: Where the module's files are.
    /// - Returns: The module.
    /// - Throws: `CheckpointError` and `StateDictionaryError` for files that are missing, broken or of another shape.
    static func read(_ folder: FeatureModuleFolder) throws -> Self

    /// Checks the features that the module reads, and says which it writes.
    ///
    /// - Parameter shapes: The features before the module, and then those after it.
    /// - Throws: `CheckpointError` when a feature is not there or not of the shape that the module reads.
    func connect(_ shapes: inout FeatureShapes) throws

    /// Computes.
    ///
    /// - Parameters:
    ///   - features: What the modules before have written, to which the module adds.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision)

    /// Writes what ``read(_:)`` reads.
    ///
    /// - Parameter folder: Where the module's files go.
    /// - Throws: `CheckpointError` when a file cannot be written; `TorchError` when reading a device fails.
    func write(_ folder: FeatureModuleFolder) throws
}

extension FeatureModule {
    /// The name of the Python class.
    static var className: String { FeatureModules.className(ofPath: classPath) }

    package static var newClassPath: String? { nil }
    package static var otherClassNames: [String] { [] }
    package static var readsTokens: Bool { false }
    package var classPath: String { Self.classPath }
    package func input(for task: String?) throws -> ModuleInput? { nil }
}

/// How texts become the token ids that a module reads.
package struct ModuleInput: Hashable, Sendable {
    /// The folder of the tokenizer; empty for a model that comes from no folder.
    package let folder: String
    /// Whether the tokenizer adds its special tokens.
    package var addsSpecialTokens = true
    /// Maximum number of tokens by the module's own settings; nil where only tokenizer and configuration limit it.
    package var maxTokens: Int?
    /// Whether the tokenizer's own maximum length counts.
    package var obeysTokenizer = true
    /// How many tokens there are.
    package let vocabularySize: Int
    /// The configuration of a transformer.
    package var configuration: ModernBERTConfiguration?
}

/// The files of one module, and how a model's are loaded or saved.
package struct FeatureModuleFolder {
    /// The folder of the model.
    let model: String
    /// The module's folder below it; empty for the model's own.
    var name: String
    /// The path of the Python class by which the module is known.
    var type = ""
    /// What a module of either kind reads that does not say.
    var defaultFeature = FeatureName.sentenceEmbedding
    /// The dtype to convert a trunk to; nil keeps the file's.
    var dtype: DType?
    /// Where a trunk goes.
    var device = Device.cpu
    /// The largest file of weights.
    var shardSize = ShardSize.default
    /// The generation of transformers whose `config.json` is written.
    var format = ModernBERTConfiguration.Format.version4
    /// The layout that is written.
    var layout = ModuleLayout.version5
    /// The Python class of what a reranker's scores go through; nil for other models.
    var activation: String?

    /// The module's folder.
    package var path: String { name.isEmpty ? model : FilePath.joined(model, name) }

    /// The module's settings, each read as it is asked for; none where there is no file.
    ///
    /// - Throws: `CheckpointError` for a file that is not JSON, or for none where there must be one.
    func settings(isRequired: Bool) throws -> ConfigurationFields {
        try settings("config.json", isRequired: isRequired)
    }

    /// One of the module's files of settings.
    func settings(_ name: String, isRequired: Bool) throws -> ConfigurationFields {
        let file = self.name.isEmpty ? name : FilePath.joined(self.name, name)
        let path = FilePath.joined(model, file)
        guard isRequired || FilePath.exists(path) else { return ConfigurationFields(JSONObject(), file: file) }
        return ConfigurationFields(
            try JSONFile.object(path: path, name: file, sizeLimit: JSONFile.settingsSizeLimit),
            file: file
        )
    }

    /// The tensors of the module's weights.
    package func weights() throws -> StateDictionary { try TensorStore.open(folder: path).stateDictionary() }

    /// Loads a module's parameters.
    ///
    /// - Throws: `CheckpointError` and `StateDictionaryError` for files that are missing, broken or of another shape.
    func load(_ module: Module) throws {
        let store = try TensorStore.open(folder: path)
        do {
            try module.load(store.stateDictionary())
        } catch var error as StateDictionaryError {
            error.source = FilePath.joined(name, store.form?.rawValue ?? "")
            throw error
        }
    }

    /// Writes the module's settings.
    package func write(_ settings: JSONObject, _ name: String = "config.json") throws {
        try JSONFile.write(.object(settings), toFolder: path, name: name)
    }

    /// Writes the module's weights.
    package func write(_ state: StateDictionary) throws {
        let tensors = state.map { TensorToWrite(name: $0.key, tensor: $0.tensor) }
        _ = try ShardedSafetensorsWriter.write(tensors, toFolder: path, shardSize: shardSize)
    }
}
