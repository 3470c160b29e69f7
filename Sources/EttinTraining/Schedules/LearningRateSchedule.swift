#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How the learning rate changes over a run, as a factor of the optimizer's own.
///
/// With `t` the time, `w` the warm-up, `d` the decay, `T` the run's length and `α` the final factor:
///
/// | name | factor |
/// |---|---|
/// | `constant_with_warmup` | `t/w` up to `w`, then 1 |
/// | `linear_decay_with_warmup` | `t/w` up to `w`, then `1 + (α−1)·(t−w)/(T−w)` |
/// | `cosine_with_warmup` | `t/w` up to `w`, then `α + (1−α)·½(1+cos(π·(t−w)/(T−w)))` |
/// | `warmup_stable_decay` | `10⁻¹⁰ + (t/w)(1−10⁻¹⁰)` up to `w`, then 1, from `T−d` on `1 − (1−α)·(t−T+d)/d` |
/// | `one_minus_sqrt` | 1 up to `T−d`, then `α + (1−α)(1 − √((t−T+d)/d))` |
/// | `cosine_inverse_sqrt` | see ``CosineInverseSqrt`` |
///
/// A span may be in another unit than the run's length wherever the formula never subtracts the two; it is then compared
/// with the count in its own unit.
///
/// > Source: Composer's `optim/scheduler.py`; the suite's training code, `warmup_stable_decay`, `one_minus_sqrt` and
/// > `cosine_inverse_sqrt`.
public enum LearningRateSchedule: Hashable, Sendable {
    /// Rises to the full rate and stays there.
    case constantWithWarmup(warmup: TrainingTime)
    /// Rises, then falls along a line.
    case linearDecayWithWarmup(warmup: TrainingTime, finalFactor: Double)
    /// Rises, then falls along half a cosine.
    case cosineWithWarmup(warmup: TrainingTime, finalFactor: Double)
    /// Rises, stays, and falls along a line at the end.
    case warmupStableDecay(warmup: TrainingTime, decay: TrainingTime, finalFactor: Double)
    /// Stays, and falls along a square root at the end; `maximum` stands for the run's length.
    case oneMinusSqrt(decay: TrainingTime, maximum: TrainingTime, finalFactor: Double)
    /// Rises, falls along a quarter of a cosine and then with the inverse square root, and cools down.
    case cosineInverseSqrt(CosineInverseSqrt)
    /// As transformers schedules fine-tuning, counted in updates.
    case transformers(TransformersSchedule)

    /// The name in recipes, `scheduler.name`.
    package var name: String {
        switch self {
        case .constantWithWarmup: "constant_with_warmup"
        case .linearDecayWithWarmup: "linear_decay_with_warmup"
        case .cosineWithWarmup: "cosine_with_warmup"
        case .warmupStableDecay: "warmup_stable_decay"
        case .oneMinusSqrt: "one_minus_sqrt"
        case .cosineInverseSqrt: "cosine_inverse_sqrt"
        case .transformers(let schedule): schedule.name
        }
    }

    /// All names that recipes may use.
    package static let names = [
        "constant_with_warmup", "cosine_with_warmup", "linear_decay_with_warmup", "warmup_stable_decay",
        "cosine_inverse_sqrt", "one_minus_sqrt",
    ]

    /// The factor of the learning rate at a time.
    ///
    /// - Parameters:
    ///   - clock: The time.
    ///   - maximum: The length of the run, in any unit but durations.
    /// - Returns: The factor, 0 or more; 1 is the optimizer's own rate. After the end of the run, what the formula gives
    ///   there, which is the final factor where it has one.
    public func multiplier(at clock: TrainingClock, maximum: TrainingTime) -> Double {
        switch self {
        case .constantWithWarmup(let warmup):
            return rise(clock, warmup.resolved(in: maximum)) ?? 1
        case .linearDecayWithWarmup(let warmup, let final):
            let warmup = warmup.resolved(in: maximum)
            return rise(clock, warmup) ?? 1 + (final - 1) * fall(clock, after: warmup, maximum)
        case .cosineWithWarmup(let warmup, let final):
            let warmup = warmup.resolved(in: maximum)
            return rise(clock, warmup)
                ?? final + (1 - final) * 0.5 * (1 + cos(.pi * fall(clock, after: warmup, maximum)))
        case .warmupStableDecay(let warmup, let decay, let final):
            // Not zero at the start, in the original for the sake of optimizers that divide by the rate.
            let least = 1e-10
            if let factor = rise(clock, warmup.resolved(in: maximum)) { return least + factor * (1 - least) }
            guard let share = decayed(clock, decay.resolved(in: maximum), maximum) else { return 1 }
            return max(0, 1 - share * (1 - final))
        case .oneMinusSqrt(let decay, let end, let final):
            let end = end.resolved(in: maximum)
            guard let share = decayed(clock, decay.resolved(in: maximum), end) else { return 1 }
            return max(final, final + (1 - final) * (1 - share.squareRoot()))
        case .cosineInverseSqrt(let shape):
            return shape.multiplier(at: clock, maximum: maximum)
        case .transformers(let schedule): return schedule.factor(step: clock.batch)
        }
    }

    // The share of the warm-up that is over; nil after it.
    private func rise(_ clock: TrainingClock, _ warmup: TrainingTime) -> Double? {
        let now = clock.count(in: warmup.unit)
        return now < warmup.value ? now / warmup.value : nil
    }

    // The share of the time between warm-up and end that is over, at most 1.
    private func fall(_ clock: TrainingClock, after warmup: TrainingTime, _ maximum: TrainingTime) -> Double {
        guard maximum.value > warmup.value else { return 1 }
        return min(1, (clock.count(in: maximum.unit) - warmup.value) / (maximum.value - warmup.value))
    }

