package import EttinFiles

/// A model's tensors, whatever files hold them.
///
/// ```swift
/// let store = try TensorStore.open(folder: path)
/// let embeddings = try store.tensor("model.embeddings.tok_embeddings.weight")  // over the file's memory, no copy
/// ```
/// A folder is read in the order of transformers: `model.safetensors`, `model.safetensors.index.json`,
/// `pytorch_model.bin`, `pytorch_model.bin.index.json`; the first that exists is used and the rest ignored.
public final class TensorStore: TensorContainer {
    /// The forms in which a folder can hold a model.
    package enum Form: String, Sendable, Hashable, CaseIterable {
        /// One safetensors file.
        case safetensors = "model.safetensors"
        /// Several safetensors files and their index.
        case shardedSafetensors = "model.safetensors.index.json"
        /// One file from `torch.save`.
        case pickle = "pytorch_model.bin"
        /// Several files from `torch.save` and their index.
        case shardedPickle = "pytorch_model.bin.index.json"
    }

    /// The form that was found; nil when a single file was opened by its own name.
    package let form: Form?
    /// The names of the files with tensors, in the order of the index.
    public let files: [String]
    /// The names of all tensors: in the order of the file or, when sharded, of the index.
    public let names: [String]
    /// What the folder says that its shards do not bear out, a sentence each.
    package let notices: [String]
    private let containers: [any TensorContainer]
    /// Which of `containers` holds a tensor.
    private let places: [ExactName: Int]

    private init(
        form: Form?,
        files: [String],
        containers: [any TensorContainer],
        names: [String],
        places: [ExactName: Int],
        notices: [String] = []
    ) {
        self.notices = notices
        self.form = form
        self.files = files
        self.containers = containers
        self.names = names
        self.places = places
    }

    private convenience init(form: Form?, file: String, container: any TensorContainer) {
        let names = container.names
        let places = Dictionary(names.map { (ExactName($0), 0) }, uniquingKeysWith: { first, _ in first })
        self.init(form: form, files: [file], containers: [container], names: names, places: places)
    }

    /// Opens the weights of a folder.
    ///
    /// Only headers are read; a tensor's values are read from disk when they are first touched.
    ///
    /// - Parameter folder: A folder as `save_pretrained` writes it.
    /// - Returns: The tensors of the folder.
    /// - Throws: `CheckpointError` with everything that is wrong: no weights, missing shards, broken files, a tensor of
    ///   which two shards hold different values.
    public static func open(folder: String) throws -> TensorStore { try open(folder: folder, access: .readOnly) }

    /// Opens the weights of a folder.
    ///
    /// - Parameters:
    ///   - folder: A folder as `save_pretrained` writes it.
    ///   - access: What stores into the values do; tensors over them are not trained in place in either case, for which
    ///     see ``PretrainedModel/loadForTraining(folder:device:allowingUnknown:newHeadSeed:)``.
    /// - Returns: The tensors of the folder.
    /// - Throws: `CheckpointError`, as ``open(folder:)``.
    package static func open(folder: String, access: MappedFile.Access) throws -> TensorStore {
        guard FilePath.kind(of: folder) == .folder else {
            let found = FilePath.kind(of: folder) == .file ? "is a file" : "does not exist"
            throw CheckpointError(.missing, file: folder, found: found, expected: "a folder with a model")
        }
        for form in Form.allCases {
            let path = FilePath.joined(folder, form.rawValue)
            guard FilePath.exists(path) else { continue }
            switch form {
            case .safetensors, .pickle:
                let container = try container(path: path, isPickle: form == .pickle, access: access)
                return TensorStore(form: form, file: form.rawValue, container: container)
            case .shardedSafetensors, .shardedPickle:
                return try sharded(form, folder: folder, access: access)
            }
        }
        throw try noWeights(folder)
    }

    /// Opens one file of weights by its own name.
    ///
    /// - Parameter file: A safetensors file, or a file from `torch.save` such as `pytorch_model.bin`.
    /// - Returns: The tensors of the file.
    /// - Throws: `CheckpointError` when the file is of another kind or broken.
    public static func open(file: String) throws -> TensorStore { try open(file: file, access: .readOnly) }

    /// Opens one file of weights by its own name.
    ///
    /// - Parameters:
    ///   - file: A safetensors file, or a file from `torch.save` such as `pytorch_model.bin` or a raw training state.
    ///   - access: What stores into the values do; see `MappedFile.Access`.
    ///   - unknownNames: What to do with Python names in a pickle that weights do not need; `.kept` for training states.
    /// - Returns: The tensors of the file.
    /// - Throws: `CheckpointError` when the file is of another kind or broken.
    package static func open(
        file: String,
        access: MappedFile.Access = .readOnly,
        unknownNames: PyTorchArchive.UnknownNames = .refused
    ) throws -> TensorStore {
        let isPickle = try !file.hasSuffix(".safetensors") && PickledStateDictionary.looksLikePickle(path: file)
        let container = try container(path: file, isPickle: isPickle, access: access, unknownNames: unknownNames)
        return TensorStore(form: nil, file: FilePath.lastComponent(of: file), container: container)
    }

