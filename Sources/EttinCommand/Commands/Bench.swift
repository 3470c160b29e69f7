import ArgumentParser
import EttinInference
import EttinTokenizer
import Torch

extension BenchmarkTask: ExpressibleByArgument {}

/// The command `ettin bench`.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure a model's speed and memory.",
        discussion: """
            Runs every combination of batch size and sequence length on random tokens:
            first warm-up rounds, then measured rounds. Prints latency percentiles,
            tokens per second, FLOP/s of the linear layers, that rate as a fraction of
            the peak of plain matrix products of the same shapes in the same process,
            and peak memory. Rates are computed from the median.

            With --task generate, a decoder generates --new-tokens greedily for prompts
            of each length, and only generated tokens are counted. With --texts, real
            texts are encoded instead of random tokens, batched by length.

            Examples:

              ettin bench encoder
              ettin bench encoder --batch 1,8,32 --length 16,128,512,8192 \\
                --dtype float32,bfloat16 --json
              ettin bench encoder --texts texts.txt --rounds 20
              ettin bench decoder --task generate --batch 1,8 --length 16
            """
    )

    @OptionGroup var model: ModelArgument

    @Option(help: "What to measure: encoding (hidden states) or greedy generation.")
    var task: BenchmarkTask = .encode

    @Option(parsing: .unconditional, help: ArgumentHelp("Batch sizes (default: 1,8).", valueName: "list"))
    var batch: CommaList<Int>?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Sequence or prompt lengths in tokens (default: 16,128,512).", valueName: "list")
    )
    var length: CommaList<Int>?

    @Option(
        help: ArgumentHelp(
            "Data types to compute in, one after another (default: as stored).",
            valueName: "list"
        )
    )
    var dtype: CommaList<ComputeDType>?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Number of tokens to generate per prompt (default: 128).", valueName: "count")
    )
    var newTokens: Int?

    @Option(
        help: ArgumentHelp("File of texts to encode: one per line, or .jsonl with {\"text\": …}.", valueName: "file"),
        completion: .file()
    )
    var texts: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Number of warm-up rounds.", valueName: "count"))
    var warmup = 2

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Number of measured rounds (default: as many as fit into --seconds).", valueName: "count")
    )
    var rounds: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Seconds to measure each case, with at least three rounds (default: 2).",
            valueName: "seconds"
        )
    )
    var seconds: Double?

    @Option(help: ArgumentHelp("Random seed for the tokens.", valueName: "number"))
    var seed: UInt64 = 0

    @OptionGroup var truncation: TruncationOptions
    @OptionGroup var batches: BatchOptions
    @OptionGroup var place: DeviceOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        let lists = [("batch", batch?.elements ?? []), ("length", length?.elements ?? [])]
        let counts = lists.flatMap { name, values in values.map { (name, Optional($0)) } }
        for case (let name, let value?) in counts + [("new-tokens", newTokens), ("rounds", rounds)] where value < 1 {
            throw ValidationError("--\(name) is \(value); expected 1 or more")
        }
        if warmup < 0 { throw ValidationError("--warmup is \(warmup); expected 0 or more") }
        if let seconds, !(seconds > 0 && seconds.isFinite) {
            throw ValidationError("--seconds is \(seconds); expected a number above 0")
        }
        if rounds != nil, seconds != nil { throw ValidationError("--rounds and --seconds cannot be combined") }
        if task == .encode, newTokens != nil { throw ValidationError("--new-tokens applies to --task generate") }
        if texts == nil {
            if truncation.truncate { throw ValidationError("--truncate applies to --texts") }
        } else {
            if task == .generate { throw ValidationError("--texts applies to --task encode") }
            if batch != nil {
                throw ValidationError("--batch is for random tokens; use --max-batch-tokens with --texts")
            }
            if length != nil { throw ValidationError("--length applies to random tokens, not to --texts") }
        }
    }

    private var plan: BenchmarkPlan {
        var plan = BenchmarkPlan()
        plan.task = task
        plan.batches = batch?.elements ?? plan.batches
        plan.lengths = texts == nil ? length?.elements ?? plan.lengths : []
        plan.newTokens = newTokens ?? plan.newTokens
        plan.warmupRounds = warmup
        plan.rounds = rounds
        plan.seconds = seconds ?? plan.seconds
        plan.seed = seed
        // A grid's batches are computed whole; the budget is for texts.
        plan.maxBatchTokens = texts == nil ? .max : batches.maxBatchTokens
        return plan
    }

    func run() throws {
        let folder = try model.folder()
        let given = try texts.map { path in
            var reader = try TextReader(path)
            let texts = try reader.rest()
            if texts.isEmpty { throw NoTexts(source: path) }
            return texts
        }
        let device = try place.prepare()
        ComputeDType.noteSlow(dtype?.elements ?? [], on: device)
        try StandardOutput.write { output in
            var report = BenchmarkReport(output: output, json: json.isOn, plan: plan, device: device)
            for dtype in dtype.map({ $0.elements.map(Optional.some) }) ?? [nil] {
                let options = ComputeOptions(device: device, dtype: dtype)
                let benchmark = try InferenceBenchmark(folder: folder, plan: plan, options: options)
                try report.begin(benchmark, dtype: dtype?.rawValue)
                guard let given else {
                    try benchmark.run { try report.add($0) }
                    continue
                }
                let (result, isTruncated) = try benchmark.run(
                    texts: given,
                    overlong: truncation.rule(for: Tokenizer(folder: folder))
                )
                truncation.report(isTruncated)
                try report.add(result)
            }
            try report.finish()
        }
    }
}
