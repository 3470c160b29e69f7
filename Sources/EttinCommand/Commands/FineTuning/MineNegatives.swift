import ArgumentParser
import EttinEvaluation
import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import EttinTables
import EttinTokenizer
import Torch

/// The command `ettin mine-negatives`.
struct MineNegatives: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mine-negatives",
        abstract: "Find hard negatives for pairs of texts.",
        discussion: """
            Embeds anchors and corpus with a model, finds each anchor's nearest texts
            by an exact search, leaves out its positives and what the margins and
            bounds say, and writes rows to train with. Options, defaults and results
            are those of sentence-transformers' mine_hard_negatives.

            The corpus is the positives, after the texts of --corpus where it is
            given. Texts that are too long for the model are truncated, and counted.
            With --cache-folder, embeddings, candidates and scores are kept there: a
            killed run resumes where it was, and another one with the same texts and
            models starts with them.

            Prints JSON Lines; --output writes a .jsonl or .csv file instead, complete
            or not at all. Statistics and progress go to standard error.

            Examples:

              ettin mine-negatives static-retrieval --dataset pairs.jsonl \\
                --num-negatives 5 -o triplets.jsonl
              ettin mine-negatives embedder --dataset pairs.jsonl \\
                --corpus passages.txt --range-max 100 --absolute-margin 0 \\
                --output-format labeled-pair -o labeled.jsonl
              ettin mine-negatives embedder --dataset pairs.jsonl \\
                --cross-encoder reranker --relative-margin 0.05 --output-scores \\
                --output-format n-tuple --cache-folder cache -o tuples.jsonl
            """
    )

    @OptionGroup var model: ModelArgument
    @OptionGroup var data: MiningDataOptions
    @OptionGroup var candidates: MiningCandidateOptions
    @OptionGroup var rows: MiningRowOptions

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Output file, .jsonl or .csv (default: JSON Lines on standard output).", valueName: "file"),
        completion: .file()
    )
    var output: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Texts, or pairs of --cross-encoder, per batch (default: by tokens).", valueName: "count")
    )
    var batchSize: Int?

    @Option(
        help: ArgumentHelp("Folder that keeps embeddings, candidates and scores for later runs.", valueName: "folder"),
        completion: .directory
    )
    var cacheFolder: String?

    @Flag(inversion: .prefixedNo, help: "Print statistics on standard error.")
    var verbose = true

    @OptionGroup var batches: BatchOptions
    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if json.isOn, output == nil { throw ValidationError("--json prints a summary and needs --output") }
        if let output {
            guard let format = MinedFileFormat(path: output) else {
                throw ValidationError("--output is \"\(output)\"; expected a name ending in .jsonl or .csv")
            }
            if format == .csv, options.rowsHoldLists {
                throw ValidationError("the rows hold lists, which CSV does not; expected an --output ending in .jsonl")
            }
        }
    }

    /// What the flags say.
    private var options: MiningOptions {
        var options = MiningOptions()
        candidates.set(&options)
        rows.set(&options)
        options.batchSize = batchSize
        return options
    }

    func run() throws {
        if let output { try AtomicFile.checkPlace(output) }
        let options = options
        (candidates.notices + rows.notices).forEach(Diagnostics.note)
        let pairs = try data.pairs()
        // Before models are downloaded.
        try options.requireColumns(pairs)
        let rangeMax = try options.candidateRange(
            mostPositives: pairs.mostPositives,
            rescores: candidates.crossEncoder != nil
        )
        noteSizes(pairs, rangeMax)
        let folder = try model.folder()
        let scorerFolder = try candidates.scorerFolder()
        let computeOptions = try compute.prepare()
        let encoder = try TextEmbeddingPipeline(folder: folder, options: computeOptions)
        encoder.notices.forEach(Diagnostics.note)
        var miner = NegativeMiner(options)
        if let cacheFolder {
            func identity(_ folder: String) throws -> String {
                let dtype = computeOptions.dtype?.rawValue ?? "stored"
                return try "\(MiningCache.fingerprint(ofFolder: folder)) \(dtype) \(computeOptions.device)"
            }
            miner.cache = try MiningCache(
                folder: cacheFolder,
                model: identity(folder),
                crossEncoder: scorerFolder.map(identity)
            )
        }
        let scorer = try scorerFolder.map {
            try BatchedScorer(
                RerankingPipeline(folder: $0, options: computeOptions),
                batchSize: batchSize,
                maxBatchTokens: batches.maxBatchTokens
            )
        }
        let progress = ProgressReport()
        miner.onProgress = { progress.update($0.step.shown, done: $0.done, of: $0.total) }
        let mined = try miner.mine(
            pairs,
            with: CountedVectors(pipeline: encoder, maxBatchTokens: batches.maxBatchTokens),
            crossEncoder: scorer
        )
        progress.finish()
        if mined.truncatedCount > 0 {
            Diagnostics.note("truncated \(mined.truncatedCount) of \(pairs.corpus.count + pairs.anchors.count) texts")
        }
        if let count = scorer?.truncatedCount, count > 0 {
            Diagnostics.note("truncated \(count) pairs of --cross-encoder")
        }
        if verbose { MiningReport(mined).lines.forEach(Diagnostics.note) }
        try write(mined)
    }

    private func write(_ mined: MinedNegatives) throws {
        guard let output, let format = MinedFileFormat(path: output) else {
            return try StandardOutput.write { output in
                try mined.forEachJSONLine { try output.line(utf8: $0.dropLast()) }
            }
        }
        try mined.write(to: output, format: format)
        Diagnostics.note("wrote \(mined.rowCount) rows to \(output)")
        if json.isOn { try StandardOutput.write(document: MiningReport(mined).json(output: output)) }
    }

    /// Says what follows from the data.
    private func noteSizes(_ pairs: MiningPairs, _ rangeMax: Int) {
        if verbose {
            if options.rangeMax == nil {
                Diagnostics.note("setting range_max to \(rangeMax) based on the other options")
            }
            if pairs.anchors.count != pairs.rowCount {
                Diagnostics.note("\(pairs.anchors.count) unique anchors in \(pairs.rowCount) rows")
            }
        }
        let wanted = rangeMax + pairs.mostPositives
        if wanted > pairs.corpus.count {
            Diagnostics.note(
                "note: \(wanted) candidates per anchor are asked for (range_max and the positives), but the corpus has "
                    + "\(pairs.corpus.count) text\(pairs.corpus.count == 1 ? "" : "s"); --corpus adds others"
            )
        }
    }
}

