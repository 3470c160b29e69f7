import EttinTraining

/// The learning rate of each step, and the rates that it and weight decay refer to.
final class LearningRates {
    let schedule: LearningRateSchedule
    let maximum: TrainingTime
    /// What the schedule multiplies.
    let base: Double
    /// What decoupled weight decay refers to.
    let reference: Double
    private let isLiteral: Bool
    /// The rate of the next step where it is determined with the last one, as in the training code, which evaluates the
    /// schedule at the end of a batch before the batch is counted.
    private(set) var next: Double?

    init(
        schedule: LearningRateSchedule,
        maximum: TrainingTime,
        base: Double,
        reference: Double,
        isLiteral: Bool,
        next: Double?
    ) {
        self.schedule = schedule
        self.maximum = maximum
        self.base = base
        self.reference = reference
        self.isLiteral = isLiteral
        self.next = isLiteral ? next : nil
    }

    /// The rate of the step that begins at a time.
    func rate(at clock: TrainingClock) -> Double {
        next ?? base * schedule.multiplier(at: clock, maximum: maximum)
    }

    /// Notes that the step which began at `before` is done.
    func advance(from before: TrainingClock) {
        if isLiteral { next = base * schedule.multiplier(at: before, maximum: maximum) }
    }
}

/// How long a run is, with passes over the data counted in batches.
struct RunLength {
    let maximum: TrainingTime
    let schedule: LearningRateSchedule
    private let batchesPerEpoch: Int?

    /// - Throws: `TrainingError` when the recipe counts in passes over data that has none, or its schedule does not fit.
    init(_ recipe: PretrainingRecipe, batchesPerEpoch: Int?) throws {
        self.batchesPerEpoch = batchesPerEpoch
        if recipe.maxDuration.unit == .epoch, batchesPerEpoch == nil {
            throw TrainingError(
                .invalidOption,
                "max_duration",
                found: "is \(recipe.maxDuration) of a data order, which has no passes",
                expected: "a length in ba or tok"
            )
        }
        let count = batchesPerEpoch ?? 1
        maximum = recipe.maxDuration.counted(batchesPerEpoch: count)
        schedule = recipe.schedule.counted(batchesPerEpoch: count)
        try schedule.check(maximum: maximum)
    }

    /// An interval in a unit that the clock counts finely enough, and as a span of this run.
    func counted(_ interval: TrainingTime) -> TrainingTime {
        interval.resolved(in: maximum).counted(batchesPerEpoch: batchesPerEpoch ?? 1)
    }
}
