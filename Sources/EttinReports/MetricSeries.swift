/// The values of one metric over a run.
package struct MetricSeries: Sendable {
    package struct Point: Sendable, Hashable {
        package let batch: Int
        package let token: Int
        /// NaN where there was no number.
        package let value: Double

        package init(batch: Int, token: Int, value: Double) {
            (self.batch, self.token, self.value) = (batch, token, value)
        }
    }

    package let points: [Point]

    package init(_ points: [Point]) { self.points = points }

    /// The last value that is a number.
    package var last: Double? { points.last { $0.value.isFinite }?.value }

    /// The mean of the values that are numbers.
    package var mean: Double? { Self.mean(points[...]) }

    /// The largest of the values that are numbers.
    package var largest: Double? { points.lazy.map(\.value).filter(\.isFinite).max() }

    /// How many points on either side of one smoothing takes: a fiftieth of the run, at least two.
    package var smoothingReach: Int { max(2, points.count / 50) }

    /// How many of the last points stand for the end of the series, since single ones jump.
    package var endCount: Int { min(points.count, smoothingReach + 1) }

    /// The mean of these, which is where the smoothed series ends.
    package var end: Double? { Self.mean(points.suffix(endCount)) }

    /// Each point as the mean of those around it.
    ///
    /// A window that reaches as far ahead as behind does not lag behind a falling loss; at the start it shrinks to do
    /// so, at the end it keeps its reach behind, since single points jump.
    package func smoothed() -> MetricSeries {
        let reach = smoothingReach
        var sums = [0.0]
        var counts = [0]
        for point in points {
            let isNumber = point.value.isFinite
            sums.append(sums[sums.count - 1] + (isNumber ? point.value : 0))
            counts.append(counts[counts.count - 1] + (isNumber ? 1 : 0))
        }
        let smoothed = points.indices.map { index in
            let behind = min(reach, index)
            let first = index - behind
            let end = min(points.count, index + behind + 1)
            let count = counts[end] - counts[first]
            let mean = count > 0 ? (sums[end] - sums[first]) / Double(count) : .nan
            return Point(batch: points[index].batch, token: points[index].token, value: mean)
        }
        return MetricSeries(smoothed)
    }

    /// At most so many points, evenly taken, the first and the last among them.
    package func thinned(to count: Int) -> MetricSeries {
        guard points.count > count, count > 1 else { return self }
        return MetricSeries(
            (0..<count).map { points[($0 * (points.count - 1) + (count - 1) / 2) / (count - 1)] }
        )
    }

    /// The smallest and the largest of each of so many stretches, so that the width of the noise stays visible.
    package func envelope(stretches: Int) -> MetricSeries {
        guard points.count > 2 * stretches else { return self }
        let kept = (0..<stretches).flatMap { stretch -> [Point] in
            let part = points[stretch * points.count / stretches..<(stretch + 1) * points.count / stretches]
            let numbers = part.filter(\.value.isFinite)
            guard
                let low = numbers.min(by: { $0.value < $1.value }), let high = numbers.max(by: { $0.value < $1.value })
            else { return Array(part.prefix(1)) }
            return low.batch <= high.batch ? [low, high] : [high, low]
        }
        return MetricSeries(kept)
    }

    private static func mean(_ points: ArraySlice<Point>) -> Double? {
        let numbers = points.lazy.map(\.value).filter(\.isFinite)
        let count = numbers.reduce(0) { count, _ in count + 1 }
        return count > 0 ? numbers.reduce(0, +) / Double(count) : nil
    }
}
