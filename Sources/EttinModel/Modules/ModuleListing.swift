import EttinFiles
package import EttinJSON

/// The modules of a folder as its files name them, before any weight is read; those that are not known among them.
package struct ModuleListing: Sendable {
    /// One module.
    package struct Entry: Sendable {
        /// The path of the Python class.
        package let type: String
        /// The folder below the model's; empty for the model's own.
        package let path: String
        /// The route of a Router that the module is on; nil for the model's own modules.
        package let route: String?
        /// Its settings; empty without a file.
        package let settings: JSONObject
        /// The file of the settings.
        package let file: String
        /// The file that names the module.
        let list: String
        /// Whether the path stays in the folder; one that leaves it is refused where modules are read.
        let isInside: Bool
        /// Whether the file of the settings is there.
        let hasSettings: Bool

        /// The name of the class, by which the module is known.
        package var className: String { FeatureModules.className(ofPath: type) }

        /// Whether it is a transformer, whose `config.json` is another file than its settings.
        package var isTransformer: Bool {
            className == TransformerModule.className || TransformerModule.otherClassNames.contains(className)
        }
    }

    /// The modules of `modules.json`.
    package let entries: [Entry]
    /// The modules of a Router's routes, in their order.
    package let routed: [Entry]
    /// The Router's own settings; nil without one.
    package private(set) var router: JSONObject?

    /// All modules but a Router, which is what it routes to.
    package var allModules: [Entry] { routed + entries.filter { !Self.isRouter($0.className) } }

    /// The first transformer.
    package var transformer: Entry? { allModules.first { $0.isTransformer && $0.isInside } }

    /// The generation of class paths; nil without a path of sentence-transformers.
    var generation: SentenceTransformersGeneration? {
        let parts = (entries + routed).map { $0.type.split(separator: ".").map(String.init) }
        if parts.contains(where: { $0.first == "sentence_transformers" && $0.contains("modules") }) { return .version6 }
        return parts.contains { ["sentence_transformers", "pylate"].contains($0.first) } ? .version5 : nil
    }

    /// Lists the modules of a folder; nil without `modules.json`.
    ///
    /// - Throws: `CheckpointError` for files that are not JSON.
    package init?(folder: String) throws {
        let path = FilePath.joined(folder, FeatureModules.file)
        guard FilePath.exists(path) else { return nil }
        let list = try JSONFile.value(path: path, name: FeatureModules.file, sizeLimit: JSONFile.settingsSizeLimit)
        entries = try (list.arrayValue ?? []).map {
            try Self.entry(
                $0["type"]?.stringValue ?? "",
                $0["path"]?.stringValue ?? "",
                in: folder,
                list: FeatureModules.file
            )
        }
        var routed: [Entry] = []
        if let entry = entries.first(where: { Self.isRouter($0.className) }) {
            router = entry.settings
            for (route, ids) in (entry.settings["structure"]?.objectValue ?? [:]).map({ ($0.key, $0.value) }) {
                for id in ids.arrayValue?.compactMap(\.stringValue) ?? [] where FilePath.isPlainName(id) {
                    routed.append(
                        try Self.entry(
                            entry.settings["types"]?[id]?.stringValue ?? "",
                            entry.path.isEmpty ? id : FilePath.joined(entry.path, id),
                            in: folder,
                            list: entry.file,
                            route: route
                        )
                    )
                }
            }
        }
        self.routed = routed
    }

    private static func isRouter(_ name: String) -> Bool {
        name == RouterModule.className || RouterModule.otherClassNames.contains(name)
    }

    private static func entry(
        _ type: String,
        _ path: String,
        in folder: String,
        list: String,
        route: String? = nil
    ) throws -> Entry {
        let name = FeatureModules.className(ofPath: type)
        var file = "config.json"
        if name == TransformerModule.className || TransformerModule.otherClassNames.contains(name) {
            file = TransformerSettings.file
        }
        let isInside = path.split(separator: "/").allSatisfy { FilePath.isPlainName(String($0)) }
        if isRouter(name), isInside {
            file = RouterModule.settingsFile(folder: path.isEmpty ? folder : FilePath.joined(folder, path))
        }
        file = path.isEmpty ? file : FilePath.joined(path, file)
        let exists = isInside && FilePath.exists(FilePath.joined(folder, file))
        let settings =
            try exists
            ? JSONFile.object(
                path: FilePath.joined(folder, file),
                name: file,
                sizeLimit: JSONFile.settingsSizeLimit
            ) : [:]
        return Entry(
            type: type,
            path: path,
            route: route,
            settings: settings,
            file: file,
            list: list,
            isInside: isInside,
            hasSettings: exists
        )
    }
}
