import EttinFineTuning
import EttinInference
import EttinJSON
import EttinModel
import Torch

/// Steps of cached contrastive training on request, one line of JSON each way: `bench-contrastive FOLDER DTYPE THREADS`.
///
/// DTYPE is float32 or bfloat16. The requests are those of Benchmarks/finetune:
///
///   {"op": "step", "columns": [[[ids]]], "mini_batch_size": m, "learning_rate": r, "repeat": n}
///                              {"seconds": […], "loss": x, "grad_norm": x}, loss and norm of the last step; in place of
///                              "mini_batch_size" there may be "mini_batch_num_tokens", or neither for one pass
///   {"op": "memory"}           {"peak_memory_bytes": n}, the peak since the last such line
final class ContrastiveLoop {
    private let model: EmbeddingModel
    private let optimizer: AdamW
    private let precision: Precision

    init(folder: String, dtype: String, threads: Int) throws {
        guard ["float32", "bfloat16"].contains(dtype) else { throw ProbeError("no dtype \(dtype)") }
        TorchRuntime.setThreadCount(threads)
        precision = dtype == "float32" ? .full : .mixedBFloat16
        model = try EmbeddingModel.loadForTraining(folder: folder)
        model.setRequiresGradient(true)
        optimizer = AdamW(model.parameters.map(\.tensor), learningRate: 0, weightDecay: 0)
    }

    func serve() {
        send(["operations": ["step", "memory"]])
        ettin_probe.serve(answer)
    }

    private func step(_ batch: PreparedLossBatch, _ objective: EmbeddingObjective, _ rate: Double) throws -> (
        loss: Double, norm: Double
    ) {
        let context = DropoutContext(step: optimizer.state.stepCount)
        let loss = try objective.backward(model, batch, dropout: context, precision: precision)
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
            let columns = (request["columns"]?.arrayValue ?? []).map { column in
                (column.arrayValue ?? []).map { text in
                    PreparedText((text.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) })
                }
            }
            var loss = MultipleNegativesRankingLoss()
            let rows = request["mini_batch_size"]?.intValue
            let tokens = request["mini_batch_num_tokens"]?.intValue
            if rows != nil || tokens != nil { loss.cache = GradientCacheSettings(rows: rows ?? 32, tokens: tokens) }
            let objective = EmbeddingObjective(loss)
            let batch = PreparedLossBatch(columns: columns)
            var seconds: [JSONValue] = []
            var last = (loss: 0.0, norm: 0.0)
            for _ in 0..<(request["repeat"]?.intValue ?? 1) {
                let begin = ContinuousClock.now
                last = try step(batch, objective, request["learning_rate"]?.doubleValue ?? 0)
                seconds.append(JSONValue((ContinuousClock.now - begin) / .seconds(1)))
            }
            return ["seconds": .array(seconds), "loss": JSONValue(last.loss), "grad_norm": JSONValue(last.norm)]
        case "memory":
            defer { PeakMemory.reset() }
            return ["peak_memory_bytes": JSONValue(PeakMemory.bytes)]
        default: throw ProbeError("unknown operation; see the head of Interop/Probe/FineTuning/Contrastive.swift")
        }
    }
}

func runContrastive(_ arguments: [String]) throws {
    guard arguments.count == 3, let threads = Int(arguments[2]), threads > 0 else {
        endWithUsage("usage: ettin-probe bench-contrastive FOLDER float32|bfloat16 THREADS")
    }
    try ContrastiveLoop(folder: arguments[0], dtype: arguments[1], threads: threads).serve()
}
