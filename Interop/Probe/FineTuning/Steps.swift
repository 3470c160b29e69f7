import EttinFineTuning
import EttinInference
import EttinJSON
import EttinModel
import EttinTokenizer
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
        task.prepare()
        optimizer = AdamW(task.module.trainedParameters.map(\.tensor), learningRate: 0, weightDecay: 0)
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

    /// Says which parameters stay as they are.
    func prepare()

    /// Reads a batch of a request.
    func batch(_ request: JSONValue) throws -> StepBatch
}

extension StepTask {
    func prepare() {}
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

/// Cross-entropy of one column of texts, by "labels".
private struct ClassifierTask: StepTask {
    private let model: SequenceClassificationModel

    init(folder: String) throws { model = try SequenceClassificationModel.loadForTraining(folder: folder) }

    var module: Module { model }

    func batch(_ request: JSONValue) throws -> StepBatch {
        let batch = PackedBatch(tokenIDs(request["columns"]?[0]))
        let labels = (request["labels"]?.arrayValue ?? []).compactMap(\.doubleValue)
        let objective = ClassifierObjective(problem: .singleLabelClassification)
        return { dropout, precision in
            try withRecovery {
                try objective(model(batch, training: dropout, precision: precision), labels).addGradients(weight: 1)
            }
        }
    }
}

/// Distillation from a teacher's scores: queries, then the documents of all queries, "labels" for those of each query;
/// "query_length" and "document_length" are those that the original pads to.
private struct ColBERTTask: StepTask {
    private let model: MultiVectorModel
    /// The token that expands queries.
    private let fill: Int32

    init(folder: String) throws {
        let model = try MultiVectorModel(folder: folder, dtype: .float32)
        try withRecovery { model.copyBorrowedParameters() }
        self.model = model
        let pipeline = try LateInteractionPipeline(training: model, tokenizer: Tokenizer(folder: folder))
        fill = try pipeline.preparer.prepare(["a"], as: .query).last?.tokenIDs.last ?? 0
    }

    var module: Module { model }

    func batch(_ request: JSONValue) throws -> StepBatch {
        guard let queryLength = request["query_length"]?.intValue,
            let documentLength = request["document_length"]?.intValue
        else { throw ProbeError("no query_length or document_length") }
        let queries = tokenIDs(request["columns"]?[0]).map { ids in
            let missing = max(0, queryLength - ids.count)
            let expanded = ids + [Int32](repeating: fill, count: missing)
            return PreparedText(expanded, task: TextRole.query.rawValue, unattendedTokenCount: missing)
        }
        let documents = tokenIDs(request["columns"]?[1]).map { PreparedText($0, task: TextRole.document.rawValue) }
        let scores = (request["labels"]?.arrayValue ?? []).map { ($0.arrayValue ?? []).compactMap(\.doubleValue) }
        let labels = LossLabels(.list(count: scores.first?.count ?? 0), scores.flatMap(\.self))
        let loss = DistillationLoss()
        func tokenRows(_ texts: [PreparedText], _ rows: Tensor) -> TokenRows {
            let counts = texts.map(model.rowCount(of:))
            return TokenRows(
                rows,
                starts: counts.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32($1)) },
                competesWithZero: counts.map { $0 < documentLength }
            )
        }
        return { dropout, precision in
            try model.backward([queries, documents], cache: nil, weight: 1, dropout: dropout, precision: precision) {
                rows in
                let columns = [tokenRows(queries, rows[0]), tokenRows(documents, rows[1])]
                return try loss.backward(MultiVectorBatch(columns: columns, labels: labels), weight: 1)
            }
        }
    }
}

/// The mean loss of the next tokens of packed rows, of all weights or of adapters on the projections.
private struct SFTTask: StepTask {
    private let model: LanguageModel
    private let adapters: AttachedLoRA?

    init(folder: String, usesAdapters: Bool) throws {
        model = try LanguageModel.loadForTraining(folder: folder)
        guard usesAdapters else {
            adapters = nil
            return
        }
        var configuration = LoRAConfiguration(targets: LoRAConfiguration.defaultTargets(of: .decoder))
        (configuration.rank, configuration.alpha) = (16, 32)
        adapters = try AttachedLoRA(configuration, to: model, seed: 1)
        // As original.py has them.
        for (key, tensor) in model.parameters where key.hasSuffix(".A") {
            let last = Float(tensor.elementCount - 1)
            let values = (0..<tensor.elementCount).map { 0.1 * Float($0) / last - 0.05 }
            withoutGradients { tensor.assign(Tensor(values, shape: tensor.shape)) }
        }
    }

    var module: Module { model }

    func prepare() { adapters?.freeze(model) }

    func batch(_ request: JSONValue) throws -> StepBatch {
        let parts = tokenIDs(request["columns"]?[0])
        let batch = PackedBatch(parts)
        let targets = parts.flatMap { $0.dropFirst() }.map(Int64.init)
        let places = (0..<parts.count).flatMap { batch.range(of: $0).dropLast() }.map(Int64.init)
        return { dropout, precision in
            try withRecovery {
                let (sum, _, _) = model.summedLoss(
                    batch,
                    targets: targets,
                    at: places,
                    training: dropout,
                    precision: precision
                )
                let loss = sum * (1 / Double(places.count))
                loss.backward()
                return try loss.scalar()
            }
        }
    }
}

/// What can be asked for by name.
private enum StepTasks: String, CaseIterable {
    case contrastive
    case colBERT = "colbert"
    case sparse
    case reranker
    case sft
    case sftLoRA = "sft-lora"
    case classifier

    func load(_ folder: String) throws -> any StepTask {
        switch self {
        case .contrastive: try ContrastiveTask(folder: folder)
        case .colBERT: try ColBERTTask(folder: folder)
        case .sparse: try SparseTask(folder: folder)
        case .reranker: try RerankerTask(folder: folder)
        case .sft, .sftLoRA: try SFTTask(folder: folder, usesAdapters: self == .sftLoRA)
        case .classifier: try ClassifierTask(folder: folder)
        }
    }
}

func runSteps(_ arguments: [String]) throws {
    guard arguments.count == 4, let task = StepTasks(rawValue: arguments[0]), let threads = Int(arguments[3]),
        threads > 0
    else {
        let names = StepTasks.allCases.map(\.rawValue).joined(separator: "|")
        endWithUsage("usage: ettin-probe bench-finetune \(names) FOLDER float32|bfloat16 THREADS")
    }
    try StepLoop(task.load(arguments[1]), dtype: arguments[2], threads: threads).serve()
}
