import EttinFiles
import Torch

/// The moving average of a run's weights: when it is updated, what checkpoints hold of it, where it is written.
final class WeightAverage {
    private static let prefix = "average."

    private let settings: ExponentialAveraging
    private let average: ExponentialAverage
    private let length: RunLength

    /// - Parameters:
    ///   - settings: When to average.
    ///   - model: The model whose weights are averaged.
    ///   - length: How long the run is.
    ///   - stored: Tensors of the checkpoint that is resumed, the average's among them.
    /// - Throws: `TrainingError` when a stored average does not fit.
    init(_ settings: ExponentialAveraging, model: Module, length: RunLength, stored: StateDictionary) throws {
        self.settings = settings
        self.length = length
        average = try ExponentialAverage(model.parameters, smoothing: settings.smoothing)
        let saved = stored.filter { $0.key.hasPrefix(Self.prefix) }
        guard !saved.isEmpty else { return }
        try average.restore(saved.map { (String($0.key.dropFirst(Self.prefix.count)), $0.tensor) })
    }

    /// Counts the weights after a step in, if the average is due.
    func update(_ model: Module, at clock: TrainingClock, since before: TrainingClock) {
        let start = length.counted(settings.start)
        guard clock.count(in: start.unit) > start.value || start.value == 0 else {
            // Until then the average is the model itself.
            return Tensor.average(average.state.map(\.tensor), toward: model.parameters.map(\.tensor), keeping: 0)
        }
        if length.ends(settings.updateInterval, at: clock, since: before) { average.update(from: model.parameters) }
    }

    /// The tensors that a checkpoint holds.
    var state: StateDictionary { average.state.map { (Self.prefix + $0.key, $0.tensor) } }

    /// Writes the averaged model beside the checkpoints.
    ///
    /// - Throws: `TrainingError`, and what writing throws.
    func write(of model: Module, toFolder path: String, _ write: (String) throws -> Void) throws {
        try TrainingError.translating {
            if FilePath.kind(of: path) == .folder { try FilePath.removeFolder(path) }
            let output = try AtomicFolder(path: path)
            try average.withAverages(in: model) { try write(output.temporaryPath) }
            try output.commit()
        }
    }
}