extension NegativeMiner.Step {
    /// What progress calls the step.
    fileprivate var shown: String {
        switch self {
        case .corpus: "texts of the corpus embedded"
        case .anchors: "anchors embedded"
        case .search: "anchors searched for"
        case .rescoring: "anchors rescored"
        }
    }
}

/// A cross-encoder whose batches hold so many pairs and tokens, and which counts what it truncates.
private final class BatchedScorer: PairScores {
    private let pipeline: RerankingPipeline
    private let batchSize: Int?
    private let maxBatchTokens: Int
    /// How many pairs were truncated so far.
    private(set) var truncatedCount = 0

    init(_ pipeline: RerankingPipeline, batchSize: Int?, maxBatchTokens: Int) {
        (self.pipeline, self.batchSize, self.maxBatchTokens) = (pipeline, batchSize, maxBatchTokens)
        pipeline.notices.forEach(Diagnostics.note)
    }

    var modelName: String { pipeline.modelName }

    func pairScores(of pairs: [TextPair], prompt: RerankingPipeline.Prompt) throws -> [Double] {
        let size = min(batchSize ?? pairs.count, max(1, pairs.count))
        return try stride(from: 0, to: pairs.count, by: size).flatMap { start in
            let scores = try pipeline.predict(
                Array(pairs[start..<min(pairs.count, start + size)]),
                prompt: prompt,
                overlong: pipeline.tokenizer.truncatesLeft ? .keepEnd : .keepStart,
                maxBatchTokens: maxBatchTokens
            )
            truncatedCount += scores.count { $0.isTruncated }
            return scores.map(\.value)
        }
    }
}
