import EttinFiles
import EttinJSON
import EttinTraining

/// Writes the ledger of a run, a line for each step as it is taken.
///
/// A line is the operating system's as soon as `append` returns; ``synchronize()`` before a checkpoint makes sure that
/// no checkpoint outlives the lines of its steps.
package final class DataLedgerWriter {
    private let file: AppendedFile
    /// The number of the next step.
    package private(set) var nextStep: Int
    /// The chain of the last step.
    package private(set) var head: SHA256Digest

    /// Begins a ledger, or continues that of a run that is resumed.
    ///
    /// Lines of later steps are cut off, and so is a last line that a kill left incomplete.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - batches: The number of batches of the checkpoint that is resumed; nil to begin anew, whatever
    ///     the file holds.
    ///   - expected: The chain of the last of those batches; nil where it is not known.
    /// - Throws: `TrainingError` when the file cannot be written, or does not hold an unbroken chain of those batches that
    ///   ends as expected; it is as it was then.
    package init(path: String, continuingAfterBatch batches: Int? = nil, endingIn expected: SHA256Digest? = nil) throws
    {
        var kept = 0
        (nextStep, head) = (0, .zero)
        if let batches, batches > 0 {
            // What lies behind may be anything after a loss of power.
            let ledger = try DataLedger(path: path, steps: batches)
            guard ledger.entries.count == batches else {
                throw TrainingError(
                    .missing,
                    path,
                    found: "has \(ledger.entries.count) steps",
                    expected: "the \(batches) of the checkpoint that is resumed"
                )
            }
            guard expected == nil || expected == ledger.head else {
                throw TrainingError(
                    .malformed,
                    path,
                    found: "has the chain \(ledger.head) at step \(batches - 1)",
                    expected: "that of the checkpoint that is resumed, \(expected ?? .zero)"
                )
            }
            kept = ledger.lineLengths.reduce(0, +)
            (nextStep, head) = (batches, ledger.head)
        }
        file = try TrainingError.translating { try AppendedFile(path: path, keptBytes: kept) }
    }

    /// Appends the next step.
    ///
    /// - Parameter data: What data the global batch was.
    /// - Returns: The line that was written.
    /// - Throws: `TrainingError` when it cannot be written.
    @discardableResult
    package func append(_ data: BatchFingerprint) throws -> DataLedger.Entry {
        let entry = DataLedger.Entry(step: nextStep, data: data, after: head)
        try TrainingError.translating { try file.append(entry.json.serialized() + [UInt8(ascii: "\n")]) }
        (nextStep, head) = (nextStep + 1, entry.chain)
        return entry
    }

    /// Waits until all lines are on the disk.
    ///
    /// - Throws: `TrainingError` when the file system refuses.
    package func synchronize() throws {
        try TrainingError.translating { try file.sync() }
    }
}
