import EttinFiles
import EttinJSON
import EttinRecipes

/// What a run of a sweep is, kept in its folder, so that runs which were made in another way are not compared with it.
package struct SweepRecord {
    /// The name of the file in the folder of a run.
    package static let fileName = "sweep_run.json"

    private let path: String
    private let run: SweepRun
    private let document: JSONObject

    /// Describes a run with its recipe as it is now.
    ///
    /// - Parameters:
    ///   - run: The run.
    ///   - sweep: Its sweep.
    /// - Throws: `TrainingError` when the recipe cannot be read.
    package init(_ run: SweepRun, of sweep: SweepFile) throws {
        path = FilePath.joined(run.outputFolder, Self.fileName)
        self.run = run
        let recipe = try TrainingError.translatingRecipe {
            var tree = try RecipeTree(path: run.recipe.path)
            for text in run.overrides { try tree.override(text) }
            try tree.interpolate()
            return tree.root.json
        }
        // Where the run lies is no part of what it is: the folder of a sweep may be moved.
        var values = (recipe.objectValue ?? [:]).filter { $0.key != sweep.command.outputKey }
        for use in run.recipe.uses {
            for index in values.indices where values[index].key == use.key { values[index].value = .string(use.text) }
        }
        document = [
            "command": .string(sweep.command.name),
            "recipe_file": .string(run.recipe.path),
            "parameters": .object(JSONObject(run.setting.map { ($0.key, .string($0.text)) })),
            "seed": run.seed.map { JSONValue($0) } ?? .null,
            "recipe": .object(JSONObject(values.map { ($0.key, $0.value) })),
        ]
    }

    /// Checks that what lies in the run's folder was made in the same way.
    ///
    /// - Throws: `TrainingError` naming the first key that differs.
    package func check() throws {
        guard FilePath.kind(of: path) == .file else {
            throw TrainingError(
                .invalidOption,
                run.outputFolder,
                found: "has checkpoints, but no \(Self.fileName)",
                expected: "a run of this sweep, or another output"
            )
        }
        let stored: JSONValue
        do {
            let bytes = try TrainingError.translating { try MappedFile(path: path).withUnsafeBytes { Array($0) } }
            stored = try JSONValue(parsing: bytes)
        } catch let error as JSONError {
            throw TrainingError(.malformed, path, found: "is not JSON: \(error)")
        }
        for key in ["command", "recipe"] {
            let (old, new) = (Self.flattened(stored[key] ?? .null, key), Self.flattened(document[key] ?? .null, key))
            guard let place = Set(old.keys).union(new.keys).filter({ old[$0] != new[$0] }).min() else { continue }
            let name = place.hasPrefix("recipe.") ? String(place.dropFirst("recipe.".count)) : place
            throw TrainingError(
                .invalidOption,
                run.outputFolder,
                found: "was run with \(name) \(old[place] ?? "unset"), but now it is \(new[place] ?? "unset")",
                expected: "the same, another output, or --accept-changes"
            )
        }
    }

    /// Writes the file, and the folder for it where there is none.
    ///
    /// - Throws: `TrainingError` when it cannot be written.
    package func write() throws {
        let text = JSONValue.object(document).text(JSONWritingOptions(layout: .indented(2))) + "\n"
        try TrainingError.translating {
            try FilePath.makeFolder(run.outputFolder)
            try AtomicFile.write(Array(text.utf8), to: path)
        }
    }

    /// The values of a document by their dotted names.
    private static func flattened(_ value: JSONValue, _ path: String) -> [String: String] {
        guard let object = value.objectValue, !object.isEmpty else { return [path: value.text()] }
        var result: [String: String] = [:]
        for member in object {
            result.merge(flattened(member.value, "\(path).\(member.key)")) { $1 }
        }
        return result
    }
}
