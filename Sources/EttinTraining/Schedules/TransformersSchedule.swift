#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The learning rate over the updates of a run, as a factor of the optimizer's own, as transformers schedules it.
///
/// The factor of a step depends on the number of steps before it, so that of the first step of a warm-up is 0. With `t`
/// that number, `w` the warm-up, `T` the run's length and `p = (t−w)/(T−w)`, it is `t/w` up to `w` and then:
///
/// | name | factor |
/// |---|---|
/// | `linear` | `(T−t)/(T−w)`, 0 or more |
/// | `cosine` | `½(1+cos(2π·cycles·p))`, cycles = ½ |
/// | `cosine_with_restarts` | `½(1+cos(π·frac(cycles·p)))`, cycles = 1 |
/// | `cosine_with_min_lr` | `m + (1−m)·½(1+cos(2π·cycles·p))` |
/// | `polynomial` | `e + (1−e)(1−p)^power`, power = 1 |
/// | `inverse_sqrt` | `√(s/(t−w+s))`, s = w, or 10,000 without a warm-up |
/// | `warmup_stable_decay` | see ``Shape/stableDecay(_:)`` |
/// | `constant`, `constant_with_warmup` | 1; the first has no warm-up |
/// | `reduce_lr_on_plateau` | 1, times what ``PlateauReduction`` makes of evaluations; no warm-up |
///
/// > Source: transformers 5.23, `optimization.py`.
public struct TransformersSchedule: Hashable, Sendable {
    /// The curve after the warm-up.
    public enum Shape: Hashable, Sendable {
        /// A line to 0.
        case linear
        /// Waves of a cosine, of which half a one ends at 0.
        case cosine(cycles: Double)
        /// Falls along half a cosine, several times from the top.
        case cosineWithRestarts(cycles: Double)
        /// As `cosine`, but between 1 and a factor.
        case cosineWithMinimum(cycles: Double, minimum: Double)
        /// As `cosineWithMinimum`, one step further, after a warm-up that starts at a factor; nil for `1/w`.
        case cosineAfterRaisedWarmup(cycles: Double, minimum: Double, warmupStart: Double?)
        /// A power of the rest of the run, down to a factor.
        case polynomial(power: Double, end: Double)
        /// The inverse square root of the time.
        case inverseSquareRoot(timescale: Int?)
        /// Stays at the full rate until a decay.
        case stableDecay(StableDecay)
        /// Stays where it is, without a warm-up.
        case constant
        /// Stays at the full rate.
        case constantWithWarmup
        /// Is reduced when an evaluation's metric no longer improves, without a warm-up.
        case plateau(PlateauReduction)
    }

    /// A warm-up, a stable rate, and a decay, each along a curve.
    public struct StableDecay: Hashable, Sendable {
        /// The curves.
        public enum Curve: String, Hashable, Sendable, CaseIterable {
            /// A line.
            case linear
            /// A cosine.
            case cosine
            /// One minus a square root.
            case oneMinusSquareRoot = "1-sqrt"
        }

        /// The steps of the decay; `num_decay_steps`.
        public var decaySteps: Int
        /// The steps at the full rate; nil for all between warm-up and decay; `num_stable_steps`.
        public var stableSteps: Int?
        /// The curve of the warm-up; `warmup_type`.
        public var warmupCurve: Curve
        /// The curve of the decay; `decay_type`.
        public var decayCurve: Curve
        /// The factor at the ends; `min_lr_ratio`.
        public var minimum: Double
        /// The waves of a cosine decay; `num_cycles`.
        public var cycles: Double

        /// Describes the phases, by default as transformers.
        ///
        /// - Parameters:
        ///   - decaySteps: The steps of the decay.
        ///   - stableSteps: The steps at the full rate; nil for all between warm-up and decay.
        ///   - warmupCurve: The curve of the warm-up.
        ///   - decayCurve: The curve of the decay.
        ///   - minimum: The factor at the ends.
        ///   - cycles: The waves of a cosine decay.
        public init(
            decaySteps: Int,
            stableSteps: Int? = nil,
            warmupCurve: Curve = .linear,
            decayCurve: Curve = .cosine,
            minimum: Double = 0,
            cycles: Double = 0.5
        ) {
            self.decaySteps = decaySteps
            self.stableSteps = stableSteps
            self.warmupCurve = warmupCurve
            self.decayCurve = decayCurve
            self.minimum = minimum
            self.cycles = cycles
        }
    }

    /// The curve after the warm-up.
    public var shape: Shape
    /// The steps of the warm-up.
    public var warmupSteps: Int
    /// The steps of the run.
    public var totalSteps: Int

