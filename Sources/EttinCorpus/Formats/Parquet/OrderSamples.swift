import EttinFiles

/// The samples of an order data set: the ids that a training run has seen, sample by sample in the order of its steps.
///
/// Such a data set is a folder of Parquet files with the columns `input_ids` and `step`.
package struct OrderSamples {
    private var rest: [String]
    private var current: (path: String, rows: ParquetRows, row: Int)?

    /// Finds the files of a data set; they are opened one after the other.
    ///
    /// - Parameter path: A Parquet file, or a folder of them: `steps_000001_to_000100.parquet` and so on.
    /// - Throws: `CorpusError` when there are no such files.
    package init(path: String) throws {
        rest = try Self.files(path).reversed()
    }

    /// The files of a data set in the order of their steps.
    static func files(_ path: String) throws -> [String] {
        guard FilePath.kind(of: path) == .folder else { return [path] }
        let names = try CorpusError.translating { try FilePath.names(inFolder: path) }
        // Numbers have equally many digits until one needs more.
        let files = names.filter(isFile).sorted {
            ($0.utf8.count, ExactName($0)) < ($1.utf8.count, ExactName($1))
        }
        guard !files.isEmpty else {
            throw CorpusError(
                .missing,
                file: path,
                found: "has no Parquet files",
                expected: "files named steps_….parquet"
            )
        }
        return files.map { FilePath.joined(path, $0) }
    }

    /// Whether a name is that of a Parquet file.
    static func isFile(_ name: String) -> Bool { name.hasSuffix(".parquet") }

    /// The next sample.
    ///
    /// - Returns: The sample; nil when all are read.
    /// - Throws: `CorpusError` naming file and row when a file is not as expected.
    package mutating func next() throws -> OrderRow? {
        while true {
            if current == nil {
                guard let path = rest.popLast() else { return nil }
                current = (path, try ParquetFile(path: path).rows(of: ["step", "input_ids"]), 0)
            }
            if let values = try current?.rows.next(), let (path, _, row) = current {
                current?.row += 1
                return try sample(values, path, row)
            }
            current = nil
        }
    }

    /// The step of the last row of a file; nil when it has none.
    static func lastStep(_ path: String) throws -> Int? {
        let file = try ParquetFile(path: path)
        guard file.rowCount > 0 else { return nil }
        let row = file.rowCount - 1
        var rows = try file.rows(of: ["step"], in: row..<file.rowCount)
        return try rows.next().map { try step($0[0], path, row) }
    }

    private static func step(_ value: ParquetValue, _ path: String, _ row: Int) throws -> Int {
        if case .integer(let step) = value, step >= 0 { return Int(step) }
        var found = value.kind
        if case .integer(let number) = value { found = "\(number)" }
        throw refused("step", found, "a number of a step", path, row)
    }

    private static func refused(
        _ column: String,
        _ found: String,
        _ expected: String,
        _ path: String,
        _ row: Int
    ) -> CorpusError {
        CorpusError(
            .malformed,
            file: path,
            item: "row \(row) column \(shown(column))",
            found: "is \(found)",
            expected: expected
        )
    }

    private func sample(_ values: [ParquetValue], _ path: String, _ row: Int) throws -> OrderRow {
        let step = try Self.step(values[0], path, row)
        guard case .list(let elements) = values[1] else {
            throw Self.refused("input_ids", values[1].kind, "a list of ids", path, row)
        }
        let ids = try elements.map { element in
            guard case .integer(let id) = element, id >= 0, let id = Int32(exactly: id) else {
                if case .integer(let number) = element {
                    throw CorpusError(
                        .malformed,
                        file: path,
                        item: "row \(row) column \"input_ids\"",
                        found: "has the id \(number)",
                        expected: "an id from 0 to \(Int32.max)"
                    )
                }
                throw Self.refused("input_ids", element.kind, "a list of ids without gaps", path, row)
            }
            return id
        }
        return OrderRow(step: step, inputIDs: ids)
    }
}
