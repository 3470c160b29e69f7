public import EttinJSON

/// Takes samples of a tokenised data set until a number of tokens is reached.
///
/// One stage serves several of the published tools: sampling down to a target, up by repetition, the random sample for
/// the extension phase, and the plain copy that selects columns or changes the type of the ids.
public struct SampleStage: Sendable {
    /// The order in which samples are taken.
    public enum Order: Hashable, Sendable {
        /// In storage order.
        case given
        /// Shards in random order, and the samples of each in random order: needs one shard in memory at a time.
        case shards(seed: UInt64)
        /// The permutation of all samples that the published tool draws; needs memory for it and every shard
        /// decompressed.
        case permutation(seed: UInt64)
    }

    /// The data set.
    package var input: String
    /// The tokens to reach; nil for every sample once.
    package var targetTokens: Int?
    /// How often a sample may be taken; 1 for no repetition, nil for as often as the target needs.
    package var repeatLimit: Int?
    /// The order of the samples, the same in every repetition.
    package var order: Order
    /// The column of token ids.
    package var tokenColumn: String
    /// The columns to keep; nil for all.
    package var columns: [String]?
    /// The type to store ids in; nil for the input's.
    package var tokenElement: MDSElement?

    /// Prepares the stage.
    ///
    /// - Parameters:
    ///   - input: The data set.
    ///   - targetTokens: The tokens to reach; nil for every sample once.
    ///   - repeatLimit: How often a sample may be taken; nil for as often as the target needs.
    ///   - order: The order of the samples.
    ///   - tokenColumn: The column of token ids.
    ///   - columns: The columns to keep; nil for all.
    ///   - tokenElement: The type to store ids in; nil for the input's.
    public init(
        input: String,
        targetTokens: Int? = nil,
        repeatLimit: Int? = 1,
        order: Order = .shards(seed: 42),
        tokenColumn: String = "input_ids",
        columns: [String]? = nil,
        tokenElement: MDSElement? = nil
    ) {
        self.input = input
        self.targetTokens = targetTokens
        self.repeatLimit = repeatLimit
        self.order = order
        self.tokenColumn = tokenColumn
        self.columns = columns
        self.tokenElement = tokenElement
    }

    private final class Run {
        var taken = 0
        var tokens = 0

        var json: JSONValue { ["taken": JSONValue(taken), "tokens": JSONValue(tokens)] }
    }

    /// Runs the stage, or what an earlier run has left of it.
    ///
    /// - Parameter options: Output and part; a part takes its share of the samples and of the target.
    /// - Returns: The manifest; its results say how many tokens were taken and, when the repeat limit came first, how
    ///   many are missing.
    /// - Throws: `CorpusError` when the input is missing, malformed or empty while there is a target, a column is not
    ///   there, or the output cannot be written.
    @discardableResult
    public func run(_ options: StageOptions) throws -> JSONValue {
        let found = try CorpusInput.mdsDataset(input)
        try check()
        let header = StageHeader.make(
            stage: "sample",
            parameters: parameters,
            inputs: [try InputFingerprint.of(found)],
            options: options
        )
        if let manifest = try StageOutput.finishedManifest(folder: options.output, header: header) { return manifest }
        let isRandom = if case .permutation = order { true } else { false }
        let dataset = try MDSDataset(
            folder: input,
            decompression: isRandom ? .intoFile : .intoMemory,
            openShardLimit: isRandom ? 4096 : 1
        )
        try dataset.checkFiles()
        let range = options.part.range(of: dataset.sampleCount)
        let target = targetTokens.map { options.part.range(of: $0).count }
        guard !range.isEmpty || (target ?? 0) == 0 else {
            throw CorpusError(.malformed, file: input, found: "has no samples", expected: "enough for the target")
        }
        let tokenizer = try DatasetTokenizer.recorded(of: input)?.fingerprint
        let selection = try ColumnSelection(dataset, tokenColumn, columns, tokenElement)
        let run = Run()
        let output = try StageOutput(
            folder: options.output,
            header: header,
            schema: selection.schema,
            options: options.writing,
            tokenColumn: tokenColumn
        ) { run.json }
        if let (state, samples) = output.resumed {
            let (count, tokens) = (samples.sampleCount, samples.lengths.tokenCount)
            run.taken = try state.count("taken", is: count, samples.holding(count, "samples"))
            run.tokens = try state.count("tokens", is: tokens, samples.holding(tokens, "tokens"))
        }

        let limit = range.isEmpty ? 0 : targetTokens == nil ? 1 : repeatLimit
        var progress = JobProgress()
        progress.workTotal = target
        // A stopped run has finished the rounds before.
        let firstRound = range.isEmpty ? 0 : run.taken / range.count
        for round in min(firstRound, limit ?? .max)..<(limit ?? .max) {
            var walk = SampleWalk(dataset, range, order)
            walk.skip(run.taken - round * range.count)
            let before = run.tokens
            while target.map({ run.tokens < $0 }) ?? true, let sample = walk.next() {
                let (values, tokenCount) = try selection.values(at: sample)
                try output.append(values)
                run.taken += 1
                run.tokens += tokenCount
                progress.recordCount = run.taken
                progress.sampleCount = output.sampleCount
                progress.tokenCount = run.tokens
                progress.workDone = run.tokens
                if run.taken % 256 == 0 { try options.progress(progress) }
            }
            if let target, run.tokens >= target { break }
            // A data set of empty samples would be repeated for ever.
            guard run.tokens > before || limit != nil else {
                throw CorpusError(.malformed, file: input, found: "has no tokens", expected: "enough for the target")
            }
        }
        try options.progress(progress)
        let results: JSONObject = [
            "samples": JSONValue(output.sampleCount), "tokens": JSONValue(run.tokens),
            "missing_tokens": JSONValue(max(0, (target ?? 0) - run.tokens)),
            "rounds": JSONValue(range.isEmpty ? 0.0 : Double(run.taken) / Double(range.count)),
        ]
        return try output.finish(files: [], results: results, tokenizer: tokenizer)
    }

    private func check() throws {
        if let targetTokens, targetTokens < 0 {
            throw CorpusError(.invalidOption, file: "target", found: "is \(targetTokens)", expected: "0 tokens or more")
        }
        if let repeatLimit, repeatLimit < 1 {
            throw CorpusError(.invalidOption, file: "repeat limit", found: "is \(repeatLimit)", expected: "1 or more")
        }
    }

    private var parameters: JSONObject {
        let order: JSONValue =
            switch order {
            case .given: "given"
            case .shards(let seed): ["shards": .string(String(seed))]
            case .permutation(let seed): ["permutation": .string(String(seed))]
            }
        return [
            "target_tokens": targetTokens.map { JSONValue($0) } ?? .null,
            "repeat_limit": repeatLimit.map { JSONValue($0) } ?? .null, "order": order,
            "token_column": .string(tokenColumn),
            "columns": columns.map { .array($0.map { .string($0) }) } ?? .null,
            "token_type": tokenElement.map { .string($0.rawValue) } ?? .null,
        ]
    }
}
