import Testing

@testable import EttinReports

@Suite("Series of a metric")
struct MetricSeriesTests {
    private func series(_ values: [Double]) -> MetricSeries {
        MetricSeries(values.enumerated().map { .init(batch: $0 + 1, token: ($0 + 1) * 100, value: $1) })
    }

    @Test(
        "a smoothed point is the mean of as many before as behind it, at the end of those before it",
        arguments: [4, 40, 500]
    )
    func smoothing(count: Int) throws {
        let values = (0..<count).map { Double($0 * 7919 % 101) }
        let series = series(values)
        let reach = series.smoothingReach
        for (index, point) in series.smoothed().points.enumerated() {
            let behind = min(reach, index)
            let window = values[index - behind...min(count - 1, index + behind)]
            #expect(abs(point.value - window.reduce(0, +) / Double(window.count)) < 1e-9)
            #expect(point.batch == index + 1)
        }
        let (end, last) = (try #require(series.end), try #require(series.smoothed().last))
        #expect(abs(end - last) < 1e-9 && series.endCount == min(count, reach + 1))
    }

    @Test("what is no number counts for nothing")
    func missing() {
        let series = series([1, .nan, 3, .nan, .infinity])
        #expect(series.last == 3)
        #expect(series.mean == 2)
        #expect(series.largest == 3)
        #expect(series.end == 3)
        #expect(self.series([.nan]).smoothed().points[0].value.isNaN)
        #expect(self.series([]).last == nil && self.series([]).end == nil)
    }

    @Test("few points stay, many are thinned evenly with both ends", arguments: [10, 100, 101, 12_345])
    func thinning(count: Int) {
        let thinned = series((0..<count).map(Double.init)).thinned(to: 100).points
        #expect(thinned.count == min(count, 100))
        #expect(thinned.first?.batch == 1 && thinned.last?.batch == count)
        let steps = zip(thinned, thinned.dropFirst()).map { $1.batch - $0.batch }
        #expect(steps.allSatisfy { $0 >= max(1, count / 100) && $0 <= count / 99 + 1 })
    }

    @Test("an envelope keeps every extreme, in order")
    func envelope() {
        var values = (0..<10_000).map { Double($0 * 7919 % 101) }
        (values[5000], values[5001]) = (1e6, -1e6)
        let kept = series(values).envelope(stretches: 100).points
        #expect(kept.count == 200)
        #expect(kept.contains { $0.value == 1e6 } && kept.contains { $0.value == -1e6 })
        #expect(zip(kept, kept.dropFirst()).allSatisfy { $0.batch <= $1.batch })
    }
}
