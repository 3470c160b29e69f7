import EttinFiles
public import EttinJSON
import EttinPrimitives

/// Divides a data set into one to train on and one to validate with.
///
/// On which side a sample comes is a function of the seed and the sample's `id`, or of its position where there is no
/// such column. So all chunks of a document stay together, and neither the order of the samples nor other samples
/// matter.
public struct SplitStage: Sendable {
    /// The folders of the two sides.
    public enum Side: String, CaseIterable, Sendable {
        case train
        case validation
    }

    /// The data set.
    package var input: String
    /// The part of the documents to hold out.
    package var fraction: Double
    /// The seed of the choice.
    package var seed: UInt64

    /// Prepares the stage.
    ///
    /// - Parameters:
    ///   - input: The data set.
    ///   - fraction: The part of the documents to hold out; the published data hold out a thousandth.
    ///   - seed: The seed of the choice.
    public init(input: String, fraction: Double = 0.001, seed: UInt64 = 42) {
        self.input = input
        self.fraction = fraction
        self.seed = seed
    }

    private final class Run {
        var records = 0
        var tokens = 0

        var json: JSONValue { ["records": JSONValue(records), "tokens": JSONValue(tokens)] }
    }

    /// Runs the stage, or what an earlier run has left of it.
    ///
    /// - Parameter options: Output and part; the output gets a folder for each side.
    /// - Returns: The results of each side, by its name.
    /// - Throws: `CorpusError` when the fraction is impossible, the input is missing or malformed, or the output cannot be
    ///   written.
    @discardableResult
    public func run(_ options: StageOptions) throws -> JSONValue {
        guard fraction > 0, fraction < 1 else {
            throw CorpusError(
                .invalidOption,
                file: "fraction",
                found: "is \(fraction)",
                expected: "more than 0 and less than 1"
            )
        }
        var results = JSONObject()
        // The small side first, so that a wrong input or a full disk is noticed early.
        for side in [Side.validation, .train] {
            var sideOptions = options
            sideOptions.output = FilePath.joined(options.output, side.rawValue)
            results[side.rawValue] = try run(side, sideOptions)["results"]
        }
        return .object(results)
    }

    private func run(_ side: Side, _ options: StageOptions) throws -> JSONValue {
        let found = try CorpusInput.mdsDataset(input)
        let parameters: JSONObject = [
            "fraction": JSONValue(fraction), "seed": .string(String(seed)), "side": .string(side.rawValue),
        ]
        let header = StageHeader.make(
            stage: "split",
            parameters: parameters,
            inputs: [try InputFingerprint.of(found)],
            options: options
        )
        if let manifest = try StageOutput.finishedManifest(folder: options.output, header: header) { return manifest }
        let dataset = try MDSDataset(folder: input, decompression: .intoMemory, openShardLimit: 1)
        try dataset.checkFiles()
        let tokenizer = try DatasetTokenizer.recorded(of: input)?.fingerprint
        let selection = try ColumnSelection(dataset, "input_ids", nil, nil)
        let run = Run()
        let output = try StageOutput(
            folder: options.output,
            header: header,
            schema: selection.schema,
            options: options.writing
        ) { run.json }
        let range = options.part.range(of: dataset.sampleCount)
        if let (state, samples) = output.resumed {
            run.records = try records(state, samples, side, dataset, range)
            let tokens = samples.lengths.tokenCount
            run.tokens = try state.count("tokens", is: tokens, samples.holding(tokens, "tokens"))
        }
        var progress = JobProgress()
        progress.workTotal = range.count
        for sample in range.dropFirst(run.records) {
            if try self.side(of: sample, in: dataset) == side {
                let (values, tokenCount) = try selection.values(at: sample)
                try output.append(values)
                run.tokens += tokenCount
            }
            run.records += 1
            progress.workDone = run.records
            progress.recordCount = run.records
            progress.sampleCount = output.sampleCount
            progress.tokenCount = run.tokens
            if run.records % 256 == 0 { try options.progress(progress) }
        }
        try options.progress(progress)
        return try output.finish(
            files: [],
            results: ["samples": JSONValue(output.sampleCount), "tokens": JSONValue(run.tokens)],
            tokenizer: tokenizer
        )
    }

    /// How far a stopped run has come: as many samples of this side lie there as in its shards.
    private func records(
        _ state: ResumedState,
        _ samples: ResumedSamples,
        _ side: Side,
        _ dataset: MDSDataset,
        _ range: Range<Int>
    ) throws -> Int {
        let records = try state.count("records")
        guard records <= range.count else {
            throw state.refused("records", "at most \(range.count), because the input has no more")
        }
        let count = try range.prefix(records).count { try self.side(of: $0, in: dataset) == side }
        guard count == samples.sampleCount else {
            throw state.refused(
                "records",
                "a number of samples with the \(samples.sampleCount) of \(side.rawValue) that the shards hold, not \(count)"
            )
        }
        return records
    }

    private func side(of sample: Int, in dataset: MDSDataset) throws -> Side {
        let (position, local) = dataset.location(of: sample)
        let id = try dataset.shard(position).withDocumentID(of: local) { XXHash.hash64($0) } ?? UInt64(sample)
        let words = RandomPurpose.holdOut.generator(seed: seed, stream: id).words(atBlock: 0)
        return Double(words.x) + 0.5 < fraction * 0x1p32 ? .validation : .train
    }
}
