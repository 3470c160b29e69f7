import EttinTraining

/// Data sets as batches of token ids.
struct FineTuningBatches {
    /// The data sets.
    let sets: [any TrainingRows]
    /// What makes batches of their rows.
    let sampling: BatchSampling
    private let subject: any FineTuningSubject
    private let dropsLast: Bool

    /// Takes data sets.
    ///
    /// - Parameters:
    ///   - sets: The data sets.
    ///   - subject: What reads their rows.
    ///   - options: How rows make batches.
    ///   - isSingle: Whether there is one data set, whose name does not count; nil for one without a name.
    /// - Throws: `TrainingError` for data that makes no batch; what reading it throws.
    init(
        _ sets: [any TrainingRows],
        _ subject: any FineTuningSubject,
        _ options: BatchSampling.Options,
        isSingle: Bool? = nil
    ) throws {
        self.sets = sets
        self.subject = subject
        dropsLast = options.dropsLast
        sampling = try BatchSampling(
            sets,
            isSingle: isSingle ?? (sets.count == 1 && sets[0].dataset == nil),
            options: options
        )
    }

    /// The number of rows.
    var rowCount: Int { sets.reduce(0) { $0 + $1.rowCount } }

    /// The number of batches of the only data set in the order of its rows.
    func orderedCount(_ size: Int) -> Int { dropsLast ? rowCount / size : (rowCount + size - 1) / size }

    /// A batch of the only data set in the order of its rows.
    func ordered(_ number: Int, _ size: Int) -> EpochBatch {
        EpochBatch(dataset: 0, rows: Array(number * size..<min(rowCount, (number + 1) * size)))
    }

    /// Reads the rows of a batch.
    ///
    /// - Parameters:
    ///   - batch: The rows.
    ///   - step: The number of the batch, from 0.
    /// - Returns: The batch.
    /// - Throws: `TrainingError` naming file and row for an invalid text or label; what reading throws.
    func prepared(_ batch: EpochBatch, step: Int) throws -> PreparedLossBatch {
        try subject.prepared(batch.rows, of: sets[batch.dataset], step: step)
    }
}
