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
    /// What evaluations have made of the rate; nil for schedules that do not heed them.
    private(set) var plateau: PlateauState?

    init(
        schedule: LearningRateSchedule,
        maximum: TrainingTime,
        base: Double,
        reference: Double,
        isLiteral: Bool,
        next: Double?,
        plateau: PlateauState? = nil
    ) {
        self.schedule = schedule
        self.maximum = maximum
        self.base = base
        self.reference = reference
        self.isLiteral = isLiteral
        self.next = isLiteral ? next : nil
        if reduction != nil { self.plateau = plateau ?? PlateauState(rate: base) }
    }

    private var reduction: PlateauReduction? {
        guard case .transformers(let schedule) = schedule, case .plateau(let reduction) = schedule.shape else {
            return nil
        }
        return reduction
    }

    /// The rate of the step that begins at a time.
    func rate(at clock: TrainingClock) -> Double {
        next ?? (plateau?.rate ?? base) * schedule.multiplier(at: clock, maximum: maximum)
    }

    /// Notes that the step which began at `before` is done.
    func advance(from before: TrainingClock) {
        if isLiteral { next = base * schedule.multiplier(at: before, maximum: maximum) }
    }

    /// Takes the metric of an evaluation into account, where the schedule heeds it.
    func take(metric: Double) {
        guard let reduction else { return }
        plateau?.take(metric, reduction)
    }
}
