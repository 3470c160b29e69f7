import EttinTraining
import Testing

@Suite("Learning-rate schedules")
struct LearningRateScheduleTests {
    private static func factor(_ schedule: LearningRateSchedule, _ time: Double, of maximum: TrainingTime) -> Double {
        var clock = TrainingClock()
        switch maximum.unit {
        case .token: clock.token = Int(time)
        case .batch: clock.batch = Int(time)
        default: clock.seconds = time
        }
        return schedule.multiplier(at: clock, maximum: maximum)
    }

    struct Golden: CustomStringConvertible, Sendable {
        let schedule: LearningRateSchedule
        let maximum: TrainingTime
        let values: [(time: Double, factor: Double)]
        var description: String { schedule.name }
    }

    private static let batches = TrainingTime(100, .batch)
    private static func tokens(_ count: Double) -> TrainingTime { TrainingTime(count, .token) }
    private static func steps(_ count: Double) -> TrainingTime { TrainingTime(count, .batch) }

    @Test(
        "factors are those of the formulas",
        arguments: [
            Golden(
                schedule: .warmupStableDecay(warmup: tokens(4e9), decay: tokens(0), finalFactor: 0.02),
                maximum: tokens(1.7e12),
                values: [(0, 1e-10), (2e9, 0.50000000005), (4e9, 1), (1.699e12, 1), (1.7e12, 0.02), (1.8e12, 0.02)]
            ),
            Golden(
                schedule: .warmupStableDecay(warmup: tokens(3e9), decay: tokens(10e9), finalFactor: 0.02),
                maximum: tokens(50e9),
                values: [(40e9, 1), (45e9, 0.51), (50e9, 0.02), (51e9, 0)]
            ),
            Golden(
                schedule: .oneMinusSqrt(decay: tokens(250e9), maximum: tokens(250e9), finalFactor: 0.5),
                maximum: tokens(250e9),
                values: [(0, 1), (62.5e9, 0.75), (250e9, 0.5), (300e9, 0.5)]
            ),
            Golden(
                schedule: .oneMinusSqrt(decay: TrainingTime(1, .duration), maximum: tokens(50e9), finalFactor: 0.04),
                maximum: tokens(50e9),
                values: [(0, 1), (12.5e9, 0.52), (50e9, 0.04)]
            ),
            Golden(
                schedule: .oneMinusSqrt(decay: steps(0), maximum: TrainingTime(1, .duration), finalFactor: 0.3),
                maximum: batches,
                values: [(0, 1), (99, 1), (100, 0.3), (101, 0.3)]
            ),
            Golden(
                schedule: .constantWithWarmup(warmup: steps(10)),
                maximum: batches,
                values: [(0, 0), (5, 0.5), (10, 1), (200, 1)]
            ),
            Golden(
                schedule: .linearDecayWithWarmup(warmup: TrainingTime(0.1, .duration), finalFactor: 0.1),
                maximum: batches,
                values: [(0, 0), (5, 0.5), (10, 1), (40, 0.7), (73, 0.37), (100, 0.1), (150, 0.1)]
            ),
            // The warm-up is cut to 100 whole batches.
            Golden(
                schedule: .linearDecayWithWarmup(warmup: TrainingTime(0.1, .duration), finalFactor: 0.1),
                maximum: steps(1003),
                values: [(50, 0.5), (99, 0.99), (101, 0.9990033222591362), (500, 0.6013289036544851)]
            ),
            Golden(
                schedule: .cosineWithWarmup(warmup: steps(10), finalFactor: 0.1),
                maximum: batches,
                values: [(0, 0), (5, 0.5), (10, 1), (40, 0.775), (73, 0.2854966364683872), (100, 0.1), (150, 0.1)]
            ),
            Golden(
                schedule: .cosineWithWarmup(warmup: steps(100), finalFactor: 0.1),
                maximum: batches,
                values: [(50, 0.5), (100, 0.1)]
            ),
            Golden(
                schedule: .cosineInverseSqrt(
                    CosineInverseSqrt(warmup: steps(10), cooldown: steps(20), finalFactor: 0.1)
                ),
                maximum: batches,
                values: [
                    (0, 0), (5, 0.5), (10, 1), (20, 0.9140576474687263), (35, 0.55), (36, 0.5237345295457253),
                    (60, 0.2910748069818283), (80, 0.2318651378053817), (90, 0.16593256890269087), (100, 0.1),
                    (120, 0.1),
                ]
            ),
            Golden(
                schedule: .cosineInverseSqrt(
                    CosineInverseSqrt(
                        warmup: steps(10),
                        cooldown: steps(20),
                        finalFactor: 0.02,
                        startFactor: 0.3,
                        warmupCurve: .cosine,
                        cooldownCurve: .cosine
                    )
                ),
                maximum: batches,
                values: [
                    (0, 0.3), (5, 0.65), (10, 1), (20, 0.9064183272437243), (35, 0.51), (36, 0.48174650164649113),
                    (60, 0.2544157391402258), (80, 0.20107578768453435), (90, 0.11053789384226718), (100, 0.02),
                ]
            ),
            Golden(
                schedule: .cosineInverseSqrt(CosineInverseSqrt(warmup: steps(0), cooldown: steps(0), finalFactor: 1)),
                maximum: batches,
                values: [(0, 1), (50, 1), (100, 1)]
            ),
        ]
    )
    func golden(_ golden: Golden) throws {
        try golden.schedule.check(maximum: golden.maximum)
        for (time, expected) in golden.values {
            let factor = Self.factor(golden.schedule, time, of: golden.maximum)
            // The formulas are evaluated in another order than the expected values were.
            #expect(abs(factor - expected) <= 1e-12, "at \(time): \(factor), not \(expected)")
        }
    }

