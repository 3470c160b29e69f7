import EttinFiles
import EttinJSON
import Torch

/// The kinds of modules, and the list of a folder's modules in `modules.json`.
enum FeatureModules {
    static let file = "modules.json"

    /// Every kind that is known.
    static let kinds: [any FeatureModule.Type] = [
        TransformerModule.self, PoolingModule.self, DenseModule.self, NormalizeModule.self,
    ]

    /// A module is known by the last part of its Python class path, so that every generation's paths are understood.
    static func className(ofPath path: String) -> String { path.split(separator: ".").last.map(String.init) ?? "" }

    /// Reads `modules.json` and what it names.
    ///
    /// - Parameters:
    ///   - folder: A folder with `modules.json`.
    ///   - dtype: The dtype to convert a trunk to; nil keeps the file's.
    ///   - device: Where a trunk goes.
    /// - Returns: The modules, and the folder of the first below the model's.
    /// - Throws: `CheckpointError` for a file that is broken and for a module that is not known.
    static func read(
        folder: String,
        dtype: DType?,
        device: Device
    ) throws -> (modules: [any FeatureModule], firstPath: String) {
        let path = FilePath.joined(folder, file)
        let list = try JSONFile.value(path: path, name: file, sizeLimit: JSONFile.settingsSizeLimit)
        guard let entries = list.arrayValue, !entries.isEmpty else {
            throw CheckpointError(.malformed, file: file, found: "is not a list of modules")
        }
        // All names first, so that a large trunk is not read for the sake of a module that nobody knows.
        let named = try entries.enumerated().map { index, entry in
            let (kind, name) = try kind(of: entry, item: "module \(index)")
            return (kind, FeatureModuleFolder(model: folder, name: name, dtype: dtype, device: device))
        }
        guard named[0].0 is TransformerModule.Type else {
            throw unsupported("module 0", entries[0], expected: TransformerModule.className)
        }
        return (try named.map { kind, folder in try kind.read(folder) }, named[0].1.name)
    }

    private static func kind(of entry: JSONValue, item: String) throws -> (any FeatureModule.Type, path: String) {
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
        guard let kind = kinds.first(where: { $0.className == className(ofPath: type) }) else {
            let known = kinds.map { $0.className }.joined(separator: ", ")
            throw unsupported(item, entry, expected: "one of \(known)")
        }
        return (kind, path)
    }

    private static func unsupported(_ item: String, _ entry: JSONValue, expected: String) -> CheckpointError {
        let type = quoted(entry["type"]?.stringValue ?? "")
        return CheckpointError(.unsupported, file: file, item: item, found: "is \(type)", expected: expected)
    }

    /// Checks that each module finds the features it reads, and that the last writes an embedding.
    ///
    /// - Returns: The width of an embedding.
    /// - Throws: `CheckpointError` that names the module that does not fit.
    static func connect(_ modules: [any FeatureModule]) throws -> Int {
        var shapes = FeatureShapes(before: "the model")
        for (index, module) in modules.enumerated() {
            shapes = FeatureShapes(before: "module \(index), \(type(of: module).className),", shapes)
            try module.connect(&shapes)
        }
        guard let latest = shapes.latest, shapes.contains(FeatureName.sentenceEmbedding) else {
            throw CheckpointError(.unsupported, file: file, found: "has no Pooling", expected: "one after Transformer")
        }
        guard latest == FeatureName.sentenceEmbedding else {
            throw CheckpointError(
                .unsupported,
                file: file,
                item: shapes.place,
                found: "writes \(quoted(latest)) last",
                expected: "an embedding model, which writes \(quoted(FeatureName.sentenceEmbedding))"
            )
        }
        return try FeatureShapes(before: "an embedding model", shapes).width(of: latest, with: .sequences)
    }

    /// Writes `modules.json` and what it names: the first module into the model's folder, the others below it.
    ///
    /// - Throws: `CheckpointError` when a file cannot be written; `TorchError` when reading a device fails.
    static func write(
        _ modules: [any FeatureModule],
        toFolder folder: String,
        shardSize: ShardSize,
        format: ModernBERTConfiguration.Format
    ) throws {
        var entries: [JSONValue] = []
        for (index, module) in modules.enumerated() {
            let name = index == 0 ? "" : "\(index)_\(type(of: module).className)"
            let files = FeatureModuleFolder(model: folder, name: name, shardSize: shardSize, format: format)
            try CheckpointError.translating { try FilePath.makeFolder(files.path) }
            try module.write(files)
            entries.append([
                "idx": JSONValue(index), "name": .string("\(index)"), "path": .string(name),
                "type": .string(type(of: module).classPath),
            ])
        }
        try JSONFile.write(.array(entries), toFolder: folder, name: file)
    }
}
