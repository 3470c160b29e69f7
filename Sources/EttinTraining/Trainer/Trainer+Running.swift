/// How a run ended.
public enum TrainingOutcome: Hashable, Sendable {
    /// The run reached its length.
    case finished
    /// The run was asked to stop, and saved a checkpoint.
    case interrupted
}

extension Trainer {
    /// Trains until the run reaches its length, or it is asked to stop.
    ///
    /// - Parameter shouldGoOn: Asked between steps; when it says no, a checkpoint is saved and the run ends.
    /// - Returns: How it ended.
    /// - Throws: `TrainingError` when a loss is NaN or infinite, and what reading data, evaluating and saving
    ///   throw. The state before a step that diverges or whose batch cannot be read is saved, and so is that
    ///   of an evaluation that fails; the checkpoints that are complete stay in any case.
    public func run(while shouldGoOn: () -> Bool = { true }) throws -> TrainingOutcome {
        try Self.runTogether([self], while: shouldGoOn)
    }

    /// Trains several models on the batches of the first one's task, all of them a step on each.
    ///
    /// They are saved at the same batches, so the clock of the first decides, even on seconds.
    ///
    /// - Parameters:
    ///   - trainers: The runs, of the same length and intervals.
    ///   - shouldGoOn: Asked between steps; when it says no, checkpoints are saved and the runs end.
    /// - Returns: How they ended.
    /// - Throws: As ``run(while:)``.
    package static func runTogether(
        _ trainers: [Trainer],
        while shouldGoOn: () -> Bool
    ) throws -> TrainingOutcome {
        let lead = trainers[0]
        for trainer in trainers { try trainer.open() }
        for trainer in trainers where trainer.evaluatesFirst { try trainer.evaluateFirst() }
        while !lead.isFinished {
            guard shouldGoOn() else {
                try save(trainers)
                return .interrupted
            }
            let before = trainers.map(\.clock)
            let begin = ContinuousClock.now
            let batch = try nextBatch(for: trainers)
            var waited = (ContinuousClock.now - begin) / .seconds(1)
            for trainer in trainers {
                try trainer.train(on: batch, waited: waited, among: trainers)
                waited = 0
            }
            var isSaved = lead.saves(since: before[0])
            for (trainer, clock) in zip(trainers, before) where trainer.evaluates(since: clock) {
                if try trainer.evaluate(among: trainers), trainer.savesBest { isSaved = true }
            }
            if isSaved { try save(trainers) }
        }
        for trainer in trainers { try trainer.finish() }
        return .finished
    }

    /// Whether an interval ended with the last batch.
    func ends(_ interval: TrainingTime?, since before: TrainingClock) -> Bool {
        settings.length.ends(interval, at: clock, since: before)
    }

    // All are saved before any old checkpoint goes: there is always one that all have.
    private static func save(_ trainers: [Trainer]) throws {
        for trainer in trainers { try trainer.save() }
        for trainer in trainers { try trainer.prune() }
    }

    private static func nextBatch(for trainers: [Trainer]) throws -> Task.Batch {
        do {
            return try trainers[0].task.nextBatch()
        } catch {
            if trainers[0].clock.batch > 0 { try save(trainers) }
            throw error
        }
    }

    /// Evaluates before the first step, or anew where an earlier process failed at it.
    private func evaluateFirst() throws {
        if try evaluate(), savesBest { try Self.save([self]) }
    }

    /// Evaluates; where that fails, what was trained is saved first.
    private func evaluate(among trainers: [Trainer]) throws -> Bool {
        do {
            return try evaluate()
        } catch {
            try Self.save(trainers)
            throw error
        }
    }

    private func train(on batch: Task.Batch, waited: Double, among trainers: [Trainer]) throws {
        let number = clock.batch + 1
        do {
            try train(on: batch, waited: waited)
        } catch let error as TrainingError where error.kind == .diverged {
            throw TrainingError(
                .diverged,
                "\(task.name), batch \(number): \(error.place)",
                found: "\(error.found); \(try saved(insteadOf: number, among: trainers))",
                expected: error.expected
            )
        }
    }

    /// Saves the runs that have not taken a step at which this one diverged, and says so.
    private func saved(insteadOf batch: Int, among trainers: [Trainer]) throws -> String {
        guard try hasFiniteWeights() else {
            let newest = try store.newest().map { "the newest checkpoint is \($0.path)" }
            return "the weights before it are NaN or infinite too, and " + (newest ?? "there is no checkpoint")
        }
        for trainer in trainers where trainer.clock.batch < batch { try trainer.save() }
        return "the state before it is saved in \(store.path(batch: batch - 1))"
    }
}
