import ArgumentParser
import EttinCorpus
import EttinFiles
import EttinJSON

/// The command `ettin data merge`.
struct DataMerge: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Join data sets that lie side by side, without moving shards.",
        discussion: """
            Writes an index.json for all shards into the folder that holds the data
            sets. One folder means all data sets in its sub-folders; several are
            joined in the order given, those of one by their numbers or else by their
            names. Deeper trees are merged from the bottom up.

            Examples:

              ettin data merge tokens
              ettin data merge tokens/0 tokens/1 tokens/2
            """
    )

    @Argument(help: "A folder of data sets, or data sets in one folder.", completion: .directory)
    var folders: [String]

    @OptionGroup var json: JSONOption

    func validate() throws {
        if let file = folders.first(where: { $0.hasSuffix(".jsonl") && FilePath.kind(of: $0) == .file }) {
            throw ValidationError(
                "\(file) is a file; expected folders, and \"ettin data import-order\" joins orders of JSON Lines"
            )
        }
    }

    func run() throws {
        let (folder, names) = try place()
        let index = try MDSIndex.merge(folder: folder, subfolders: names)
        let path = FilePath.joined(folder, MDSIndex.fileName)
        Diagnostics.note("wrote \(path) for \(index.sampleCount) samples in \(index.shards.count) shards")
        if json.isOn {
            try StandardOutput.write(document: [
                "index": .string(path), "shards": JSONValue(index.shards.count),
                "samples": JSONValue(index.sampleCount),
            ])
        }
    }

    /// The folder that gets the index, and the sub-folders to join; nil for all.
    private func place() throws -> (folder: String, names: [String]?) {
        if folders.count == 1 { return (folders[0], nil) }
        let paths = folders.map { path in
            let end = path.lastIndex { $0 != "/" }
            return end.map { String(path[...$0]) } ?? path
        }
        let parent = FilePath.folder(of: paths[0])
        if let other = paths.first(where: { FilePath.folder(of: $0) != parent }) {
            throw ValidationError("\(paths[0]) and \(other) lie in different folders; expected data sets side by side")
        }
        return (parent, paths.map(FilePath.lastComponent(of:)))
    }
}
