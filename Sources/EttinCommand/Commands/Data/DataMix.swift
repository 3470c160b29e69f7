import ArgumentParser
import EttinCorpus
import EttinFiles
import EttinJSON

/// The command `ettin data mix`.
struct DataMix: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mix",
        abstract: "Mix data sets in given proportions.",
        discussion: """
            A source is NAME=FOLDER@SHARE:LIMIT. NAME is its subfolder in the mixture
            (default: the last part of FOLDER). SHARE is a number of tokens (5000000,
            5m, 1.5b) or, with --total-tokens, a percentage (49.1%); without "@SHARE"
            every sample is taken once. LIMIT is the maximum number of times a sample
            is used, or none (default: --repeat-limit). If FOLDER contains an @,
            "@SHARE" is required.

            A recipe is a YAML file with the same information; "ettin data recipes"
            lists and prints the suite's. With --total-tokens a recipe is scaled, and
            sources keep their proportions.

            Samples are drawn from shuffled shards until the target is reached. A
            source that is too small is repeated up to its limit; a remaining
            shortfall is reported.

            Examples:

              ettin data mix web=chunks/web@7m books=chunks/books@1m:4 -o mixture
              ettin data mix chunks/web@90% chunks/books@10% --total-tokens 10m \\
                --repeat-limit 4 -o mixture
              ettin data mix --recipe decay --input-folder chunks \\
                --total-tokens 500m -o decay
            """
    )

    @Argument(help: ArgumentHelp("Data sets with their shares, NAME=FOLDER@SHARE:LIMIT.", valueName: "source"))
    var sources: [String] = []

    @Option(
        help: ArgumentHelp("Mixture recipe: a YAML file, or the name of one of the suite's.", valueName: "file"),
        completion: .file(extensions: ["yaml", "yml"])
    )
    var recipe: String?

    @Option(
        help: ArgumentHelp("Base folder for a recipe's paths (default: current folder).", valueName: "folder"),
        completion: .directory
    )
    var inputFolder: String?

    @Option(
        help: ArgumentHelp(
            "Total number of tokens of a recipe, or of all sources with a percentage.",
            valueName: "count"
        )
    )
    var totalTokens: String?

    @OptionGroup var sampling: SampleOptions
    @OptionGroup var job: DataJobOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        guard (recipe == nil) != sources.isEmpty else {
            throw ValidationError(
                recipe == nil
                    ? "no sources are given; expected at least one, or --recipe"
                    : "\"\(sources[0])\" is given together with --recipe; expected one or the other"
            )
        }
        if recipe != nil, sampling.repeatLimit != nil {
            throw ValidationError("--repeat-limit does not apply to --recipe; set repeat_limit in the recipe")
        }
        if recipe == nil, inputFolder != nil {
            throw ValidationError("--input-folder applies to --recipe; give each source its own folder")
        }
        _ = try parsedSources()
        _ = try tokens()
    }

    func run() throws {
        var mixture =
            try recipe.map { try recipeMixture($0) }
            ?? MixStage(
                sources: try parsedSources(),
                totalTokens: try tokens()
            )
        mixture.order = sampling.sampleOrder(seed: 42)
        mixture.tokenElement = sampling.tokenType?.element
        let summary = try job.withProgress { try mixture.run($0) }
        for source in summary["sources"]?.arrayValue ?? [] {
            guard let missing = source["missing_tokens"]?.intValue, missing > 0 else { continue }
            Diagnostics.note("\(source["name"]?.stringValue ?? "") is \(missing) tokens short of its share")
        }
        Diagnostics.note("wrote \(summary["total_tokens"]?.intValue ?? 0) tokens to \(job.output)")
        if json.isOn { try StandardOutput.write(document: summary) }
    }

    private func tokens() throws -> Int? { try totalTokens.map { try tokenCount($0, flag: "--total-tokens") } }

    private func recipeMixture(_ name: String) throws -> MixStage {
        var recipe = try PublishedRecipe(rawValue: name)?.recipe() ?? fileRecipe(name)
        if let tokens = try tokens() { recipe = try recipe.scaled(toTokens: tokens) }
        return recipe.mixture(ofDataIn: inputFolder)
    }

    private func fileRecipe(_ path: String) throws -> MixtureRecipe {
        guard FilePath.exists(path) else {
            throw CorpusError(
                .missing,
                file: path,
                found: "is neither a file nor a recipe of the suite",
                expected: "a YAML file or one of \(PublishedRecipe.names)"
            )
        }
        return try MixtureRecipe(path: path)
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
            guard folder.endIndex < source.endIndex else {
                return MixStage.Source(name: name, input: String(folder), share: .all, repeatLimit: limit)
            }
            let behind = source[source.index(after: folder.endIndex)...].split(
                separator: ":",
                maxSplits: 1,
                omittingEmptySubsequences: false
            )
            return MixStage.Source(
                name: name,
                input: String(folder),
                share: try parsedShare(String(behind[0]), source),
                repeatLimit: behind.count == 1
                    ? limit : try repeatCount(String(behind[1]), flag: "the limit of \"\(source)\"")
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
