import EttinModel
import EttinTokenizer
import Torch

/// What to measure, and how often.
package struct BenchmarkPlan: Sendable, Hashable {
    /// What is computed.
    package var task = BenchmarkTask.encode
    /// The numbers of sequences.
    package var batches = [1, 8]
    /// The numbers of tokens of each sequence; with ``BenchmarkTask/generate`` those of the prompts.
    package var lengths = [16, 128, 512]
    /// The tokens to generate for each prompt.
    package var newTokens = 128
    /// Rounds that are not measured, before those that are.
    package var warmupRounds = 2
    /// How many rounds to measure; nil for as many as fit into ``seconds``, at least three.
    package var rounds: Int?
    /// How long to measure each case when ``rounds`` is nil.
    package var seconds = 2.0
    /// The seed of the random token ids.
    package var seed: UInt64 = 0
    /// How many tokens of given texts to compute at once.
    package var maxBatchTokens = defaultMaxBatchTokens

    /// Creates the default plan.
    package init() {}
}

/// One measured case.
package struct BenchmarkResult: Sendable, Hashable {
    /// The number of sequences of a round.
    package let sequences: Int
    /// The tokens of the shortest and the longest sequence.
    package let lengths: ClosedRange<Int>
    /// The tokens of a round: those encoded, or those generated.
    package let tokens: Int
    /// The tokens generated for each sequence; nil for encoding.
    package let newTokens: Int?
    /// The times of the rounds.
    package let latency: LatencyStatistics
    /// The operations of a round.
    package let work: ModelWork
    /// The most memory the process held during the case, in bytes.
    package let peakMemoryBytes: Int

    /// Tokens a second, by the median round.
    package var tokensPerSecond: Double { Double(tokens) / latency.quantile(0.5) }
    /// Sequences a second, by the median round.
    package var sequencesPerSecond: Double { Double(sequences) / latency.quantile(0.5) }
    /// Operations of the linear layers a second, by the median round.
    package var denseOperationsPerSecond: Double { work.denseOperations / latency.quantile(0.5) }
}

