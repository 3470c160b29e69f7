import ArgumentParser
import EttinCorpus
import EttinFiles
import EttinJSON

/// The command `ettin data merge`.
struct DataMerge: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Merge data sets in one folder without moving their shards.",
        discussion: """
            Writes one index.json over all shards into the parent folder of the data
            sets. Pass the parent folder to merge all its subfolders, ordered by
            number or name, or pass the data sets in the order wanted. Merge nested
            trees from the bottom up.

            Examples:

              ettin data merge tokens
              ettin data merge tokens/0 tokens/1 tokens/2
            """
    )

    @Argument(help: "Parent folder of the data sets, or the data sets.", completion: .directory)
    var folders: [String]

    @OptionGroup var json: JSONOption

    func validate() throws {
        if let file = folders.first(where: { $0.hasSuffix(".jsonl") && FilePath.kind(of: $0) == .file }) {
            throw ValidationError(
                "\(file) is a file; expected folders (to join JSON Lines orders, use \"ettin data import-order\")"
            )
        }
    }

    func run() throws {
        let (folder, names) = try place()
        let index = try MDSIndex.merge(folder: folder, subfolders: names)
        let path = FilePath.joined(folder, MDSIndex.fileName)
        Diagnostics.note("wrote \(path) with \(index.sampleCount) samples in \(index.shards.count) shards")
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
            throw ValidationError("\(paths[0]) and \(other) are in different folders; expected one parent folder")
        }
        return (parent, paths.map(FilePath.lastComponent(of:)))
    }
}
