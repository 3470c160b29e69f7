package import EttinReports

extension MetricSeries {
    /// The points at which a metric was logged.
    package init(_ key: String, of lines: [MetricsLine]) {
        self.init(
            lines.compactMap { line in
                line.values[key].map { Point(batch: line.batch, token: line.token, value: $0) }
            }
        )
    }
}