/// Measures one model in one precision.
///
/// ```swift
/// let benchmark = try InferenceBenchmark(folder: "encoder", plan: BenchmarkPlan(), options: ComputeOptions())
/// try benchmark.run { print($0.tokensPerSecond) }
/// ```
package final class InferenceBenchmark {
    /// The model.
    package let model: BenchmarkModel
    /// The best rate of plain matrix products of the model's shapes in its type, operations a second; nil for a type
    /// that has none.
    package let gemmPeak: Double?
    private let folder: String
    private let plan: BenchmarkPlan

    /// Loads a model and measures the matrix products that its linear layers are compared with.
    ///
    /// - Parameters:
    ///   - folder: The model.
    ///   - plan: What to measure.
    ///   - options: Where and in which precision to compute.
    /// - Throws: ``InferenceError`` for a plan that the model cannot follow, before any weight is read; what
    ///   ``BenchmarkModel/init(folder:task:options:)`` throws.
    package init(folder: String, plan: BenchmarkPlan, options: ComputeOptions) throws {
        try Self.check(plan, ModernBERTConfiguration(folder: folder))
        self.folder = folder
        self.plan = plan
        let model = try BenchmarkModel(folder: folder, task: plan.task, options: options)
        self.model = model
        gemmPeak = try model.productDType.flatMap { try GEMMPeak.measure(model.configuration, $0, on: model.device) }
    }

    private static func check(_ plan: BenchmarkPlan, _ configuration: ModernBERTConfiguration) throws {
        let new = plan.task == .generate ? plan.newTokens : 0
        let longest = configuration.maxPositionEmbeddings
        guard new < longest else {
            let expected = "less than the \(longest) positions of the model"
            throw InferenceError.invalidOption(name: "new-tokens", found: "\(new)", expected: expected)
        }
        for length in plan.lengths { try EttinInference.check("length", length, in: 1...longest - new) }
        for batch in plan.batches {
            // Cumulative lengths are 32-bit numbers.
            try EttinInference.check("batch", batch, in: 1...Int(Int32.max) / (plan.lengths.max() ?? 1))
        }
    }

    /// Measures every batch size with every length, on random token ids.
    ///
    /// - Parameter body: Receives each case when it has been measured.
    /// - Throws: `TorchError` when memory or device fails; what `body` throws.
    package func run(_ body: (BenchmarkResult) throws -> Void) throws {
        for batch in plan.batches {
            for length in plan.lengths {
                let sequences = Self.randomSequences(
                    count: batch,
                    length: length,
                    vocabularySize: model.configuration.vocabularySize,
                    seed: plan.seed
                )
                try body(plan.task == .encode ? encode(sequences) : generate(sequences, length: length))
            }
        }
    }

    /// Measures the encoding of texts, batched by length to the plan's token budget.
    ///
    /// - Parameters:
    ///   - texts: The texts, at least one.
    ///   - overlong: What to do with texts that are too long.
    /// - Returns: The result, and whether each text was truncated.
    /// - Throws: `TokenizerError` for a broken tokenizer; ``InferenceError`` for a text that is too long; `TorchError`
    ///   when memory or device fails.
    package func run(
        texts: [String],
        overlong: OverlongTextRule
    ) throws -> (result: BenchmarkResult, isTruncated: [Bool]) {
        precondition(!texts.isEmpty && plan.task == .encode, "texts are encoded, at least one of them")
        let tokenizer = try Tokenizer(folder: folder)
        try model.configuration.requireIDs(of: tokenizer, folder: folder)
        let limit = TextPreparation.limit(tokenizer, model.configuration)
        let prepared = try TextPreparation(tokenizer: tokenizer, limit: limit).prepare(texts, overlong: overlong)
        // A tokenizer without special tokens gives an empty text no token, and nothing to compute.
        if let empty = prepared.firstIndex(where: \.tokenIDs.isEmpty) {
            throw InferenceError.unsuitableText(number: empty + 1, found: "has no token", expected: "at least one")
        }
        return (try encode(prepared.map(\.tokenIDs)), prepared.map(\.isTruncated))
    }

    // MARK: - Cases

    private func encode(_ sequences: [[Int32]]) throws -> BenchmarkResult {
        let lengths = sequences.map(\.count)
        return try measure(
            sequences,
            tokens: lengths.reduce(0, +),
            work: .encoding(lengths: lengths, model.configuration)
        ) {
            _ = try model.encode(sequences, maxBatchTokens: plan.maxBatchTokens)
        }
    }

    private func generate(_ prompts: [[Int32]], length: Int) throws -> BenchmarkResult {
        try measure(
            prompts,
            tokens: prompts.count * plan.newTokens,
            work: .generating(
                sequences: prompts.count,
                promptLength: length,
                newTokens: plan.newTokens,
                model.configuration
            )
        ) {
            _ = try model.generate(prompts, newTokens: plan.newTokens)
        }
    }

    private func measure(
        _ sequences: [[Int32]],
        tokens: Int,
        work: ModelWork,
        _ body: () throws -> Void
    ) throws -> BenchmarkResult {
        PeakMemory.reset()
        for _ in 0..<plan.warmupRounds { try body() }
        var times: [Double] = []
        let begin = ContinuousClock.now
        func isEnough() -> Bool {
            if let rounds = plan.rounds { return times.count >= rounds }
            return times.count >= 3 && (ContinuousClock.now - begin) / .seconds(1) >= plan.seconds
        }
        repeat {
            let start = ContinuousClock.now
            try body()
            times.append((ContinuousClock.now - start) / .seconds(1))
        } while !isEnough()
        let lengths = sequences.map(\.count)
        return BenchmarkResult(
            sequences: sequences.count,
            lengths: (lengths.min() ?? 0)...(lengths.max() ?? 0),
            tokens: tokens,
            newTokens: plan.task == .generate ? plan.newTokens : nil,
            latency: LatencyStatistics(times),
            work: work,
            peakMemoryBytes: PeakMemory.bytes
        )
    }

    /// Token ids that depend on the arguments alone.
    static func randomSequences(count: Int, length: Int, vocabularySize: Int, seed: UInt64) -> [[Int32]] {
        (0..<count).map { sequence in
            let generator = Philox(seed: seed, stream: UInt64(sequence))
            return (0..<length).map { place in
                let word = generator.words(atBlock: UInt64(place / 4))[place % 4]
                return Int32((UInt64(word) * UInt64(vocabularySize)) >> 32)
            }
        }
    }
}
