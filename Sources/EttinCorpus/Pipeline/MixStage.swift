import EttinFiles
public import EttinJSON

/// Mixes several tokenised data sets into one: each is sampled to its share of the tokens, and an index joins them.
///
/// The order of the samples is not made here: training draws one permutation over all of them, so that every source
/// appears throughout in its proportion.
public struct MixStage: Sendable {
    /// How much of the mixture is to come from a source.
    public enum Share: Hashable, Sendable {
        /// All of it, once.
        case all
        /// A number of tokens.
        case tokens(Int)
        /// A part of the mixture's tokens, relative to the other proportions.
        case proportion(Double)
    }

    /// One data set of the mixture.
    public struct Source: Hashable, Sendable {
        /// The name of its folder in the mixture.
        package var name: String
        /// The data set.
        package var input: String
        /// How much is to come from it.
        package var share: Share
        /// How often a sample may be taken; nil for as often as the share needs.
        package var repeatLimit: Int?

        /// Names a source.
        ///
        /// - Parameters:
        ///   - name: The name of its folder in the mixture.
        ///   - input: The data set.
        ///   - share: How much is to come from it.
        ///   - repeatLimit: How often a sample may be taken; nil for as often as the share needs.
        public init(name: String, input: String, share: Share, repeatLimit: Int? = 1) {
            self.name = name
            self.input = input
            self.share = share
            self.repeatLimit = repeatLimit
        }
    }

    /// The sources in the order in which the mixture's index lists them.
    package var sources: [Source]
    /// The tokens of all sources with a proportion together.
    package var totalTokens: Int?
    /// The order in which samples are taken from each source.
    package var order: SampleStage.Order
    /// The type to store ids in; nil for each source's own.
    package var tokenElement: MDSElement?

    /// Prepares a mixture.
    ///
    /// - Parameters:
    ///   - sources: The sources.
    ///   - totalTokens: The tokens of all sources with a proportion together; needed when there is one.
    ///   - order: The order in which samples are taken from each source.
    ///   - tokenElement: The type to store ids in; nil for each source's own.
    public init(
        sources: [Source],
        totalTokens: Int? = nil,
        order: SampleStage.Order = .shards(seed: 42),
        tokenElement: MDSElement? = nil
    ) {
        self.sources = sources
        self.totalTokens = totalTokens
        self.order = order
        self.tokenElement = tokenElement
    }

    /// Runs the stage, or what an earlier run has left of it.
    ///
    /// - Parameter options: Output and part. The index of a divided job lists the part's own samples; the folders of the
    ///   parts are merged as all others are.
    /// - Returns: A summary: the tokens wanted and taken from each source, and in all.
    /// - Throws: `CorpusError` when a share is impossible, a name occurs twice, sources were made with different tokenizers,
    ///   or a source cannot be sampled.
    @discardableResult
    public func run(_ options: StageOptions) throws -> JSONValue {
        let targets = try checkedTargets()
        _ = try DatasetTokenizer.common(of: sources.map(\.input))
        var entries: [JSONValue] = []
        var total = 0
        for (source, target) in zip(sources, targets) {
            var sourceOptions = options
            sourceOptions.output = FilePath.joined(options.output, source.name)
            let stage = SampleStage(
                input: source.input,
                targetTokens: target,
                repeatLimit: source.repeatLimit,
                order: order,
                tokenElement: tokenElement
            )
            let results = try stage.run(sourceOptions)["results"] ?? .null
            guard let sum = results["tokens"]?.intValue.flatMap({ $0 < 0 ? nil : total.adding(checked: $0) }) else {
                throw CorpusError(
                    .malformed,
                    file: FilePath.joined(sourceOptions.output, StageOutput.manifestName),
                    item: "\"results.tokens\"",
                    found: results["tokens"].map { "is \(shown($0.text()))" } ?? "is not there",
                    expected: "a number of tokens"
                )
            }
            total = sum
            entries.append([
                "name": .string(source.name), "input": .string(source.input),
                "target_tokens": target.map { JSONValue($0) } ?? .null, "tokens": results["tokens"] ?? 0,
                "missing_tokens": results["missing_tokens"] ?? 0, "samples": results["samples"] ?? 0,
                "rounds": results["rounds"] ?? 0,
            ])
        }
        let summary: JSONValue = [
            "total_tokens": JSONValue(total),
            "target_tokens": targets.contains(nil) ? .null : JSONValue(targets.compactMap(\.self).checkedSum() ?? 0),
            "sources": .array(entries),
        ]
        let path = FilePath.joined(options.output, "sampling_summary.json")
        let bytes = summary.serialized(JSONWritingOptions(layout: .indented(2)))
        try CorpusError.translating {
            try StageOutput.removeUnfinishedFiles(options.output)
            try AtomicFile.write(bytes, to: path)
        }
        try MDSIndex.merge(folder: options.output, subfolders: sources.map(\.name))
        return summary
    }

    /// The tokens wanted from each source; nil for all of it.
    private func checkedTargets() throws -> [Int?] {
        func refused(_ item: String, _ found: String, _ expected: String) -> CorpusError {
            CorpusError(.invalidOption, file: "mixture", item: item, found: found, expected: expected)
        }
        guard !sources.isEmpty else { throw refused("sources", "are empty", "at least one") }
        var names: Set<ExactName> = []
        for source in sources {
            guard FilePath.isPlainName(source.name), names.insert(ExactName(source.name)).inserted else {
                throw refused("source \(shown(source.name))", "is no folder name or occurs twice", "a name of its own")
            }
        }
        let proportions = sources.compactMap { source -> Double? in
            if case .proportion(let value) = source.share { value } else { nil }
        }
        guard proportions.allSatisfy({ $0 > 0 && $0.isFinite }) else {
            throw refused("proportions", "are \(proportions)", "positive numbers")
        }
        guard proportions.isEmpty == (totalTokens == nil), totalTokens ?? 0 >= 0 else {
            let found = totalTokens.map { "are \($0)" } ?? "are not given"
            throw refused("total tokens", found, "a number when, and only when, a source has a proportion")
        }
        var split = MDSStreams.split(totalTokens ?? 0, proportions).makeIterator()
        let targets: [Int?] = sources.map { source in
            switch source.share {
            case .all: nil
            case .tokens(let count): count
            case .proportion: split.next()
            }
        }
        guard targets.compactMap(\.self).checkedSum() != nil else {
            throw refused("tokens", "do not fit 64 bits together", "fewer")
        }
        return targets
    }
}
