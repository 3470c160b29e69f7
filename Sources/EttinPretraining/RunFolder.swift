import EttinFiles
import EttinTraining

/// The names of a run's files.
///
/// ```
/// RUN/run.json                what the run is: recipe as it was resolved, kind, objective, versions
/// RUN/run.1.json              what it was before --accept-changes was first given, and so on
/// RUN/metrics.jsonl           a line for each batch that was logged, under Composer's names
/// RUN/ledger.jsonl            a line for each batch: what data it was
/// RUN/tensorboard/            the same metrics as event files
/// RUN/step100/                checkpoints: model folders that hold the state of training too
/// RUN/latest                  a link to the newest of them
/// PAIR/encoder/, PAIR/decoder/  the two runs of a pair trained in lockstep
/// ```
package struct RunFolder: Hashable, Sendable {
    /// The folder.
    package let path: String

    /// Names a run's folder.
    ///
    /// - Parameter path: The folder, which need not exist.
    package init(_ path: String) { self.path = path }

    /// What the run is.
    package var description: String { FilePath.joined(path, "run.json") }
    /// What the run was before changes of its recipe were accepted.
    ///
    /// - Parameter number: The number of the change, from 1.
    /// - Returns: The file.
    package func earlierDescription(_ number: Int) -> String { FilePath.joined(path, "run.\(number).json") }
    /// What was measured.
    package var metrics: String { FilePath.joined(path, JSONLinesLogger.fileName) }
    /// What data each step saw.
    package var ledger: String { FilePath.joined(path, "ledger.jsonl") }
    /// The folder of event files.
    package var events: String { FilePath.joined(path, TensorBoardLogger.folderName) }
}
