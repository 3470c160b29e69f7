/// A run of a list that a ``RunQueue`` works through.
package protocol QueuedRun {
    /// The folder of the run.
    var outputFolder: String { get }
    /// The folders of the runs that must be finished before.
    var dependencies: [String] { get }
}

/// Works through a list of runs, one after the other in this process.
///
/// What is finished is passed over, so that the same list, given again after a kill, goes on where it was. Everything a run
/// needs to be resumed lies in its folder; the queue keeps nothing.
package struct RunQueue<Run: QueuedRun> {
    /// Runs that train together, usually one.
    package struct Entry {
        package let runs: [Run]
        package let state: RunState

        package init(_ runs: [Run], state: RunState) { (self.runs, self.state) = (runs, state) }
    }

    /// What became of a list.
    package struct Report {
        /// Whether it was asked to stop.
        package var isInterrupted = false
        /// The folders of the runs that failed, with their errors, and of those that were left out because of them.
        package var failures: [(folder: String, reason: String)] = []
    }

    /// The list; each run stands behind those that it depends on.
    package let entries: [Entry]
    /// Whether the runs behind one that fails are run, but for those that depend on it; its error is thrown otherwise.
    package let keepsGoing: Bool

    package init(_ entries: [Entry], keepsGoing: Bool) { (self.entries, self.keepsGoing) = (entries, keepsGoing) }

    /// Runs what is not finished.
    ///
    /// - Parameters:
    ///   - shouldStop: Asked before each run.
    ///   - say: Takes lines for people.
    ///   - train: Trains the runs of an entry to their end, or until the process is asked to stop.
    /// - Returns: What became of the list.
    /// - Throws: What `train` throws, unless the queue keeps going.
    package func run(
        shouldStop: () -> Bool,
        say: (String) -> Void,
        train: (Entry) throws -> TrainingOutcome
    ) throws -> Report {
        var report = Report()
        for entry in entries {
            guard !shouldStop() else {
                report.isInterrupted = true
                break
            }
            if case .finished(let batch) = entry.state {
                for run in entry.runs { say("\(run.outputFolder): already finished, at batch \(batch)") }
                continue
            }
            let needed = entry.runs.flatMap(\.dependencies)
            if let failure = report.failures.first(where: { needed.contains($0.folder) }) {
                for run in entry.runs {
                    say("\(run.outputFolder): left out, as \(failure.folder) failed")
                    report.failures.append((run.outputFolder, "left out, as \(failure.folder) failed"))
                }
                continue
            }
            do {
                report.isInterrupted = try train(entry) == .interrupted
            } catch  where keepsGoing {
                for run in entry.runs {
                    say("error: \(run.outputFolder): \(error)")
                    report.failures.append((run.outputFolder, "\(error)"))
                }
            }
            if report.isInterrupted { break }
        }
        return report
    }
}
