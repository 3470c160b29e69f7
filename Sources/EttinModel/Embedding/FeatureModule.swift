import EttinFiles
package import EttinJSON
package import Torch

/// The names of features, which are those of sentence-transformers.
package enum FeatureName {
    /// A vector for each token of the batch, `[tokens, width]`.
    package static let tokenEmbeddings = "token_embeddings"
    /// A vector for each sequence, `[sequences, width]`.
    package static let sentenceEmbedding = "sentence_embedding"
}

/// What the modules of a model hand on: the batch, and tensors by name.
package struct ModuleFeatures {
    /// Sequences of token ids.
    package let batch: PackedBatch
    /// How many tokens at the start of each sequence belong to a prompt; nil for none.
    package let promptTokenCounts: [Int]?
    private var tensors: [String: Tensor] = [:]

    package init(_ batch: PackedBatch, promptTokenCounts: [Int]? = nil) {
        self.batch = batch
        self.promptTokenCounts = promptTokenCounts
    }

    /// A feature, which a module has written before another reads it; see ``FeatureModule/connect(_:)``.
    package subscript(name: String) -> Tensor {
        get {
            guard let tensor = tensors[name] else { preconditionFailure("no module has written \"\(name)\"") }
            return tensor
        }
        set { tensors[name] = newValue }
    }
}

/// What each row of a feature is the vector of.
package enum FeatureRows: String {
    case tokens = "token"
    case sequences = "sequence"
}

/// The shape of each feature at some place of a chain of modules.
package struct FeatureShapes {
    /// The shape of one feature.
    package struct Shape {
        let width: Int
        let rows: FeatureRows
    }

    /// How messages call the module that is connected.
    let place: String
    /// The last feature written.
    private(set) var latest: String?
    private var shapes: [String: Shape] = [:]

    init(before place: String, _ others: FeatureShapes? = nil) {
        self.place = place
        shapes = others?.shapes ?? [:]
        latest = others?.latest
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
    ///   - precision: In which types to compute.
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
}

/// The files of one module, and how a model's are loaded or saved.
package struct FeatureModuleFolder {
    /// The folder of the model.
    let model: String
    /// The module's folder below it; empty for the model's own.
    let name: String
    /// The dtype to convert a trunk to; nil keeps the file's.
    var dtype: DType?
    /// Where a trunk goes.
    var device = Device.cpu
    /// The largest file of weights.
    var shardSize = ShardSize.default
    /// The generation of transformers whose `config.json` is written.
    var format = ModernBERTConfiguration.Format.version4

    /// The module's folder.
    package var path: String { name.isEmpty ? model : FilePath.joined(model, name) }

    /// The module's settings, each read as it is asked for; none where there is no file.
    ///
    /// - Throws: `CheckpointError` for a file that is not JSON, or for none where there must be one.
    func settings(isRequired: Bool) throws -> ConfigurationFields {
        let file = name.isEmpty ? "config.json" : FilePath.joined(name, "config.json")
        let path = FilePath.joined(model, file)
        guard isRequired || FilePath.exists(path) else { return ConfigurationFields(JSONObject(), file: file) }
        return ConfigurationFields(
            try JSONFile.object(path: path, name: file, sizeLimit: JSONFile.settingsSizeLimit),
            file: file
        )
    }

    /// The tensors of the module's weights.
    package func weights() throws -> StateDictionary { try TensorStore.open(folder: path).stateDictionary() }

    /// Writes the module's settings.
    package func write(_ settings: JSONObject) throws {
        try JSONFile.write(.object(settings), toFolder: path, name: "config.json")
    }

    /// Writes the module's weights.
    package func write(_ state: StateDictionary) throws {
        let tensors = state.map { TensorToWrite(name: $0.key, tensor: $0.tensor) }
        _ = try ShardedSafetensorsWriter.write(tensors, toFolder: path, shardSize: shardSize)
    }
}
