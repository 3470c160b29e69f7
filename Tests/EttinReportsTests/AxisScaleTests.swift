import Testing

@testable import EttinReports

@Suite("Axes")
struct AxisScaleTests {
    @Test("ticks are round numbers around the values")
    func linear() {
        let scale = AxisScale(linear: [0.31, .nan, 7.62], tickCount: 5)
        #expect(scale.ticks == [0, 2, 4, 6, 8])
        #expect((scale.lower, scale.upper) == (0, 8))
        #expect(scale.position(2, from: 100, to: 20) == 80)
        let fine = AxisScale(linear: [2.13, 2.31], tickCount: 5)
        #expect(fine.ticks.map { fine.label($0, .plain) } == ["2.10", "2.15", "2.20", "2.25", "2.30", "2.35"])
    }

    @Test(
        "values at the ends of their range have an axis of finite ticks",
        arguments: [
            [1.7e308, 1.7e308], [.leastNonzeroMagnitude, .leastNonzeroMagnitude], [-1.7e308, 1.7e308], [0, 1.7e308],
            [0.5, 1e307], [1, 1 + 0x1p-52],
            [-0.0, .leastNonzeroMagnitude], [1e-300, 1e300],
        ] as [[Double]],
        [AxisScale.Format.plain, .compact, .percent, .scientific]
    )
    func extremes(values: [Double], format: AxisScale.Format) {
        for scale in [
            AxisScale(linear: values, tickCount: 5), AxisScale(logarithmic: values),
            AxisScale(linear: values, tickCount: 5, includesZero: true, isExact: true),
        ] {
            #expect(scale.ticks.allSatisfy(\.isFinite) && scale.ticks.count <= 40)
            #expect(values.allSatisfy { scale.position($0, from: 0, to: 100).isFinite })
            for tick in scale.ticks { #expect(!scale.label(tick, format).isEmpty) }
        }
    }

    @Test("an exact axis ends with its values, and keeps the ticks between")
    func exact() {
        let scale = AxisScale(linear: [4096, 245_760], tickCount: 5, includesZero: true, isExact: true)
        #expect((scale.lower, scale.upper) == (0, 245_760))
        #expect(scale.ticks.map { scale.label($0, .compact) } == ["0", "50k", "100k", "150k", "200k"])
    }

    @Test(
        "an axis of equal values, or of none, has a length",
        arguments: [([], 0.0, 1.0), ([0, 0], 0, 1), ([5, 5], 4.4, 5.6), ([.nan], 0, 1)] as [([Double], Double, Double)]
    )
    func degenerate(values: [Double], lower: Double, upper: Double) {
        let scale = AxisScale(linear: values, tickCount: 5)
        #expect(abs(scale.lower - lower) < 1e-9 && abs(scale.upper - upper) < 1e-9)
        #expect(scale.ticks.count >= 2)
    }

    @Test("a logarithmic axis has ticks at round numbers, as many as there is room for")
    func logarithmic() {
        let short = AxisScale(logarithmic: [12, 0, -3, 900])
        #expect(short.ticks.map { short.label($0, .plain) } == ["10", "20", "50", "100", "200", "500", "1000"])
        #expect(abs(short.position(100, from: 0, to: 10) - 5) < 1e-12)
        let long = AxisScale(logarithmic: [2, 1e6])
        #expect(long.ticks.map { long.label($0, .plain) } == ["1", "10", "100", "1000", "10k", "100k", "1M"])
        let flat = AxisScale(logarithmic: [100, 101])
        #expect(flat.lower < 100 && flat.upper > 101 && flat.ticks.count >= 2)
    }

    @Test("shares, rates and counts are spelled as such")
    func labels() {
        let shares = AxisScale(linear: [0, 0.23], tickCount: 5)
        #expect(shares.ticks.map { shares.label($0, .percent) } == ["0%", "5%", "10%", "15%", "20%", "25%"])
        let rates = AxisScale(linear: [0, 8e-4], tickCount: 5)
        #expect(rates.ticks.map { rates.label($0, .scientific) } == ["0", "2e-4", "4e-4", "6e-4", "8e-4"])
        let small = AxisScale(linear: [0, 2.4e-5], tickCount: 5)
        #expect(small.label(small.ticks[1], .scientific) == "5e-6")
    }
}
