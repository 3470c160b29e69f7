import Testing

@testable import EttinTraining

@Suite("Schedules of transformers")
struct TransformersScheduleTests {
    struct Case: CustomStringConvertible {
        let schedule: TransformersSchedule
        /// At steps 0, 1, 2, 3, 7, 12, 19 and 20 of 20, by `get_scheduler`.
        let factors: [Double]
        var description: String { "\(schedule.name), \(schedule.warmupSteps) steps of warm-up" }

        init(_ shape: TransformersSchedule.Shape, _ warmup: Int, _ factors: [Double]) {
            schedule = TransformersSchedule(shape, warmupSteps: warmup, totalSteps: 20)
            self.factors = factors
        }
    }

    private typealias Phases = TransformersSchedule.StableDecay

    static let cases = [
        Case(.linear, 3, [0, 0.333333333, 0.666666667, 1, 0.764705882, 0.470588235, 0.058823529, 0]),
        Case(.cosine(cycles: 0.5), 3, [0, 0.333333333, 0.666666667, 1, 0.869504459, 0.45386582, 0.00851345, 0]),
        Case(
            .cosine(cycles: 1.25),
            0,
            [1, 0.961939766, 0.853553391, 0.691341716, 0.038060234, 0.5, 0.691341716, 0.5]
        ),
        Case(
            .cosineWithRestarts(cycles: 3),
            3,
            [0, 0.333333333, 0.666666667, 1, 0.198682682, 0.363168505, 0.074891432, 0]
        ),
        Case(
            .polynomial(power: 2, end: 0.05),
            2,
            [0, 0.5, 1, 0.897376543, 0.545524691, 0.237654321, 0.052932099, 0.05]
        ),
        Case(.constant, 3, [1, 1, 1, 1, 1, 1, 1, 1]),
        Case(.constantWithWarmup, 3, [0, 0.333333333, 0.666666667, 1, 1, 1, 1, 1]),
        Case(
            .inverseSquareRoot(timescale: nil),
            3,
            [0, 0.333333333, 0.666666667, 1, 0.654653671, 0.5, 0.397359707, 0.387298335]
        ),
        Case(
            .inverseSquareRoot(timescale: nil),
            0,
            [1, 0.999950004, 0.999900015, 0.999850034, 0.999650184, 0.999400539, 0.999051352, 0.999001498]
        ),
        Case(
            .inverseSquareRoot(timescale: 5),
            2,
            [0, 0.5, 1, 0.912870929, 0.707106781, 0.577350269, 0.476731295, 0.466252404]
        ),
        Case(
            .stableDecay(Phases(decaySteps: 6)),
            3,
            [0, 0.333333333, 0.666666667, 1, 1, 1, 0.066987298, 0]
        ),
        Case(
            .stableDecay(
                Phases(
                    decaySteps: 6,
                    stableSteps: 4,
                    warmupCurve: .cosine,
                    decayCurve: .oneMinusSquareRoot,
                    minimum: 0.1
                )
            ),
            3,
            [0.1, 0.325, 0.775, 1, 1, 0.178416164, 0.1, 0.1]
        ),
        Case(
            .stableDecay(Phases(decaySteps: 6, warmupCurve: .oneMinusSquareRoot, decayCurve: .linear)),
            3,
            [0, 0.183503419, 0.422649731, 1, 1, 1, 0.166666667, 0]
        ),
        Case(
            .cosineWithMinimum(cycles: 0.5, minimum: 0.1),
            3,
            [0, 0.333333333, 0.666666667, 1, 0.882554013, 0.508479238, 0.107662105, 0.1]
        ),
        Case(
            .cosineAfterRaisedWarmup(cycles: 0.5, minimum: 0.1, warmupStart: nil),
            3,
            [0.333333333, 0.666666667, 1, 0.992337895, 0.821185586, 0.426851654, 0.1, 0.107662105]
        ),
        Case(
            .cosineAfterRaisedWarmup(cycles: 0.5, minimum: 0.1, warmupStart: 0.2),
            3,
            [0.2, 0.6, 1, 0.992337895, 0.821185586, 0.426851654, 0.1, 0.107662105]
        ),
    ]

    @Test("Factors are those of transformers", arguments: cases)
    func factors(of testCase: Case) {
        for (step, expected) in zip([0, 1, 2, 3, 7, 12, 19, 20], testCase.factors) {
            let factor = testCase.schedule.factor(step: step)
            #expect(abs(factor - expected) < 1e-9, "step \(step): \(factor), expected \(expected)")
        }
    }

    @Test("The clock of a run counts the steps")
    func clock() {
        let schedule = LearningRateSchedule.transformers(
            TransformersSchedule(.linear, warmupSteps: 2, totalSteps: 40)
        )
        var clock = TrainingClock()
        let rates = (0..<4).map { _ in
            defer { clock.advance(samples: 1, tokens: 9, epoch: 0) }
            return 8e-5 * schedule.multiplier(at: clock, maximum: TrainingTime(40, .batch))
        }
        for (rate, expected) in zip(rates, [0, 4e-5, 8e-5, 7.7894737e-5]) { #expect(abs(rate - expected) < 1e-11) }
    }

    @Test("A plateau halves the rate when the metric no longer improves, as torch does")
    func plateau() {
        var reduction = PlateauReduction()
        reduction.patience = 1
        reduction.factor = 0.5
        reduction.cooldown = 1
        reduction.threshold = 0.1
        reduction.minimumRate = 0.2
        var state = PlateauState(rate: 1)
        let metrics = [1.0, 0.95, 0.94, 0.8, 0.79, 0.79, 0.79, 0.79, 0.79, 0.79, 0.79, 0.79]
        let rates = metrics.map { metric in
            state.take(metric, reduction)
            return state.rate
        }
        #expect(rates == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2])
    }
}
