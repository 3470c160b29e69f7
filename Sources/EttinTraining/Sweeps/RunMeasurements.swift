import EttinRecipes

/// What a run has measured, by the names under which it was logged.
package struct RunMeasurements {
    /// The values of each name in their order; NaN where there was no number.
    package let series: [String: [Double]]
    /// Seconds of training; nil where nothing says so.
    package let seconds: Double?
    private let folder: String

    /// Reads what a run has logged.
    ///
    /// - Parameter folder: The folder of the run.
    /// - Throws: `TrainingError` for a file that cannot be read or is malformed.
    package init(folder: String) throws {
        self.folder = folder
        let lines = try MetricsFile.lines(ofRun: folder)
        series = lines.reduce(into: [:]) { series, line in
            for (name, value) in line.values { series[name, default: []].append(value) }
        }
        seconds = lines.last { $0.seconds != nil }?.seconds
    }

    /// The value of a metric.
    ///
    /// - Parameter metric: The metric, whose name may lack the `eval_` of fine-tuning's evaluations.
    /// - Returns: Nil where the run has logged no number under the name.
    package func value(of metric: SweepFile.Metric) -> Double? {
        guard let values = series[metric.name] ?? series["eval_\(metric.name)"] else { return nil }
        switch metric.summary {
        // A run that ends with NaN has no value, whatever it had before.
        case .last: return values.last.flatMap { $0.isFinite ? $0 : nil }
        case .best: return values.filter(\.isFinite).min { metric.isBetter($0, than: $1) }
        }
    }

    /// Checks that the run has logged something under the name of a metric.
    ///
    /// - Throws: `TrainingError` naming what it has logged.
    package func check(_ metric: SweepFile.Metric) throws {
        guard series[metric.name] == nil, series["eval_\(metric.name)"] == nil else { return }
        let names = series.keys.sorted()
        let near = SpellingSuggestion.nearest(metric.name, names).map { "; did you mean \($0)?" } ?? ""
        throw TrainingError(
            .invalidOption,
            metric.place,
            found: "is \(metric.name), which \(folder) has not logged",
            expected: (names.isEmpty ? "a run that logs" : "one of " + names.joined(separator: ", "))
                + near
        )
    }
}