    @Test("a warm-up may be counted in another unit than the run")
    func unitsOfWarmup() throws {
        let schedule = LearningRateSchedule.warmupStableDecay(
            warmup: TrainingTime(10, .batch),
            decay: TrainingTime(0.1, .duration),
            finalFactor: 0
        )
        let maximum = TrainingTime(1000, .token)
        try schedule.check(maximum: maximum)
        var clock = TrainingClock()
        (clock.batch, clock.token) = (5, 100)
        #expect(abs(schedule.multiplier(at: clock, maximum: maximum) - 0.5) < 1e-9)
        (clock.batch, clock.token) = (12, 500)
        #expect(schedule.multiplier(at: clock, maximum: maximum) == 1)
        (clock.batch, clock.token) = (20, 950)
        #expect(abs(schedule.multiplier(at: clock, maximum: maximum) - 0.5) < 1e-12)
    }

    @Test("spans of passes become spans of batches, so that the rate moves within a pass")
    func epochs() {
        let schedule = LearningRateSchedule.warmupStableDecay(
            warmup: TrainingTime(1, .epoch),
            decay: TrainingTime(0.5, .duration),
            finalFactor: 0
        ).counted(batchesPerEpoch: 40)
        let maximum = TrainingTime(2, .epoch).counted(batchesPerEpoch: 40)
        #expect(maximum == TrainingTime(80, .batch))
        #expect(abs(Self.factor(schedule, 20, of: maximum) - 0.5) < 1e-9)
        #expect(abs(Self.factor(schedule, 60, of: maximum) - 0.5) < 1e-12)
    }

    struct Contradiction: CustomStringConvertible, Sendable {
        let schedule: LearningRateSchedule
        let message: String
        var description: String { message }
    }

    @Test(
        "schedules that contradict the run are refused by the names of their keys",
        arguments: [
            Contradiction(
                schedule: .warmupStableDecay(warmup: steps(60), decay: steps(50), finalFactor: 0),
                message: "scheduler.t_warmup + scheduler.t_decay: are 110ba; expected at most max_duration, 100ba"
            ),
            Contradiction(
                schedule: .constantWithWarmup(warmup: steps(101)),
                message: "scheduler.t_warmup: is 101ba; expected at most max_duration, 100ba"
            ),
            Contradiction(
                schedule: .warmupStableDecay(warmup: steps(1), decay: tokens(5), finalFactor: 0),
                message:
                    "scheduler.t_decay: is 5tok, but max_duration is 100ba; expected both in one unit, or t_decay in dur"
            ),
            Contradiction(
                schedule: .cosineWithWarmup(warmup: tokens(5), finalFactor: 0),
                message:
                    "scheduler.t_warmup: is 5tok, but max_duration is 100ba; expected both in one unit, or t_warmup in dur"
            ),
            Contradiction(
                schedule: .linearDecayWithWarmup(warmup: steps(5), finalFactor: -0.1),
                message: "scheduler.alpha_f: is -0.1; expected a factor from 0 to 1"
            ),
            Contradiction(
                schedule: .oneMinusSqrt(decay: steps(60), maximum: steps(50), finalFactor: 0),
                message: "scheduler.t_decay: is 60ba; expected at most scheduler.t_max, 50ba"
            ),
            Contradiction(
                schedule: .cosineInverseSqrt(CosineInverseSqrt(warmup: steps(10), cooldown: steps(70), finalFactor: 0)),
                message:
                    "scheduler.t_warmup + scheduler.t_cosine + scheduler.t_cooldown: are 105ba; "
                    + "expected at most max_duration, 100ba"
            ),
            Contradiction(
                schedule: .cosineInverseSqrt(
                    CosineInverseSqrt(warmup: steps(0), cosine: steps(0), cooldown: steps(0), finalFactor: 0)
                ),
                message: "scheduler.t_cosine: is 0ba; expected more than 0, over which the rate can fall"
            ),
        ]
    )
    func contradictions(_ contradiction: Contradiction) {
        #expect {
            try contradiction.schedule.check(maximum: Self.batches)
        } throws: {
            "\($0)" == contradiction.message
        }
    }

    @Test("a cool-down that would have to rise is refused")
    func risingCooldown() {
        let shape = CosineInverseSqrt(
            warmup: Self.steps(0),
            cosine: Self.steps(10),
            cooldown: Self.steps(1),
            finalFactor: 0.9
        )
        #expect {
            try LearningRateSchedule.cosineInverseSqrt(shape).check(maximum: TrainingTime(1e6, .batch))
        } throws: {
            "\($0)".hasPrefix("scheduler.alpha_f: is 0.9, above the ")
        }
    }

    @Test(
        "impossible settings of an optimizer are refused by the names of their keys",
        arguments: [
            (OptimizerSettings(learningRate: 0), "optimizer.lr: is 0.0; expected a number above 0"),
            (OptimizerSettings(learningRate: .nan), "optimizer.lr: is nan; expected a number above 0"),
            (OptimizerSettings(beta1: 1), "optimizer.betas[0]: is 1.0; expected from 0 to below 1"),
            (OptimizerSettings(beta2: -0.5), "optimizer.betas[1]: is -0.5; expected from 0 to below 1"),
            (OptimizerSettings(epsilon: 0), "optimizer.eps: is 0.0; expected a number above 0"),
            (OptimizerSettings(weightDecay: -1), "optimizer.weight_decay: is -1.0; expected a number of 0 or more"),
        ]
    )
    func optimizer(_ settings: OptimizerSettings, message: String) {
        #expect {
            try settings.check()
        } throws: {
            "\($0)" == message
        }
    }
}