    /// Describes a schedule.
    ///
    /// - Parameters:
    ///   - shape: The curve after the warm-up.
    ///   - warmupSteps: The steps of the warm-up, 0 or more.
    ///   - totalSteps: The steps of the run.
    public init(_ shape: Shape, warmupSteps: Int, totalSteps: Int) {
        self.shape = shape
        self.warmupSteps = warmupSteps
        self.totalSteps = totalSteps
    }

    /// The name, `lr_scheduler_type`.
    public var name: String {
        switch shape {
        case .linear: "linear"
        case .cosine: "cosine"
        case .cosineWithRestarts: "cosine_with_restarts"
        case .cosineWithMinimum: "cosine_with_min_lr"
        case .cosineAfterRaisedWarmup: "cosine_warmup_with_min_lr"
        case .polynomial: "polynomial"
        case .inverseSquareRoot: "inverse_sqrt"
        case .stableDecay: "warmup_stable_decay"
        case .constant: "constant"
        case .constantWithWarmup: "constant_with_warmup"
        case .plateau: "reduce_lr_on_plateau"
        }
    }

    /// Whether the warm-up has an effect.
    package var hasWarmup: Bool {
        switch shape {
        case .constant, .plateau: false
        default: true
        }
    }

    /// The factor of a step.
    ///
    /// - Parameter step: The number of steps before it.
    /// - Returns: The factor, 0 or more.
    public func factor(step: Int) -> Double {
        if hasWarmup, step < warmupSteps { return warmupFactor(step) }
        let span = Double(max(1, totalSteps - warmupSteps))
        let progress = Double(step - warmupSteps) / span
        func wave(_ cycles: Double, _ progress: Double) -> Double { 0.5 * (1 + cos(.pi * cycles * 2 * progress)) }
        switch shape {
        case .constant, .constantWithWarmup, .plateau: return 1
        case .linear: return max(0, Double(totalSteps - step) / span)
        case .cosine(let cycles): return max(0, wave(cycles, progress))
        case .cosineWithRestarts(let cycles):
            guard progress < 1 else { return 0 }
            return max(0, 0.5 * (1 + cos(.pi * (cycles * progress).truncatingRemainder(dividingBy: 1))))
        case .cosineWithMinimum(let cycles, let minimum):
            return max(0, wave(cycles, progress) * (1 - minimum) + minimum)
        case .cosineAfterRaisedWarmup(let cycles, let minimum, _):
            return max(0, wave(cycles, Double(step - warmupSteps + 1) / span) * (1 - minimum) + minimum)
        case .polynomial(let power, let end):
            guard step < totalSteps, totalSteps > warmupSteps else { return end }
            return (1 - end) * pow(1 - progress, power) + end
        case .inverseSquareRoot(let timescale):
            let scale = Double(timescale ?? (warmupSteps > 0 ? warmupSteps : 10_000))
            return 1 / ((Double(step - warmupSteps) + scale) / scale).squareRoot()
        case .stableDecay(let phases): return decayFactor(step, phases)
        }
    }

    private func warmupFactor(_ step: Int) -> Double {
        let share = Double(step) / Double(max(1, warmupSteps))
        switch shape {
        case .stableDecay(let phases):
            let rise: Double =
                switch phases.warmupCurve {
                case .linear: share
                case .cosine: 0.5 * (1 - cos(.pi * share))
                case .oneMinusSquareRoot: 1 - (1 - share).squareRoot()
                }
            return max(0, rise * (1 - phases.minimum) + phases.minimum)
        case .cosineAfterRaisedWarmup(_, _, let start):
            guard let start else { return Double(step + 1) / Double(max(1, warmupSteps)) }
            return start + (1 - start) * Double(step) / Double(max(1, warmupSteps - 1))
        default: return share
        }
    }

    private func decayFactor(_ step: Int, _ phases: StableDecay) -> Double {
        let stable = phases.stableSteps ?? totalSteps - warmupSteps - phases.decaySteps
        let past = step - warmupSteps - stable
        if past < 0 { return 1 }
        guard past < phases.decaySteps else { return phases.minimum }
        let share = Double(past) / Double(max(1, phases.decaySteps))
        let fall: Double =
            switch phases.decayCurve {
            case .linear: 1 - share
            case .cosine: 0.5 * (1 + cos(.pi * phases.cycles * 2 * share))
            case .oneMinusSquareRoot: 1 - share.squareRoot()
            }
        return max(0, fall * (1 - phases.minimum) + phases.minimum)
    }
}
