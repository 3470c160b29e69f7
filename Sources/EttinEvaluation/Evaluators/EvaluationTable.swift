import EttinFiles

/// A table of an evaluator's metrics, which gets a line with each evaluation.
struct EvaluationTable {
    /// The name of the file.
    let file: String
    /// The headers of the metrics.
    let columns: [String]
    /// The ends of lines: Python's `csv` and those who write lines themselves differ.
    var lineEnd = "\r\n"

    /// Appends a line, and the headers before the first.
    ///
    /// - Parameters:
    ///   - values: The metrics, in the order of the columns.
    ///   - place: Where the run is; without a folder nothing is written.
    /// - Throws: ``EvaluationError`` when the file cannot be written.
    func append(_ values: [Double], at place: EvaluationPlace?) throws {
        try append(texts: values.map(pythonText), at: place)
    }

    /// Appends a line of numbers as they are to be written.
    ///
    /// - Parameters:
    ///   - texts: The metrics, in the order of the columns.
    ///   - place: Where the run is; without a folder nothing is written.
    /// - Throws: ``EvaluationError`` when the file cannot be written.
    func append(texts: [String], at place: EvaluationPlace?) throws {
        guard let place, let folder = place.folder else { return }
        try EvaluationError.translating {
            try FilePath.makeFolder(folder)
            let path = FilePath.joined(folder, file)
            let size = FilePath.fileSize(path) ?? 0
            let output = try AppendedFile(path: path, keptBytes: size)
            let epoch = place.epoch == -1 ? "-1" : "\(place.epoch)"
            let line = ([epoch, "\(place.step)"] + texts).joined(separator: ",")
            let header = (["epoch", "steps"] + columns).joined(separator: ",")
            try output.append(Array(((size == 0 ? [header] : []) + [line]).map { $0 + lineEnd }.joined().utf8))
        }
    }
}

/// Refuses a name that no file can have, before anything is measured.
///
/// - Parameters:
///   - name: The name; it may be empty.
///   - item: What it is called.
///   - evaluator: The evaluator whose files have it in their names.
/// - Throws: ``EvaluationError`` that names it.
func checkFileName(_ name: String, _ item: String = "name", in evaluator: String) throws {
    guard !name.isEmpty, !FilePath.isPlainName("_" + name) else { return }
    throw EvaluationError(
        .invalidOption,
        file: evaluator,
        item: item,
        found: "is \(quoted(name)), which names of files cannot hold",
        expected: "a name without slashes, colons and control characters, or no files (write_csv: false)"
    )
}

/// A number as Python's `str` writes it, or that of a NumPy scalar of its type.
func pythonText(_ value: some BinaryFloatingPoint & LosslessStringConvertible) -> String {
    value.isFinite ? "\(value)" : value.isNaN ? "nan" : value < 0 ? "-inf" : "inf"
}
