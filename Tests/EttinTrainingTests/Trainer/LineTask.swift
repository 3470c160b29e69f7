import EttinFiles
import EttinJSON
import EttinModel
import EttinTraining
import Torch

/// A model that pre-training does not know: a plane through points, with a part that is not trained.
final class Plane: Module {
    @Child("line") var line: Linear
    @Child("frozen") var frozen: Linear

    override init() {
        super.init()
        (line, frozen) = (Linear(2, 1, hasBias: true), Linear(2, 1, hasBias: false))
        for (_, reference) in parameterReferences { reference.tensor = .full(reference.tensor.shape, 0.5) }
        line.setRequiresGradient(true)
    }
}

/// Fits the plane `3x − 2y + 1`, which is all that a trainer is told of it.
final class LineTask: TrainingTask {
    let name = "line"
    let model: Module
    let runIdentity: [String: String]
    private let plane = Plane()
    private(set) var seen: Int
    /// What the squared error is multiplied by at a step, for those that are to fail.
    var factor: (Int) -> Double = { _ in 1 }

    init(resuming folder: String? = nil, state: JSONObject = [:], points: Int = 8) throws {
        (model, runIdentity) = (plane, ["points": "\(points)"])
        seen = state["seen"]?.intValue ?? 0
        guard let folder else { return }
        let file = try SafetensorsFile(path: FilePath.joined(folder, "model.safetensors"))
        try plane.load(try file.stateDictionary().map { ($0.key, $0.tensor.copy()) })
        plane.line.setRequiresGradient(true)
    }

    func nextBatch() -> [[Float]] {
        let random = Philox(seed: 7, stream: UInt64(seen % 10))
        return (0..<8).map { point in
            let (x, y) = (random.uniform(at: UInt64(2 * point)), random.uniform(at: UInt64(2 * point + 1)))
            return [x, y, 3 * x - 2 * y + 1]
        }
    }

    func size(of batch: [[Float]]) -> BatchSize {
        BatchSize(microbatches: 2, samples: batch.count, tokens: 3 * batch.count, nextEpoch: (seen + 1) / 10)
    }

    func loss(of microbatch: Int, in batch: [[Float]], at clock: TrainingClock) -> Tensor {
        let points = batch[(4 * microbatch)..<(4 * microbatch + 4)]
        let inputs = Tensor(points.flatMap { $0.prefix(2) }, shape: [4, 2])
        let error = plane.line(inputs) - Tensor(points.map { $0[2] }, shape: [4, 1])
        return (error * error).mean() * factor(clock.batch)
    }

    func didStep(on batch: [[Float]]) { seen += 1 }

    var state: JSONObject { ["seen": JSONValue(seen)] }

    func evaluate() throws -> [(key: String, value: Double)]? {
        [("eval/slope", Double(try plane.line.weight.detached().array(of: Float.self)[0]))]
    }

    func writeModel(average: String?, toFolder folder: String, _ run: RunProgress) throws {
        let tensors = model.parameters.map { TensorToWrite(name: $0.key, tensor: $0.tensor.detached()) }
        try SafetensorsWriter.write(tensors, to: FilePath.joined(folder, "model.safetensors"))
    }
}

extension LineTask {
    /// The settings of a run of 12 batches.
    static func settings(
        _ folder: String,
        _ change: (inout TrainerSettings) -> Void = { _ in }
    ) throws -> TrainerSettings {
        let length = try RunLength(
            TrainingTime(12, .batch),
            schedule: .constantWithWarmup(warmup: TrainingTime(2, .batch)),
            batchesPerEpoch: 10
        )
        let optimizer = OptimizerSettings(name: .adamW, learningRate: 0.1, weightDecay: 0.01)
        var settings = TrainerSettings(folder: folder, length: length, optimizer: optimizer)
        settings.evaluationInterval = TrainingTime(2, .batch)
        settings.saveInterval = TrainingTime(5, .batch)
        settings.averaging = ExponentialAveraging(smoothing: 0.5)
        settings.logging = LoggingSettings(tensorboard: false)
        change(&settings)
        return settings
    }

    /// Opens the run of a folder: a new one, or the one that is there.
    static func trainer(_ settings: TrainerSettings, points: Int = 8) throws -> Trainer<LineTask> {
        let store = CheckpointStore(folder: settings.folder, tag: settings.checkpointTag)
        guard let newest = try store.newest() else {
            return try Trainer(LineTask(points: points), settings, from: InitialTrainerState(settings.optimizer))
        }
        let start = try InitialTrainerState(resuming: newest, runIdentity: ["points": "\(points)"])
        return try Trainer(LineTask(resuming: newest.path, state: start.task, points: points), settings, from: start)
    }

    /// Trains some batches of a run.
    @discardableResult
    static func train(_ settings: TrainerSettings, batches: Int = .max) throws -> Trainer<LineTask> {
        let trainer = try trainer(settings)
        var count = 0
        _ = try trainer.run {
            count += 1
            return count <= batches
        }
        return trainer
    }
}
