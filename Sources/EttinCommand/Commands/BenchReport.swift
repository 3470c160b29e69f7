import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import Torch

/// Prints what `ettin bench` measured: a table that grows, or one document at the end.
struct BenchmarkReport {
    private static let columns = [
        "dtype", "batch", "length", "rounds", "p50 ms", "p90 ms", "p99 ms", "min ms", "mean ms", "tokens/s",
        "seqs/s", "GFLOP/s", "of GEMM", "attn GFLOP", "peak MB",
    ]

    private let output: StandardOutput
    private let isJSON: Bool
    private let plan: BenchmarkPlan
    private let device: Device
    private var dtype = ""
    private var gemmPeak: Double?
    private var hasBegun = false
    /// Lines above the next case; they wait for it, as texts may yet prove too long.
    private var heading: [String] = []
    private var model: JSONValue = .null
    private var results: [JSONValue] = []

    init(output: StandardOutput, json: Bool, plan: BenchmarkPlan, device: Device) {
        self.output = output
        isJSON = json
        self.plan = plan
        self.device = device
    }

    /// Takes a model that is about to be measured.
    mutating func begin(_ benchmark: InferenceBenchmark, dtype: String?) throws {
        self.dtype = dtype ?? benchmark.model.dtype.rawValue
        gemmPeak = benchmark.gemmPeak
        let configuration = benchmark.model.configuration
        model = [
            "kind": .string(configuration.kind.name),
            "parameters": JSONValue(configuration.parameterCount),
            "num_hidden_layers": JSONValue(configuration.layerCount),
            "hidden_size": JSONValue(configuration.hiddenSize),
            "vocab_size": JSONValue(configuration.vocabularySize),
        ]
        if !hasBegun {
            heading.append(
                "\(configuration.kind.name) of \(configuration.parameterCount) parameters, task \(plan.task.rawValue), "
                    + "\(device), \(TorchRuntime.threadCount) threads, libtorch \(TorchRuntime.version) "
                    + TorchRuntime.cpuCapability
            )
        }
        heading.append(
            gemmPeak.map { "\(self.dtype) matrix products reach \(gigas($0)) GFLOP/s" }
                ?? "\(self.dtype) has no plain matrix product to compare with"
        )
        if !hasBegun { heading.append(line(Self.columns)) }
        hasBegun = true
    }

    /// Takes one measured case.
    mutating func add(_ result: BenchmarkResult) throws {
        results.append(document(of: result))
        guard !isJSON else { return }
        for line in heading { try output.piece(line + "\n") }
        heading = []
        let latency = result.latency
        let times = [
            latency.quantile(0.5), latency.quantile(0.9), latency.quantile(0.99), latency.minimum, latency.mean,
        ]
        let (shortest, longest) = (result.lengths.lowerBound, result.lengths.upperBound)
        try output.piece(
            line(
                [dtype, "\(result.sequences)", shortest == longest ? "\(longest)" : "\(shortest)-\(longest)"]
                    + ["\(latency.count)"] + times.map { ($0 * 1000).rounded(toPlaces: 2) }
                    + [
                        "\(Int(clamping: result.tokensPerSecond.rounded()))",
                        result.sequencesPerSecond.rounded(toPlaces: 1),
                        gigas(result.denseOperationsPerSecond),
                        gemmPeak.map { percent(result.denseOperationsPerSecond / $0) } ?? "-",
                        gigas(result.work.attentionOperations), "\(result.peakMemoryBytes / 1_000_000)",
                    ]
            ) + "\n"
        )
    }

    /// Prints the document, if one was asked for.
    func finish() throws {
        guard isJSON else { return }
        let document: JSONValue = [
            "model": model,
            "task": .string(plan.task.rawValue),
            "device": .string("\(device)"),
            "threads": JSONValue(TorchRuntime.threadCount),
            "torch_version": .string(TorchRuntime.version),
            "cpu_capability": .string(TorchRuntime.cpuCapability),
            "warmup_rounds": JSONValue(plan.warmupRounds),
            "seed": .number(JSONNumber(plan.seed)),
            "results": .array(results),
        ]
        try output.line(document.text(JSONWritingOptions(layout: .indented(2))))
    }

    private func document(of result: BenchmarkResult) -> JSONValue {
        let latency = result.latency
        return [
            "dtype": .string(dtype),
            "batch": JSONValue(result.sequences),
            "min_length": JSONValue(result.lengths.lowerBound),
            "max_length": JSONValue(result.lengths.upperBound),
            "tokens": JSONValue(result.tokens),
            "new_tokens": result.newTokens.map { JSONValue($0) } ?? .null,
            "rounds": JSONValue(latency.count),
            "p50_ms": JSONValue(latency.quantile(0.5) * 1000),
            "p90_ms": JSONValue(latency.quantile(0.9) * 1000),
            "p99_ms": JSONValue(latency.quantile(0.99) * 1000),
            "min_ms": JSONValue(latency.minimum * 1000),
            "mean_ms": JSONValue(latency.mean * 1000),
            "tokens_per_second": JSONValue(result.tokensPerSecond),
            "sequences_per_second": JSONValue(result.sequencesPerSecond),
            "dense_gflop": JSONValue(result.work.denseOperations / 1e9),
            "attention_gflop": JSONValue(result.work.attentionOperations / 1e9),
            "dense_gflop_per_second": JSONValue(result.denseOperationsPerSecond / 1e9),
            "gemm_gflop_per_second": gemmPeak.map { JSONValue($0 / 1e9) } ?? .null,
            "dense_share_of_gemm": gemmPeak.map { JSONValue(result.denseOperationsPerSecond / $0) } ?? .null,
            "peak_memory_bytes": JSONValue(result.peakMemoryBytes),
        ]
    }

    /// One row, every cell at its column's right end.
    private func line(_ cells: [String]) -> String {
        let padded = zip(cells, Self.columns).map { cell, column in
            String(repeating: " ", count: max(0, max(column.count, 8) - cell.count)) + cell
        }
        return padded.joined(separator: "  ")
    }

    private func gigas(_ operations: Double) -> String { (operations / 1e9).rounded(toPlaces: 1) }

    private func percent(_ share: Double) -> String { "\(Int(clamping: (share * 100).rounded()))%" }
}