    // MARK: - Tensors

    /// Describes a tensor.
    ///
    /// - Parameter name: The tensor's name.
    /// - Returns: Nil when there is no such tensor.
    public func descriptor(_ name: String) -> TensorDescriptor? {
        places[ExactName(name)].flatMap { containers[$0].descriptor(name) }
    }

    /// Gives access to a tensor's values, without a copy where the file has them contiguous and aligned.
    ///
    /// - Parameter name: The tensor's name.
    /// - Returns: The values and what keeps them alive; this store itself need not be kept.
    /// - Throws: `CheckpointError` when there is no such tensor or its values cannot be read.
    public func bytes(_ name: String) throws -> TensorBytes {
        guard let place = places[ExactName(name)] else {
            let file = form?.rawValue ?? files.first ?? "the checkpoint"
            throw CheckpointError(.missing, file: file, item: "tensor \(quoted(name))", found: "is not there")
        }
        return try containers[place].bytes(name)
    }

    // MARK: - Opening

    private static func container(
        path: String,
        isPickle: Bool,
        access: MappedFile.Access,
        unknownNames: PyTorchArchive.UnknownNames = .refused
    ) throws -> any TensorContainer {
        isPickle
            ? try PickledStateDictionary(PyTorchArchive(path: path, access: access, unknownNames: unknownNames))
            : try SafetensorsFile(path: path, access: access)
    }

    private static func sharded(_ form: Form, folder: String, access: MappedFile.Access) throws -> TensorStore {
        let index = try CheckpointIndex(path: FilePath.joined(folder, form.rawValue))
        var problems: [CheckpointError.Problem] = []
        var containers: [any TensorContainer] = []
        for file in index.files {
            do {
                let path = FilePath.joined(folder, file)
                containers.append(try container(path: path, isPickle: form == .shardedPickle, access: access))
            } catch let error as CheckpointError {
                problems += error.problems
            }
        }
        guard problems.isEmpty else { throw CheckpointError(problems) }
        return try TensorStore(form: form, index: index, containers: containers)
    }

    /// Puts shards together.
    ///
    /// As in transformers, the index says which files there are, and the files what is in them: an
    /// index may be older than its shards.
    private convenience init(form: Form, index: CheckpointIndex, containers: [any TensorContainer]) throws {
        var places: [ExactName: Int] = [:]
        var problems: [CheckpointError.Problem] = []
        var unlisted: [String] = []
        let listed = Set(index.map.map { ExactName($0.tensor) })
        for (place, container) in containers.enumerated() {
            for name in container.names {
                guard let other = places.updateValue(place, forKey: ExactName(name)) else {
                    if !listed.contains(ExactName(name)) { unlisted.append(name) }
                    continue
                }
                if try !Self.isSame(name, in: containers[other], and: container) {
                    let found =
                        "has other values in \(quoted(index.files[place])) than in \(quoted(index.files[other]))"
                    let item = "tensor \(quoted(name))"
                    problems.append(.init(.malformed, file: form.rawValue, item: item, found: found))
                }
            }
        }
        guard problems.isEmpty else { throw CheckpointError(problems) }
        let missing = index.map.map(\.tensor).filter { places[ExactName($0)] == nil }
        self.init(
            form: form,
            files: index.files,
            containers: containers,
            names: index.map.map(\.tensor).filter { places[ExactName($0)] != nil } + unlisted,
            places: places,
            notices: missing.isEmpty ? [] : ["\(form.rawValue) lists \(listing(missing)), which no shard holds"]
        )
    }

    /// Whether two files hold the same tensor under one name.
    private static func isSame(
        _ name: String,
        in first: any TensorContainer,
        and second: any TensorContainer
    ) throws -> Bool {
        guard let one = first.descriptor(name), let other = second.descriptor(name) else { return false }
        guard one.dtype == other.dtype, one.shape == other.shape else { return false }
        return try first.bytes(name).hasSameValues(as: second.bytes(name))
    }

    private static func noWeights(_ folder: String) throws -> CheckpointError {
        if let refusal = try UnsupportedFolder.withoutWeights(folder) { return refusal }
        let entries = try CheckpointError.translating { try FilePath.names(inFolder: folder) }
        let shown = entries.prefix(8).joined(separator: ", ") + (entries.count > 8 ? ", …" : "")
        return CheckpointError(
            .missing,
            file: folder,
            found: "has no weights; it holds \(entries.isEmpty ? "nothing" : shown)",
            expected: Form.allCases.map(\.rawValue).joined(separator: ", ")
        )
    }
}
