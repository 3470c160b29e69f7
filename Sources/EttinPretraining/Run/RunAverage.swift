import EttinConversion
import EttinFiles
import EttinModel
import EttinTraining
import Torch

/// The averages of weights that a recipe asks for.
final class RunAverage {
    private static let prefix = "average."

    private let averaging: CheckpointAveraging
    private let exponential: ExponentialAverage?

    /// - Parameters:
    ///   - averaging: What the recipe asks for; nil gives nil.
    ///   - model: The model whose weights are averaged.
    ///   - stored: Tensors of the checkpoint that the run goes on from, the average's among them.
    /// - Throws: `TrainingError` when a stored average does not fit.
    init?(_ averaging: CheckpointAveraging?, model: LanguageModel, stored: StateDictionary) throws {
        guard let averaging else { return nil }
        self.averaging = averaging
        guard case .ema(let settings) = averaging else {
            exponential = nil
            return
        }
        let average = try ExponentialAverage(model.parameters, smoothing: settings.smoothing)
        let saved = stored.filter { $0.key.hasPrefix(Self.prefix) }
        if !saved.isEmpty {
            try average.restore(saved.map { (String($0.key.dropFirst(Self.prefix.count)), $0.tensor) })
        }
        exponential = average
    }

    /// Counts the weights after a step in, if the average is due.
    func update(_ model: LanguageModel, at clock: TrainingClock, since before: TrainingClock, length: RunLength) {
        guard case .ema(let settings) = averaging, let exponential else { return }
        let start = length.counted(settings.start)
        guard clock.count(in: start.unit) > start.value || start.value == 0 else {
            // Until then the average is the model itself.
            return Tensor.average(exponential.state.map(\.tensor), toward: model.parameters.map(\.tensor), keeping: 0)
        }
        if clock.crosses(length.counted(settings.updateInterval), since: before) {
            exponential.update(from: model.parameters)
        }
    }

    /// The tensors that a run which goes on needs.
    var state: StateDictionary { exponential?.state.map { (Self.prefix + $0.key, $0.tensor) } ?? [] }

    /// Writes the average beside the checkpoints: `ema`, or `average`.
    ///
    /// - Throws: `TrainingError` or `CheckpointError` when it cannot be written.
    func write(of run: PretrainingRun) throws {
        switch averaging {
        case .ema:
            let path = FilePath.joined(run.folder.path, "ema")
            try replacing(path) { folder in
                try exponential?.withAverages(in: run.model) {
                    try run.write(run.model, average: "exponential moving average", toFolder: folder)
                }
            }
        case .lastCheckpoints(let count):
            let newest = try run.store.entries().suffix(count)
            guard newest.count > 1 else { return }
            let path = FilePath.joined(run.folder.path, "average")
            if FilePath.kind(of: path) == .folder { try TrainingError.translating { try FilePath.removeFolder(path) } }
            try CheckpointAverage(newest.map(\.path)).write(toFolder: path)
        }
    }

    private func replacing(_ path: String, _ write: (String) throws -> Void) throws {
        try TrainingError.translating {
            if FilePath.kind(of: path) == .folder { try FilePath.removeFolder(path) }
            let output = try AtomicFolder(path: path)
            try write(output.temporaryPath)
            try output.commit()
        }
    }
}