    // The share of the decay that is over; nil before it. Without a decay it is over at the end, where the originals
    // divide by zero.
    private func decayed(_ clock: TrainingClock, _ decay: TrainingTime, _ end: TrainingTime) -> Double? {
        let past = clock.count(in: end.unit) - (end.value - decay.value)
        guard past >= 0 else { return nil }
        return decay.value > 0 ? past / decay.value : 1
    }
}

// MARK: - Checks

extension LearningRateSchedule {
    /// Checks that the spans fit each other and the run.
    ///
    /// - Parameters:
    ///   - maximum: The length of the run, in any unit but durations.
    ///   - key: The key of the schedule in the recipe, for messages.
    /// - Throws: `TrainingError` naming the keys that contradict each other.
    package func check(maximum: TrainingTime, key: String = "scheduler") throws {
        let check = ScheduleCheck(maximum: maximum, key: key)
        switch self {
        case .constantWithWarmup(let warmup):
            try check.fits([("t_warmup", warmup)])
        case .linearDecayWithWarmup(let warmup, let final), .cosineWithWarmup(let warmup, let final):
            try check.factor("alpha_f", final)
            try check.sameUnit("t_warmup", warmup)
            try check.fits([("t_warmup", warmup)])
        case .warmupStableDecay(let warmup, let decay, let final):
            try check.factor("alpha_f", final)
            try check.sameUnit("t_decay", decay)
            try check.fits([("t_warmup", warmup), ("t_decay", decay)])
        case .oneMinusSqrt(let decay, let end, let final):
            try check.factor("alpha_f", final)
            try check.sameUnit("t_max", end)
            try check.sameUnit("t_decay", decay)
            let end = end.resolved(in: maximum)
            try ScheduleCheck(maximum: end, key: key, maximumKey: "\(key).t_max")
                .fits([("t_decay", decay.resolved(in: maximum))])
        case .cosineInverseSqrt(let shape):
            try shape.check(check)
        case .transformers: break
        }
    }

    /// The same schedule with spans of passes over the data counted in batches.
    ///
    /// A clock counts whole passes only, on which a rate would stand still.
    ///
    /// - Parameter batchesPerEpoch: The number of global batches of a pass.
    /// - Returns: A schedule without passes; the run's length is to be counted in the same way.
    package func counted(batchesPerEpoch: Int) -> LearningRateSchedule {
        func counted(_ time: TrainingTime) -> TrainingTime { time.counted(batchesPerEpoch: batchesPerEpoch) }
        switch self {
        case .constantWithWarmup(let warmup):
            return .constantWithWarmup(warmup: counted(warmup))
        case .linearDecayWithWarmup(let warmup, let final):
            return .linearDecayWithWarmup(warmup: counted(warmup), finalFactor: final)
        case .cosineWithWarmup(let warmup, let final):
            return .cosineWithWarmup(warmup: counted(warmup), finalFactor: final)
        case .warmupStableDecay(let warmup, let decay, let final):
            return .warmupStableDecay(warmup: counted(warmup), decay: counted(decay), finalFactor: final)
        case .oneMinusSqrt(let decay, let end, let final):
            return .oneMinusSqrt(decay: counted(decay), maximum: counted(end), finalFactor: final)
        case .cosineInverseSqrt(var shape):
            shape.warmup = counted(shape.warmup)
            shape.cosine = counted(shape.cosine)
            shape.cooldown = counted(shape.cooldown)
            return .cosineInverseSqrt(shape)
        case .transformers: return self
        }
    }
}

extension TrainingTime {
    /// A span of passes over the data, counted in batches; any other as it is.
    ///
    /// - Parameter batchesPerEpoch: The number of global batches of a pass.
    /// - Returns: A span that is not in epochs.
    package func counted(batchesPerEpoch: Int) -> TrainingTime {
        unit == .epoch ? TrainingTime(value * Double(batchesPerEpoch), .batch) : self
    }
}

/// Names in a message what contradicts what.
struct ScheduleCheck {
    let maximum: TrainingTime
    let key: String
    var maximumKey = "max_duration"

    func factor(_ name: String, _ value: Double) throws {
        guard value >= 0, value <= 1 else {
            throw TrainingError(
                .invalidOption,
                "\(key).\(name)",
                found: "is \(value)",
                expected: "a factor from 0 to 1"
            )
        }
    }

    func sameUnit(_ name: String, _ time: TrainingTime) throws {
        let unit = time.resolved(in: maximum).unit
        guard unit == maximum.unit else {
            throw TrainingError(
                .invalidOption,
                "\(key).\(name)",
                found: "is \(time), but \(maximumKey) is \(maximum)",
                expected: "both in one unit, or \(name) in dur"
            )
        }
    }

    /// That spans which follow one another are no longer than the run; spans in other units cannot be compared with it.
    func fits(_ spans: [(name: String, time: TrainingTime)]) throws {
        let comparable = spans.map { (name: $0.name, time: $0.time.resolved(in: maximum)) }
            .filter { $0.time.unit == maximum.unit && $0.time.value > 0 }
        let sum = comparable.reduce(0) { $0 + $1.time.value }
        // Fractions such as 0.1 and 0.9 of a run may come out a little longer than the whole.
        guard sum > maximum.value * (1 + 1e-12) else { return }
        let names = comparable.map { "\(key).\($0.name)" }.joined(separator: " + ")
        throw TrainingError(
            .invalidOption,
            names,
            found: "\(comparable.count > 1 ? "are" : "is") \(TrainingTime(sum, maximum.unit))",
            expected: "at most \(maximumKey), \(maximum)"
        )
    }
}
