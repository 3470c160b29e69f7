/// What the runs of a sweep came to.
package struct SweepResults {
    /// What became of a run.
    package enum Status: Hashable, Sendable {
        /// It is as far as its folder says.
        case state(RunState)
        /// Its error.
        case failed(String)
    }

    /// A run with what it came to.
    package struct Row {
        package let run: SweepRun
        package let status: Status
        /// The metric of a run that has begun; nil where it has none.
        package let value: Double?
        /// Seconds of training.
        package let seconds: Double?

        var isFinished: Bool {
            if case .state(.finished) = status { true } else { false }
        }
    }

    /// The runs of a setting, which differ in their seeds.
    package struct Setting {
        package let values: [SweepRun.Value]
        package let runCount: Int
        /// The metric of the runs that are finished and have one.
        package let results: [Double]

        /// The mean of the metric over the seeds; nil without a value.
        package var mean: Double? { results.isEmpty ? nil : results.reduce(0, +) / Double(results.count) }

        /// The standard deviation of a sample, of which two values are the least; nil for fewer.
        package var deviation: Double? {
            guard let mean, results.count > 1 else { return nil }
            let squares = results.map { ($0 - mean) * ($0 - mean) }.reduce(0, +)
            return (squares / Double(results.count - 1)).squareRoot()
        }

        /// Whether every seed has a value.
        var isComplete: Bool { results.count == runCount }
    }

    package let sweep: SweepFile
    package let rows: [Row]
    /// The settings in the order of the runs.
    package let settings: [Setting]

    /// Reads what the runs of a sweep have logged.
    ///
    /// - Parameters:
    ///   - sweep: The sweep.
    ///   - states: Its runs, each with its state.
    ///   - failures: The errors of runs, by their folders.
    /// - Throws: `TrainingError` when what a run has logged cannot be read.
    package init(
        _ sweep: SweepFile,
        _ states: [(run: SweepRun, state: RunState)],
        failures: [String: String] = [:]
    ) throws {
        self.sweep = sweep
        let rows = try states.map { run, state in
            let measured = state == .new ? nil : try RunMeasurements(folder: run.outputFolder)
            return Row(
                run: run,
                status: failures[run.outputFolder].map { .failed($0) } ?? .state(state),
                value: sweep.metric.flatMap { measured?.value(of: $0) },
                seconds: measured?.seconds
            )
        }
        self.rows = rows
        var order: [[SweepRun.Value]] = []
        var groups: [[SweepRun.Value]: [Row]] = [:]
        for row in rows {
            if groups[row.run.setting] == nil { order.append(row.run.setting) }
            groups[row.run.setting, default: []].append(row)
        }
        settings = order.map { setting in
            let rows = groups[setting] ?? []
            let results = rows.filter(\.isFinished).compactMap(\.value)
            return Setting(values: setting, runCount: rows.count, results: results)
        }
    }

    /// The finished run with the best metric; nil where runs are not compared, or none is finished.
    package var bestRun: Row? {
        guard let metric = sweep.metric else { return nil }
        let values = rows.filter(\.isFinished).compactMap { row in row.value.map { (row: row, value: $0) } }
        return values.min { metric.isBetter($0.value, than: $1.value) }?.row
    }

    /// The setting with the best mean among those that have a value for every seed; among all where there is none.
    package var bestSetting: Setting? {
        guard let metric = sweep.metric else { return nil }
        let complete = settings.filter(\.isComplete)
        let means = (complete.isEmpty ? settings : complete).compactMap { setting in
            setting.mean.map { (setting: setting, mean: $0) }
        }
        return means.min { metric.isBetter($0.mean, than: $1.mean) }?.setting
    }
}
