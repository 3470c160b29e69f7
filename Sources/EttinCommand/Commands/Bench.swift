import ArgumentParser
import EttinInference
import EttinTokenizer
import Torch

extension BenchmarkTask: ExpressibleByArgument {}

/// The command `ettin bench`.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure the speed and the memory of a model.",
        discussion: """
            Runs every batch size with every length on random tokens, each case alone:
            rounds that warm up, then rounds that are measured. Prints percentiles of
            their times, tokens a second, what the linear layers compute a second, how
            much that is of the best rate of plain matrix products of the same shapes
            in the same process, and the peak memory. Rates are those of the median.

            With --task generate, a decoder continues prompts of each length by
            --new-tokens, the most probable token each time; tokens are those
            generated. With --texts, real texts are encoded instead of random tokens,
            batched by length.

            Examples:

              ettin bench encoder
              ettin bench encoder --batch 1,8,32 --length 16,128,512,8192 \\
                --dtype float32,bfloat16 --json
              ettin bench encoder --texts texts.txt --rounds 20
              ettin bench decoder --task generate --batch 1,8 --length 16
            """
    )

    @OptionGroup var model: ModelArgument

    @Option(help: "What to measure: hidden states, or the greedy continuation of prompts.")
    var task: BenchmarkTask = .encode

    @Option(parsing: .unconditional, help: ArgumentHelp("Numbers of sequences; 1,8 unless given.", valueName: "list"))
    var batch: CommaList<Int>?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Tokens of each sequence or prompt; 16,128,512 unless given.", valueName: "list")
    )
    var length: CommaList<Int>?

    @Option(
        help: ArgumentHelp(
            "Types to compute in, one after the other; that of the files unless given.",
            valueName: "list"
        )
    )
    var dtype: CommaList<ComputeDType>?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Tokens to generate for each prompt; 128 unless given.", valueName: "count")
    )
    var newTokens: Int?

    @Option(
        help: ArgumentHelp("A file of texts to encode: lines, or .jsonl with {\"text\": …}.", valueName: "file"),
        completion: .file()
    )
    var texts: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Rounds before those that are measured.", valueName: "count"))
    var warmup = 2

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Rounds to measure; as many as fit into --seconds unless given.", valueName: "count")
    )
    var rounds: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How long to measure each case, at least three rounds; 2 unless given.",
            valueName: "seconds"
        )
    )
    var seconds: Double?

    @Option(help: ArgumentHelp("The seed of the random tokens.", valueName: "number"))
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
            throw ValidationError("--seconds is \(seconds); expected above 0")
        }
        if rounds != nil, seconds != nil { throw ValidationError("--rounds and --seconds exclude each other") }
        if task == .encode, newTokens != nil { throw ValidationError("--new-tokens is for --task generate") }
        if texts == nil {
            if truncation.truncate { throw ValidationError("--truncate is for --texts") }
        } else {
            if task == .generate { throw ValidationError("--texts is for --task encode") }
            if batch != nil { throw ValidationError("--batch is for random tokens; --max-batch-tokens is for --texts") }
            if length != nil { throw ValidationError("--length is for random tokens; the texts have their own") }
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
                let (result, isTruncated) = try benchmark.run(texts: given, overlong: truncation.rule)
                truncation.report(isTruncated)
                try report.add(result)
            }
            try report.finish()
        }
    }
}
