import EttinFineTuning
import EttinInference
import EttinJSON
import EttinModel
import Torch

/// Training steps on request, one line of JSON each way: `bench-finetune TASK FOLDER DTYPE THREADS`.
///
/// TASK is one of ``StepTasks``, DTYPE float32 or bfloat16. The requests are those of Benchmarks/finetune:
///
///   {"op": "step", "columns": [[[ids]]], "learning_rate": r, "repeat": n, …}
///                              {"seconds": […], "loss": x, "grad_norm": x}, loss and norm of the last step
///   {"op": "memory"}           {"peak_memory_bytes": n}, the peak since the last such line
final class StepLoop {
    private let task: any StepTask
    private let optimizer: AdamW
    private let precision: Precision

    init(_ task: any StepTask, dtype: String, threads: Int) throws {
        guard ["float32", "bfloat16"].contains(dtype) else { throw ProbeError("no dtype \(dtype)") }
        TorchRuntime.setThreadCount(threads)
        precision = dtype == "float32" ? .full : .mixedBFloat16
        self.task = task
        task.module.setRequiresGradient(true)
        optimizer = AdamW(task.module.parameters.map(\.tensor), learningRate: 0, weightDecay: 0)
    }

    func serve() {
        send(["operations": ["step", "memory"]])
        ettin_probe.serve(answer)
    }

    private func step(_ batch: StepBatch, _ rate: Double) throws -> (loss: Double, norm: Double) {
        let loss = try batch(DropoutContext(step: optimizer.state.stepCount), precision)
        return try withRecovery {
            let norm = optimizer.gradientNorms().l2
            if norm > 1 { optimizer.scaleGradients(by: 1 / (norm + 1e-6)) }
            optimizer.learningRate = rate
            optimizer.step()
            optimizer.clearGradients()
            return (loss, norm)
        }
    }

    private func answer(_ request: JSONValue) throws -> JSONValue {
        switch request["op"]?.stringValue {
        case "step":
            let batch = try task.batch(request)
            var seconds: [JSONValue] = []
            var last = (loss: 0.0, norm: 0.0)
            for _ in 0..<(request["repeat"]?.intValue ?? 1) {
                let begin = ContinuousClock.now
                last = try step(batch, request["learning_rate"]?.doubleValue ?? 0)
                seconds.append(JSONValue((ContinuousClock.now - begin) / .seconds(1)))
            }
            return ["seconds": .array(seconds), "loss": JSONValue(last.loss), "grad_norm": JSONValue(last.norm)]
        case "memory":
            defer { PeakMemory.reset() }
            return ["peak_memory_bytes": JSONValue(PeakMemory.bytes)]
        default: throw ProbeError("unknown operation; see the head of Interop/Probe/FineTuning/Steps.swift")
        }
    }
}

/// Adds the gradients of a batch to those of the parameters, and gives its loss.
typealias StepBatch = (DropoutContext, Precision) throws -> Double

/// A model with a loss.
protocol StepTask {
    var module: Module { get }

    /// Reads a batch of a request.
    func batch(_ request: JSONValue) throws -> StepBatch
}

/// The token ids of a column.
func tokenIDs(_ column: JSONValue?) -> [[Int32]] {
    (column?.arrayValue ?? []).map { text in (text.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) } }
}

/// CachedMultipleNegativesRankingLoss, by "mini_batch_size" or "mini_batch_num_tokens"; with neither in one pass.
private struct ContrastiveTask: StepTask {
    private let model: EmbeddingModel

    init(folder: String) throws { model = try EmbeddingModel.loadForTraining(folder: folder) }

    var module: Module { model }

    func batch(_ request: JSONValue) throws -> StepBatch {
        var loss = MultipleNegativesRankingLoss()
        let rows = request["mini_batch_size"]?.intValue
        let tokens = request["mini_batch_num_tokens"]?.intValue
        if rows != nil || tokens != nil { loss.cache = GradientCacheSettings(rows: rows ?? 32, tokens: tokens) }
        let objective = EmbeddingObjective(loss)
        let batch = PreparedLossBatch(
            columns: (request["columns"]?.arrayValue ?? []).map { tokenIDs($0).map { PreparedText($0) } }
        )
        return { try objective.backward(model, batch, dropout: $0, precision: $1) }
    }
}

/// SpladeLoss of SparseMultipleNegativesRankingLoss with the default weights.
private struct SparseTask: StepTask {
    private let model: SparseModel
    private let objective: SparseObjective

    init(folder: String) throws {
        model = try SparseModel.loadForTraining(folder: folder)
        objective = try SparseLosses.make(nil)
    }

    var module: Module { model }

    func batch(_ request: JSONValue) throws -> StepBatch {
        let batch = PreparedLossBatch(
            columns: (request["columns"]?.arrayValue ?? []).map { tokenIDs($0).map { PreparedText($0) } }
        )
        return { try objective.backward(model, batch, factor: 1, dropout: $0, precision: $1).total }
    }
}

/// BinaryCrossEntropyLoss of one column of pairs, by "labels".
private struct RerankerTask: StepTask {
    private let model: RerankerModel

    init(folder: String) throws { model = try RerankerModel(folder: folder) }

    var module: Module { model }

    func batch(_ request: JSONValue) throws -> StepBatch {
        let columns = [tokenIDs(request["columns"]?[0]).map { PreparedText($0) }]
        let labels = LossLabels(.real, (request["labels"]?.arrayValue ?? []).compactMap(\.doubleValue))
        let loss = BinaryCrossEntropyLoss()
        return { dropout, precision in
            try model.backward(columns, cache: nil, weight: 1, dropout: dropout, precision: precision) { scores in
                try loss.backward(RerankerLossBatch(scores: scores, labels: labels), weight: 1)
            }
        }
    }
}

/// What can be asked for by name.
private enum StepTasks: String, CaseIterable {
    case contrastive
    case sparse
    case reranker

    func load(_ folder: String) throws -> any StepTask {
        switch self {
        case .contrastive: try ContrastiveTask(folder: folder)
        case .sparse: try SparseTask(folder: folder)
        case .reranker: try RerankerTask(folder: folder)
        }
    }
}

func runSteps(_ arguments: [String]) throws {
    guard arguments.count == 4, let task = StepTasks(rawValue: arguments[0]), let threads = Int(arguments[3]), threads > 0
    else {
        let names = StepTasks.allCases.map(\.rawValue).joined(separator: "|")
        endWithUsage("usage: ettin-probe bench-finetune \(names) FOLDER float32|bfloat16 THREADS")
    }
    try StepLoop(task.load(arguments[1]), dtype: arguments[2], threads: threads).serve()
}
