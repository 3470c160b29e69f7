import ArgumentParser
import EttinHub
import EttinJSON
import Foundation

/// The command `ettin cache`.
struct CacheGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache",
        abstract: "Manage downloaded models and datasets.",
        discussion: """
            The cache is shared with huggingface_hub (HF_HUB_CACHE, default
            HF_HOME/hub).

            Examples:

              ettin cache ls
              ettin cache rm jhu-clsp/ettin-encoder-17m@step599525
              ettin cache verify
            """,
        subcommands: [CacheList.self, CacheRemove.self, CacheVerify.self]
    )

    static func cache() throws -> HubCache {
        let environment = try HubAccess.environment()
        return HubCache(folder: environment.cacheFolder, usesLinks: environment.usesLinks)
    }
}

/// The command `ettin cache ls`.
struct CacheList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List cached repositories and revisions.",
        discussion: """
            Examples:

              ettin cache ls
              ettin cache ls --json
            """
    )

    @OptionGroup var json: JSONOption

    func run() throws {
        let repositories = try CacheGroup.cache().repositories()
        if json.isOn { return try StandardOutput.write(document: .array(repositories.map(document(of:)))) }
        try StandardOutput.write { output in
            for entry in repositories {
                let rest = entry.incompleteBytes > 0 ? ", \(byteText(entry.incompleteBytes)) of them incomplete" : ""
                try output.line("\(entry.repository)  \(byteText(entry.sizeBytes))\(rest)")
                for revision in entry.revisions {
                    let names = revision.names.isEmpty ? "no ref" : revision.names.joined(separator: " ")
                    let size = "\(countText(revision.files.count, "file")), \(byteText(revision.sizeBytes))"
                    try output.line("  \(revision.commit)  \(names)  \(size)")
                }
            }
        }
    }

    private func document(of entry: CachedRepository) -> JSONValue {
        [
            "repository": .string(entry.repository.id),
            "kind": .string(entry.repository.kind.rawValue),
            "bytes": JSONValue(entry.sizeBytes),
            "incomplete_bytes": JSONValue(entry.incompleteBytes),
            "revisions": .array(
                entry.revisions.map { revision -> JSONValue in
                    [
                        "commit": .string(revision.commit),
                        "names": .array(revision.names.map(JSONValue.string)),
                        "files": .array(revision.files.map(JSONValue.string)),
                        "bytes": JSONValue(revision.sizeBytes),
                        "modified": JSONValue(revision.modified),
                    ]
                }
            ),
        ]
    }
}

/// The command `ettin cache rm`.
struct CacheRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm",
        abstract: "Delete a repository or one of its revisions from the cache.",
        discussion: """
            Deleting a revision keeps the files that other revisions share.

            Examples:

              ettin cache rm jhu-clsp/ettin-encoder-17m
              ettin cache rm jhu-clsp/ettin-encoder-17m@step599525
              ettin cache rm jhu-clsp/ettin-data-order --kind dataset
            """
    )

    @OptionGroup var repository: RepositoryArgument

    @Option(help: ArgumentHelp("Delete only this branch, tag or commit.", valueName: "name"))
    var revision: String?

    func run() throws {
        let cache = try CacheGroup.cache()
        let reference = try repository.reference(revision: revision)
        let isWhole = revision == nil && !repository.repository.contains("@")
        let freed = isWhole ? try cache.remove(reference.repository) : try cache.remove(reference)
        Diagnostics.note("removed \(isWhole ? reference.repository.id : reference.description), \(byteText(freed))")
    }
}

/// The command `ettin cache verify`.
struct CacheVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify the checksums of cached files.",
        discussion: """
            Prints corrupted files, in which case the exit code is 1. --repair deletes
            them, so that they are downloaded again when they are next used.

            Examples:

              ettin cache verify
              ettin cache verify jhu-clsp/ettin-encoder-17m --repair
            """
    )

    @Argument(help: "Repository to verify (default: all).")
    var repository: String?

    @Option(help: "Repository type: model, dataset or space.")
    var kind = RepositoryKind.model

    @Flag(help: "Delete corrupted files.")
    var repair = false

    @OptionGroup var json: JSONOption

    func run() throws {
        let only = try repository.map { name in
            guard !name.contains("@") else {
                throw ValidationError(
                    "\(name) has a revision, but repositories are verified as a whole; remove the part after @"
                )
            }
            return try HubAccess.hubReference(name, kind: kind).repository
        }
        let result = try CacheGroup.cache().verify(only.map { [$0] }, repairs: repair)
        if json.isOn {
            try StandardOutput.write(document: [
                "checked": JSONValue(result.checkedCount),
                "uncheckable": JSONValue(result.uncheckableCount),
                "findings": .array(
                    result.findings.map { ["repository": .string($0.repository.id), "path": .string($0.path)] }
                ),
            ])
        } else {
            try StandardOutput.write { output in
                for finding in result.findings { try output.line("\(finding)") }
            }
            let what = result.findings.isEmpty ? "no problems found" : countText(result.findings.count, "problem")
            Diagnostics.note("\(countText(result.checkedCount, "file")) checked, \(what)")
        }
        if !result.findings.isEmpty, !repair { throw ExitCode(1) }
    }
}
