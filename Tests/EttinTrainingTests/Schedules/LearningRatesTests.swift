import Testing
import Torch

@testable import EttinTraining

@Suite("Learning rates of a run")
struct LearningRatesTests {
    private static let maximum = TrainingTime(100, .batch)
    private static let warmup = LearningRateSchedule.constantWithWarmup(warmup: TrainingTime(4, .batch))

    private static func rates(isLiteral: Bool, base: Double = 0.8, next: Double? = nil) -> LearningRates {
        LearningRates(
            schedule: warmup,
            maximum: maximum,
            base: base,
            reference: 0.5,
            isLiteral: isLiteral,
            next: next
        )
    }

    /// The rates of some steps in turn.
    private static func taken(_ rates: LearningRates, from clock: inout TrainingClock, steps: Int) -> [Double] {
        (0..<steps).map { _ in
            let rate = rates.rate(at: clock)
            let before = clock
            clock.advance(samples: 4, tokens: 100, epoch: 0)
            rates.advance(from: before)
            return rate
        }
    }

    @Test("Each step has the rate of the time at which it begins")
    func intended() {
        var clock = TrainingClock()
        let rates = Self.rates(isLiteral: false)
        let taken = Self.taken(rates, from: &clock, steps: 6)
        for (rate, expected) in zip(taken, [0, 0.2, 0.4, 0.6, 0.8, 0.8]) { #expect(abs(rate - expected) < 1e-15) }
        #expect(rates.next == nil)
    }

    @Test("As in the training code, each step after the first has the rate of the one before")
    func literal() {
        var clock = TrainingClock()
        let rates = Self.rates(isLiteral: true)
        let taken = Self.taken(rates, from: &clock, steps: 7)
        for (rate, expected) in zip(taken, [0, 0, 0.2, 0.4, 0.6, 0.8, 0.8]) { #expect(abs(rate - expected) < 1e-15) }
    }

    @Test("A resumed run uses the learning rate computed before it stopped", arguments: [false, true])
    func resumed(isLiteral: Bool) {
        var clock = TrainingClock()
        let whole = Self.taken(Self.rates(isLiteral: isLiteral), from: &clock, steps: 7)
        for steps in 1..<6 {
            var clock = TrainingClock()
            let first = Self.rates(isLiteral: isLiteral)
            let before = Self.taken(first, from: &clock, steps: steps)
            #expect((first.next != nil) == isLiteral)
            let second = Self.rates(isLiteral: isLiteral, next: first.next)
            #expect(before + Self.taken(second, from: &clock, steps: 7 - steps) == whole)
        }
    }

    @Test("A rate that another run determined ahead counts for nothing where rates are not")
    func strayRate() {
        let rates = Self.rates(isLiteral: false, next: 0.123)
        #expect(rates.next == nil && rates.rate(at: TrainingClock()) == 0)
    }

    @Test("The schedule multiplies the base; what weight decay refers to stays")
    func baseAndReference() {
        var clock = TrainingClock()
        clock.batch = 50
        let rates = Self.rates(isLiteral: false, base: 0.25)
        #expect(rates.rate(at: clock) == 0.25)
        #expect(rates.base == 0.25 && rates.reference == 0.5)
        var groups = ParameterGroups(
            [],
            groups: [
                ParameterGroup(learningRate: 0.5, weightDecay: 0.1, referenceRate: rates.reference),
                ParameterGroup(learningRate: 0.5, rateFactor: 0.5, weightDecay: 0, referenceRate: rates.reference),
                ParameterGroup(learningRate: 0.5, weightDecay: 0.1),
            ],
            membership: [],
            learningRate: 0.5
        )
        #expect(groups.groups.map(\.learningRate) == [0.5, 0.25, 0.5])
        groups.learningRate = rates.rate(at: clock)
        #expect(groups.groups.map(\.learningRate) == [0.25, 0.125, 0.25])
        #expect(groups.groups.map(\.referenceRate) == [0.5, 0.25, nil])
    }
}

@Suite("Length of a run")
struct RunLengthTests {
    private static let constant = LearningRateSchedule.constantWithWarmup(warmup: TrainingTime(0, .batch))

    private static func clock(batch: Int, token: Int = 0) -> TrainingClock {
        var clock = TrainingClock()
        (clock.batch, clock.token) = (batch, token)
        return clock
    }

    @Test("Passes are counted in batches, in the length as in the schedule")
    func passes() throws {
        let schedule = LearningRateSchedule.warmupStableDecay(
            warmup: TrainingTime(1, .epoch),
            decay: TrainingTime(0.25, .duration),
            finalFactor: 0.1
        )
        let length = try RunLength(TrainingTime(3, .epoch), schedule: schedule, batchesPerEpoch: 20)
        #expect(length.maximum == TrainingTime(60, .batch))
        #expect(
            length.schedule
                == .warmupStableDecay(
                    warmup: TrainingTime(20, .batch),
                    decay: TrainingTime(0.25, .duration),
                    finalFactor: 0.1
                )
        )
        #expect(length.schedule.multiplier(at: Self.clock(batch: 45), maximum: length.maximum) == 1)
        #expect(length.counted(TrainingTime(2, .epoch)) == TrainingTime(40, .batch))
    }

    @Test("Passes that data does not have are refused; any other length is not")
    func withoutPasses() throws {
        let error = #expect(throws: TrainingError.self) {
            try RunLength(TrainingTime(2, .epoch), schedule: Self.constant, batchesPerEpoch: nil)
        }
        #expect(error?.kind == .invalidOption && error?.place == "max_duration")
        #expect(error?.found == "is 2ep of an order data set, which has no epochs")
        for maximum in [TrainingTime(7, .batch), TrainingTime(7, .token), TrainingTime(7, .second)] {
            #expect(try RunLength(maximum, schedule: Self.constant, batchesPerEpoch: nil).maximum == maximum)
        }
    }

