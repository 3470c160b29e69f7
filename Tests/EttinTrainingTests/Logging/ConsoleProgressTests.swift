import Testing

@testable import EttinTraining

@Suite("Console progress")
struct ConsoleProgressTests {
    private func clock(batch: Int, seconds: Double) -> TrainingClock {
        var clock = TrainingClock()
        for _ in 0..<batch { clock.advance(samples: 8, tokens: 4096, epoch: 0) }
        clock.seconds = seconds
        return clock
    }

    @Test("a line tells position, loss, rate, speed, time left and memory")
    func line() {
        let progress = ConsoleProgress(maximum: TrainingTime(300, .batch)) { _ in }
        let line = progress.line(
            [
                (MetricName.trainingLoss, 4.8123), ("lr-StableAdamW/group0", 8e-4), ("lr-StableAdamW/group1", 8e-4),
                (MetricName.tokensPerSecond, 12_345), (MetricName.peakBytes, 1_234_000_000),
            ],
            at: clock(batch: 120, seconds: 60)
        )
        #expect(
            line == "batch 120/300  40%  loss 4.812  lr 0.000800  12.3k tokens/s  01:30 left  1.2 GB"
        )
    }

    @Test("a run of any length has a line", arguments: [0, 1, 0x1p53, 0x1p63, 1e300])
    func extremeLengths(batches: Double) {
        let progress = ConsoleProgress(maximum: TrainingTime(batches, .batch)) { _ in }
        #expect(progress.line([], at: clock(batch: 1, seconds: 1)).hasPrefix("batch 1/"))
    }

    @Test("the loss is smoothed, and shown as it is when it is no number")
    func smoothing() {
        let progress = ConsoleProgress(maximum: TrainingTime(1e6, .token), name: "encoder") { _ in }
        _ = progress.line([(MetricName.trainingLoss, 4)], at: clock(batch: 1, seconds: 0))
        let second = progress.line([(MetricName.trainingLoss, 2)], at: clock(batch: 2, seconds: 0))
        // (0.95 · 4 + 2) / 1.95
        #expect(second.hasPrefix("encoder: batch 2  0%  loss 2.974"))
        #expect(progress.line([(MetricName.trainingLoss, .nan)], at: clock(batch: 3, seconds: 0)).contains("loss NaN"))
    }

    @Test("the time left is measured from where the process began, in the run's own unit")
    func timeLeft() {
        let start = clock(batch: 100, seconds: 1000)
        let progress = ConsoleProgress(maximum: TrainingTime(200 * 4096, .token), startingAt: start) { _ in }
        #expect(progress.line([], at: start) == "batch 100  50%")
        #expect(progress.line([], at: clock(batch: 150, seconds: 1010)) == "batch 150  75%  00:10 left")
    }

    @Test("an evaluation shows what it measured, through the logger's own call")
    func evaluation() {
        var lines: [String] = []
        let progress = ConsoleProgress(maximum: TrainingTime(10, .batch)) { lines.append($0) }
        progress.log(
            [
                (MetricName.evaluationLoss, 4.5), (MetricName.maskedAccuracy, 0.3125), (MetricName.perplexity, 90.0171),
            ],
            at: clock(batch: 10, seconds: 5)
        )
        #expect(
            lines == ["batch 10/10  100%  00:00 left  held-out loss 4.500  masked accuracy 31.3%  perplexity 90.0"]
        )
    }
}
