import EttinFiles

/// Works through the runs of a sweep.
package final class SweepSession {
    private struct Item {
        let run: SweepRun
        let record: SweepRecord
        var state: RunState
    }

    /// The sweep.
    package let sweep: SweepFile
    private let state: (SweepRun) throws -> RunState
    private var items: [Item]
    private var failures: [String: String] = [:]

    /// Reads the recipe of every run and looks at its folder; nothing is written.
    ///
    /// - Parameters:
    ///   - sweep: The sweep.
    ///   - acceptsChanges: Whether runs may be there that were made in another way.
    ///   - state: Checks the recipe of a run, and finds how far it is.
    /// - Throws: `TrainingError` for a recipe that cannot be run, and for a folder that holds another run.
    package init(_ sweep: SweepFile, acceptsChanges: Bool, state: @escaping (SweepRun) throws -> RunState) throws {
        self.sweep = sweep
        self.state = state
        items = try sweep.runs.map { run in
            let item = Item(run: run, record: try SweepRecord(run, of: sweep), state: try state(run))
            if item.state != .new, !acceptsChanges { try item.record.check() }
            return item
        }
    }

    /// The number of runs.
    package var runCount: Int { items.count }

    /// What the runs came to so far.
    ///
    /// - Throws: `TrainingError` when what a run has logged cannot be read.
    package var results: SweepResults {
        get throws { try SweepResults(sweep, items.map { ($0.run, $0.state) }, failures: failures) }
    }

    /// Trains what is not finished, and keeps the results in the folder of the sweep up to date.
    ///
    /// - Parameters:
    ///   - keepsGoing: Whether the other runs go on when one fails; its error is thrown otherwise.
    ///   - shouldStop: Asked before each run.
    ///   - say: Takes lines for people.
    ///   - train: Trains a run to its end, or until the process is asked to stop.
    /// - Returns: What became of the runs.
    /// - Throws: `TrainingError` when another process runs the sweep, files cannot be written, or a run that is finished has
    ///   not logged the sweep's metric.
    package func run(
        keepsGoing: Bool,
        shouldStop: () -> Bool,
        say: (String) -> Void,
        train: (SweepRun) throws -> TrainingOutcome
    ) throws -> RunQueue<SweepRun>.Report {
        try TrainingError.translating { try FilePath.makeFolder(sweep.outputFolder) }
        let lock = try RunLock(folder: sweep.outputFolder)
        defer { withExtendedLifetime(lock) {} }
        for item in items where item.state.isFinished { try checkMetric(of: item.run) }
        var number = items.count { $0.state.isFinished }
        let queue = RunQueue(items.map { RunQueue.Entry([$0.run], state: $0.state) }, keepsGoing: keepsGoing)
        var problem: (any Error)?
        let report = try queue.run(shouldStop: { problem != nil || shouldStop() }, say: say) { entry in
            let run = entry.runs[0]
            number += 1
            say("run \(number) of \(items.count): \(run.name)")
            do {
                let outcome = try trained(run, train)
                // No run of the sweep would have the metric: that is not for the next one to find out.
                if outcome == .finished { do { try checkMetric(of: run) } catch { problem = error } }
                return outcome
            } catch {
                failures[run.outputFolder] = "\(error)"
                try results.write()
                throw error
            }
        }
        if let problem { throw problem }
        try results.write()
        return report
    }

    private func trained(_ run: SweepRun, _ train: (SweepRun) throws -> TrainingOutcome) throws -> TrainingOutcome {
        guard let place = items.firstIndex(where: { $0.run == run }) else { return .finished }
        try items[place].record.write()
        let outcome: TrainingOutcome
        do {
            outcome = try train(run)
        } catch {
            // Its own error says more than one about what it has left.
            if let reached = try? state(run) { items[place].state = reached }
            throw error
        }
        items[place].state = try state(run)
        try results.write()
        return outcome
    }

    private func checkMetric(of run: SweepRun) throws {
        guard let metric = sweep.metric else { return }
        try RunMeasurements(folder: run.outputFolder).check(metric)
    }
}
