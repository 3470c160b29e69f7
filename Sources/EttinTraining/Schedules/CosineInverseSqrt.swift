#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A learning rate that falls along a quarter of a cosine, continues with the inverse square root, and cools down.
///
/// With `u` the time after the warm-up `w`, `c` the cosine's span, `k` the cool-down and `T` the run's length, the factor
/// is `α + (1−α)·½(1+cos(½π·u/c))` up to `c` and `γ/√(u+δ)` after it, with
/// `δ = c(1+α−π(1−α))/(π(1−α))` and `γ = ½(1+α)√(c+δ)`, so that value and slope are continuous. From `T−k` on it goes
/// from `γ/√(T−k−w+δ)` to `α`.
///
/// > Source: the suite's training code, `cosine_inverse_sqrt`.
public struct CosineInverseSqrt: Hashable, Sendable {
    /// The curve of the warm-up and of the cool-down.
    public enum Curve: String, Hashable, Sendable, CaseIterable {
        /// A line.
        case linear
        /// Half a cosine.
        case cosine
    }

    /// How long the rate rises; `t_warmup`.
    package var warmup: TrainingTime
    /// How long it falls along the cosine; `t_cosine`.
    package var cosine: TrainingTime
    /// How long it falls at the end; `t_cooldown`.
    package var cooldown: TrainingTime
    /// The factor at the end; `alpha_f`.
    package var finalFactor: Double
    /// The factor at the start; `alpha_s`.
    package var startFactor: Double
    /// The curve of the rise; `warmup_schedule`.
    package var warmupCurve: Curve
    /// The curve of the fall at the end; `cooldown_schedule`.
    package var cooldownCurve: Curve

    /// Creates a schedule.
    ///
    /// - Parameters:
    ///   - warmup: How long the rate rises.
    ///   - cosine: How long it falls along the cosine.
    ///   - cooldown: How long it falls at the end.
    ///   - finalFactor: The factor at the end.
    ///   - startFactor: The factor at the start.
    ///   - warmupCurve: The curve of the rise.
    ///   - cooldownCurve: The curve of the fall at the end.
    public init(
        warmup: TrainingTime,
        cosine: TrainingTime = TrainingTime(0.25, .duration),
        cooldown: TrainingTime,
        finalFactor: Double,
        startFactor: Double = 0,
        warmupCurve: Curve = .linear,
        cooldownCurve: Curve = .linear
    ) {
        self.warmup = warmup
        self.cosine = cosine
        self.cooldown = cooldown
        self.finalFactor = finalFactor
        self.startFactor = startFactor
        self.warmupCurve = warmupCurve
        self.cooldownCurve = cooldownCurve
    }

    func multiplier(at clock: TrainingClock, maximum: TrainingTime) -> Double {
        let now = clock.count(in: maximum.unit)
        let warmup = warmup.resolved(in: maximum).value
        if now < warmup { return Self.value(from: startFactor, to: 1, at: now / warmup, warmupCurve) }
        let cooldown = cooldown.resolved(in: maximum).value
        let start = maximum.value - cooldown
        guard cooldown > 0, now >= start else { return body(now - warmup, maximum) }
        let first = body(start - warmup, maximum)
        return Self.value(from: first, to: finalFactor, at: min(1, (now - start) / cooldown), cooldownCurve)
    }

    /// The factor between warm-up and cool-down.
    private func body(_ time: Double, _ maximum: TrainingTime) -> Double {
        // Without a fall there is nothing to continue; the constants below divide by it.
        guard finalFactor < 1 else { return 1 }
        let span = cosine.resolved(in: maximum).value
        if time <= span {
            let share = span > 0 ? time / span : 1
            return finalFactor + (1 - finalFactor) * 0.5 * (1 + cos(0.5 * .pi * share))
        }
        let fall = .pi * (1 - finalFactor)
        let delta = span * (1 + finalFactor - fall) / fall
        return 0.5 * (1 + finalFactor) * (span + delta).squareRoot() / (time + delta).squareRoot()
    }

    private static func value(from first: Double, to last: Double, at share: Double, _ curve: Curve) -> Double {
        switch curve {
        case .linear: first + (last - first) * share
        case .cosine: last + (first - last) * 0.5 * (1 + cos(.pi * share))
        }
    }

    func check(_ check: ScheduleCheck) throws {
        try check.factor("alpha_f", finalFactor)
        try check.factor("alpha_s", startFactor)
        for (name, time) in [("t_warmup", warmup), ("t_cosine", cosine), ("t_cooldown", cooldown)] {
            try check.sameUnit(name, time)
        }
        guard cosine.value > 0 else {
            throw TrainingError(
                .invalidOption,
                "\(check.key).t_cosine",
                found: "is \(cosine)",
                expected: "more than 0, over which the rate can fall"
            )
        }
        guard cooldown.value > 0 else { return try check.fits([("t_warmup", warmup)]) }
        // The cool-down starts from the inverse square root, so the cosine must be over.
        try check.fits([("t_warmup", warmup), ("t_cosine", cosine), ("t_cooldown", cooldown)])
        let maximum = check.maximum
        let start = maximum.value - cooldown.resolved(in: maximum).value - warmup.resolved(in: maximum).value
        let first = body(start, maximum)
        guard finalFactor <= first else {
            throw TrainingError(
                .invalidOption,
                "\(check.key).alpha_f",
                found: "is \(finalFactor), above the \(first) at which t_cooldown begins",
                expected: "a final factor that the rate falls to"
            )
        }
    }
}
