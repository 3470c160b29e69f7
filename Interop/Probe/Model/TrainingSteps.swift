import EttinJSON
import EttinModel
import Torch

/// Training steps on request, one line of JSON each way.
///
/// The requests are those of Benchmarks/compare:
///
///   {"op": "train_step", "objective": "mlm"|"clm", "sequences": [[ids]], "labels": [[ids]], "repeat": n}
///                              {"seconds": […], "losses": […]}; labels of "clm" are shifted here
///   {"op": "memory"}           {"peak_memory_bytes": n}, the peak since the last such line
///   {"op": "save", "path": p}  {}; the parameters by their checkpoint names
final class TrainingLoop {
    private let model: LanguageModel
    private let optimizer: AdamW
    private let precision: Precision

    init(folder: String, precision: Precision) throws {
        model = try LanguageModel.loadForTraining(folder: folder)
        model.setRequiresGradient(true)
        optimizer = AdamW(model.parameters.map(\.tensor), learningRate: 1e-4)
        self.precision = precision
    }

    /// - Returns: The loss before the step.
    func step(_ batch: PackedBatch, labels: [Int32]) throws -> Double {
        try withRecovery {
            let loss = model.loss(
                batch,
                labels: labels,
                training: DropoutContext(step: optimizer.state.stepCount),
                precision: precision
            ).loss
            loss.backward()
            optimizer.step()
            optimizer.clearGradients()
            return try loss.scalar()
        }
    }

    func serve() {
        send(["operations": ["train_step", "memory", "save"]])
        ettin_probe.serve(answer)
    }

    private func answer(_ request: JSONValue) throws -> JSONValue {
        switch request["op"]?.stringValue {
        case "train_step":
            let sequences = rows(request, "sequences")
            var labels = rows(request, "labels")
            guard sequences.map(\.count) == labels.map(\.count) else {
                throw ProbeError("\"labels\" has not one label for each id of \"sequences\"")
            }
            if request["objective"]?.stringValue == "clm" { labels = labels.map { $0.dropFirst() + [-100] } }
            var (seconds, losses): ([JSONValue], [JSONValue]) = ([], [])
            for _ in 0..<(request["repeat"]?.intValue ?? 1) {
                let begin = ContinuousClock.now
                let loss = try step(PackedBatch(sequences), labels: labels.flatMap { $0 })
                seconds.append(JSONValue((ContinuousClock.now - begin) / .seconds(1)))
                losses.append(JSONValue(loss))
            }
            return ["seconds": .array(seconds), "losses": .array(losses)]
        case "memory":
            defer { PeakMemory.reset() }
            return ["peak_memory_bytes": JSONValue(PeakMemory.bytes)]
        case "save":
            guard let path = request["path"]?.stringValue else { throw ProbeError("no \"path\"") }
            try write(model.checkpointState.map { ($0.key, $0.tensor.detached()) }, path)
            return [:]
        default: throw ProbeError("unknown operation; see the head of Interop/Probe/Model/TrainingSteps.swift")
        }
    }

    private func rows(_ request: JSONValue, _ key: String) -> [[Int32]] {
        request[key]?.arrayValue?.map { $0.arrayValue?.compactMap(\.intValue).map(Int32.init) ?? [] } ?? []
    }
}
