import ArgumentParser
import EttinCorpus
import EttinJSON

/// The command `ettin data mix`.
struct DataMix: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mix",
        abstract: "Mix data sets in given amounts.",
        discussion: """
            A source is NAME=FOLDER@SHARE. NAME is the folder it gets in the mixture;
            without "NAME=", the last part of FOLDER. SHARE is a number of tokens
            (5000000, 5m, 1.5b) or, with --total-tokens, a proportion (49.1%);
            without "@SHARE" all of it is taken once. An @ in FOLDER needs an @SHARE
            behind it.

            Samples are taken from shards in random order until the tokens are
            reached. A source that is too small is repeated as often as
            --repeat-limit allows, and what is missing then is reported.

            Examples:

              ettin data mix web=chunks/web@7m books=chunks/books@1m -o mixture
              ettin data mix chunks/web@90% chunks/books@10% --total-tokens 10m \\
                --repeat-limit 4 -o mixture
            """
    )

    @Argument(help: ArgumentHelp("Data sets with their shares.", valueName: "source"))
    var sources: [String]

    @Option(help: ArgumentHelp("The tokens of all sources with a proportion together.", valueName: "count"))
    var totalTokens: String?

    @OptionGroup var sampling: SampleOptions
    @OptionGroup var job: DataJobOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        _ = try parsedSources()
        _ = try totalTokens.map { try tokenCount($0, flag: "--total-tokens") }
    }

    func run() throws {
        let mixture = MixStage(
            sources: try parsedSources(),
            totalTokens: try totalTokens.map { try tokenCount($0, flag: "--total-tokens") },
            order: sampling.sampleOrder(seed: 42),
            tokenElement: sampling.tokenType?.element
        )
        let summary = try job.withProgress { try mixture.run($0) }
        for source in summary["sources"]?.arrayValue ?? [] {
            guard let missing = source["missing_tokens"]?.intValue, missing > 0 else { continue }
            Diagnostics.note("\(source["name"]?.stringValue ?? "") is \(missing) tokens short of its share")
        }
        Diagnostics.note("wrote \(summary["total_tokens"]?.intValue ?? 0) tokens to \(job.output)")
        if json.isOn { try StandardOutput.write(document: summary) }
    }

    private func parsedSources() throws -> [MixStage.Source] {
        let limit = try sampling.limit(default: 1)
        return try sources.map { source in
            func refused(_ what: String) -> ValidationError {
                ValidationError("source \"\(source)\" \(what); expected NAME=FOLDER@SHARE, such as web=chunks/web@7m")
            }
            let nameEnd = source.firstIndex(of: "=")
            let shareStart = source.lastIndex(of: "@")
            let rest = source[(nameEnd.map { source.index(after: $0) } ?? source.startIndex)...]
            let folder = shareStart.flatMap { $0 >= rest.startIndex ? rest[..<$0] : nil } ?? rest
            guard !folder.isEmpty else { throw refused("has no folder") }
            let name = nameEnd.map { String(source[..<$0]) } ?? folder.split(separator: "/").last.map(String.init) ?? ""
            guard !name.isEmpty else { throw refused("has no name") }
            let hasShare = folder.endIndex < source.endIndex
            let share = hasShare ? String(source[source.index(after: folder.endIndex)...]) : nil
            return MixStage.Source(
                name: name,
                input: String(folder),
                share: try share.map { try parsedShare($0, source) } ?? .all,
                repeatLimit: limit
            )
        }
    }

    private func parsedShare(_ text: String, _ source: String) throws -> MixStage.Share {
        guard text.hasSuffix("%") else { return .tokens(try tokenCount(text, flag: "the share of \"\(source)\"")) }
        guard let percent = Double(text.dropLast()), percent > 0, percent.isFinite else {
            throw ValidationError("the share of \"\(source)\" is \"\(text)\"; expected a positive percentage")
        }
        return .proportion(percent)
    }
}
