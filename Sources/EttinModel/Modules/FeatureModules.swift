import EttinFiles
import EttinJSON
import Torch

/// The kinds of modules, and the list of a folder's modules in `modules.json`.
enum FeatureModules {
    static let file = "modules.json"

    /// Every kind that is known.
    static let kinds: [any FeatureModule.Type] = [
        TransformerModule.self, PoolingModule.self, DenseModule.self, NormalizeModule.self, LayerNormModule.self,
        DropoutModule.self, MultiVectorMaskModule.self, SpladePoolingModule.self, SparseStaticEmbeddingModule.self,
        StaticEmbeddingModule.self, RouterModule.self,
    ]

    /// A module is known by the last part of its Python class path, so that every generation's paths are understood.
    static func className(ofPath path: String) -> String { path.split(separator: ".").last.map(String.init) ?? "" }

    /// Reads `modules.json` and what it names.
    ///
    /// - Parameters:
    ///   - folder: A folder with `modules.json`.
    ///   - dtype: The dtype to convert a trunk to; nil keeps the file's.
    ///   - device: Where a trunk goes.
    /// - Returns: The modules.
    /// - Throws: `CheckpointError` for a file that is broken and for a module that is not known.
    static func read(folder: String, dtype: DType?, device: Device) throws -> [any FeatureModule] {
        // All names first, so that a large trunk is not read for the sake of a module that nobody knows.
        let entries = try list(folder: folder)
        // Modules of a multi-vector model that do not say what they read mean the vectors of tokens.
        let isMultiVector = try FolderEvidence(folder: folder)?.kind == .multiVector
        return try entries.map { kind, type, name in
            var part = FeatureModuleFolder(model: folder, name: name, type: type, dtype: dtype, device: device)
            if isMultiVector || type.hasPrefix("pylate.") { part.defaultFeature = FeatureName.tokenEmbeddings }
            return try kind.read(part)
        }
    }

    /// Reads which modules `modules.json` names, and nothing of theirs.
    ///
    /// - Parameter folder: A folder with `modules.json`.
    /// - Returns: Kind, class path and folder below the model's of each module.
    /// - Throws: `CheckpointError` for a file that is broken and for a module that is not known.
    static func list(folder: String) throws -> [(kind: any FeatureModule.Type, type: String, path: String)] {
        let path = FilePath.joined(folder, file)
        let list = try JSONFile.value(path: path, name: file, sizeLimit: JSONFile.settingsSizeLimit)
        guard let entries = list.arrayValue, !entries.isEmpty else {
            throw CheckpointError(.malformed, file: file, found: "is not a list of modules")
        }
        return try entries.enumerated().map { index, entry in
            try kind(of: entry, isFirst: index == 0, item: "module \(index)")
        }
    }

    private static func kind(
        of entry: JSONValue,
        isFirst: Bool,
        item: String
    ) throws -> (any FeatureModule.Type, type: String, path: String) {
        guard let type = entry["type"]?.stringValue, let path = entry["path"]?.stringValue else {
            throw CheckpointError(.malformed, file: file, item: item, found: "lacks \"type\" or \"path\"")
        }
        guard path.isEmpty || FilePath.isPlainName(path) else {
            throw CheckpointError(
                .malformed,
                file: file,
                item: item,
                found: "has the path \(quoted(path))",
                expected: "a folder of the model"
            )
        }
        return (try kind(ofClass: type, isFirst: isFirst, file: file, item: item), type, path)
    }

    /// The kind of a module.
    ///
    /// - Parameters:
    ///   - type: The path of its Python class.
    ///   - isFirst: Whether it is the first of its chain, which reads tokens.
    ///   - file: The file that names it.
    ///   - item: What messages call it.
    ///   - isOnRoute: Whether a Router has it on one of its routes, where no other Router is expected.
    /// - Returns: The kind.
    /// - Throws: `CheckpointError` for one that is not known or not one to be first.
    static func kind(
        ofClass type: String,
        isFirst: Bool,
        file: String,
        item: String,
        isOnRoute: Bool = false
    ) throws -> any FeatureModule.Type {
        let name = className(ofPath: type)
        let kind = kinds.first { $0.className == name || $0.otherClassNames.contains(name) }
        if let kind, !isFirst || kind.readsTokens { return kind }
        let known = kinds.filter { (!isFirst || $0.readsTokens) && !(isOnRoute && $0 == RouterModule.self) }
            .map { $0.className }
        throw CheckpointError(
            .unsupported,
            file: file,
            item: item,
            found: "is \(quoted(type))",
            expected: (isFirst ? "" : "one of ") + known.joined(separator: ", ")
        )
    }

    /// Checks that each module finds the features that it reads.
    ///
    /// - Returns: The features after the last module.
    /// - Throws: `CheckpointError` that names the module that does not fit.
    static func connect(_ modules: [any FeatureModule]) throws -> FeatureShapes {
        var shapes = FeatureShapes(before: "the model")
        for (index, module) in modules.enumerated() {
            shapes = FeatureShapes(before: "module \(index), \(type(of: module).className),", shapes)
            try module.connect(&shapes)
        }
        return shapes
    }

    /// Writes `modules.json` and what it names: the first module into the model's folder, the others below it.
    ///
    /// - Parameters:
    ///   - modules: The modules.
    ///   - folder: The model's folder.
    ///   - shardSize: The largest file of weights.
    ///   - format: The generation of transformers whose `config.json` is written.
    ///   - layout: The layout that is written.
    ///   - activation: The Python class of what a reranker's scores go through; nil for other models.
    /// - Throws: `CheckpointError` when a file cannot be written; `TorchError` when reading a device fails.
    static func write(
        _ modules: [any FeatureModule],
        toFolder folder: String,
        shardSize: ShardSize,
        format: ModernBERTConfiguration.Format,
        layout: ModuleLayout = .version5,
        activation: String? = nil
    ) throws {
        var entries: [JSONValue] = []
        for (index, module) in modules.enumerated() {
            let name = index == 0 ? "" : "\(index)_\(className(ofPath: module.classPath))"
            let files = FeatureModuleFolder(
                model: folder,
                name: name,
                shardSize: shardSize,
                format: format,
                layout: layout,
                activation: activation
            )
            try CheckpointError.translating { try FilePath.makeFolder(files.path) }
            try module.write(files)
            entries.append([
                "idx": JSONValue(index), "name": .string("\(index)"), "path": .string(name),
                "type": .string(classPath(of: module, in: layout)),
            ])
        }
        try JSONFile.write(.array(entries), toFolder: folder, name: file)
    }

    private static func classPath(of module: any FeatureModule, in layout: ModuleLayout) -> String {
        layout == .version6 ? type(of: module).newClassPath ?? module.classPath : module.classPath
    }
}