    @Test("A schedule that is longer than the run is refused")
    func longSchedule() {
        let error = #expect(throws: TrainingError.self) {
            try RunLength(
                TrainingTime(2, .epoch),
                schedule: .constantWithWarmup(warmup: TrainingTime(21, .batch)),
                batchesPerEpoch: 10
            )
        }
        #expect(error?.place == "scheduler.t_warmup")
        #expect(error?.description.contains("is 21ba; expected at most max_duration, 20ba") == true)
    }

    @Test("A duration is a fraction of the run, whole where the run is counted whole")
    func durations() throws {
        let batches = try RunLength(TrainingTime(55, .batch), schedule: Self.constant, batchesPerEpoch: nil)
        #expect(batches.counted(TrainingTime(0.1, .duration)) == TrainingTime(5, .batch))
        let tokens = try RunLength(TrainingTime(1000, .token), schedule: Self.constant, batchesPerEpoch: nil)
        #expect(tokens.counted(TrainingTime(0.25, .duration)) == TrainingTime(250, .token))
        let passes = try RunLength(TrainingTime(2, .epoch), schedule: Self.constant, batchesPerEpoch: 15)
        #expect(passes.counted(TrainingTime(0.5, .duration)) == TrainingTime(15, .batch))
        // A span in another unit stays what it is.
        #expect(passes.counted(TrainingTime(640, .token)) == TrainingTime(640, .token))
    }

    @Test("An interval ends with the batch that completes it, and only then")
    func intervals() throws {
        let length = try RunLength(TrainingTime(2, .epoch), schedule: Self.constant, batchesPerEpoch: 10)
        func ends(_ interval: TrainingTime?) -> [Int] {
            (1...20).filter { batch in
                length.ends(
                    interval,
                    at: Self.clock(batch: batch, token: 30 * batch),
                    since: Self.clock(batch: batch - 1, token: 30 * (batch - 1))
                )
            }
        }
        #expect(ends(TrainingTime(6, .batch)) == [6, 12, 18])
        #expect(ends(TrainingTime(1, .epoch)) == [10, 20])
        #expect(ends(TrainingTime(0.25, .duration)) == [5, 10, 15, 20])
        // 200, 400 and 600 tokens are passed within the batches 7, 14 and 20.
        #expect(ends(TrainingTime(200, .token)) == [7, 14, 20])
        #expect(ends(TrainingTime(0, .batch)) == [])
        #expect(ends(nil) == [])
    }
}
