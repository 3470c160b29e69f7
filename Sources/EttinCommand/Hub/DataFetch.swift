import ArgumentParser
import EttinFiles
import EttinHub
import EttinJSON

/// The command `ettin data fetch`.
struct DataFetch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fetch",
        abstract: "List, download or stream the splits of a dataset on the Hub.",
        discussion: """
            Uses the Hub's Parquet conversion if there is one. Without --split, lists
            configurations and splits.

            Examples:

              ettin data fetch sentence-transformers/msmarco-hard-negatives
              ettin data fetch nyu-mll/glue --config cola --split train --download
              ettin data fetch owner/texts --split train --original --stream | head
            """
    )

    @Argument(help: "Dataset on the Hub, owner/name.")
    var name: String

    @Option(help: ArgumentHelp("Configuration (subset) of the dataset.", valueName: "name"))
    var config: String?

    @Option(help: ArgumentHelp("Split, such as train, validation or test.", valueName: "name"))
    var split: String?

    @Option(help: ArgumentHelp("Branch, tag or commit.", valueName: "name"))
    var revision: String?

    @Flag(help: "Use the dataset's original files instead of the Parquet conversion.")
    var original = false

    @Flag(help: "Download the split and print the paths of its files.")
    var download = false

    @Flag(help: "Stream the split's files to standard output without caching them.")
    var stream = false

    @OptionGroup var json: JSONOption

    func validate() throws {
        if download, stream { throw ValidationError("--download and --stream cannot be used together") }
        if split == nil, download || stream {
            throw ValidationError("--download and --stream require --split")
        }
    }

    func run() throws {
        let reference = try HubReference(name, kind: .dataset, revision: revision)
        let prefersConversion = !original
        let config = self.config
        guard let split else {
            let splits = try HubAccess.run {
                try await $0.splits(of: reference, prefersConversion: prefersConversion)
            }
            return try list(splits.filter { config == nil || $0.configuration == config })
        }
        let chosen = try HubAccess.run {
            try await $0.split(split, configuration: config, of: reference, prefersConversion: prefersConversion)
        }
        if download {
            let paths = try HubAccess.run { try await $0.download(chosen) }
            try StandardOutput.write { output in
                for path in paths { try output.line(path) }
            }
        } else if stream {
            try HubAccess.run { hub in
                for file in chosen.files {
                    try await hub.read(file.path, of: chosen.reference) { try StandardOutput.write(bytes: $0) }
                }
            }
        } else {
            try list([chosen])
        }
    }

    private func list(_ splits: [DatasetSplit]) throws {
        if json.isOn { return try StandardOutput.write(document: .array(splits.map(document(of:)))) }
        try StandardOutput.write { output in
            for split in splits {
                let size = byteText(split.files.map(\.sizeBytes).clampedSum())
                let part = split.isPartial ? ", partial conversion" : ""
                try output.line(
                    "\(split.configuration.padded(to: 16))  \(split.split.padded(to: 12))  "
                        + "\(countText(split.files.count, "file")), \(size)\(part)"
                )
            }
        }
    }

    private func document(of split: DatasetSplit) -> JSONValue {
        [
            "config": .string(split.configuration),
            "split": .string(split.split),
            "revision": .string(split.reference.revision),
            "partial": .bool(split.isPartial),
            "files": .array(
                split.files.map { ["path": .string($0.path), "bytes": JSONValue($0.sizeBytes)] }
            ),
        ]
    }
}
