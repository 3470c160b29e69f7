/// How files of tables are read.
public struct TableOptions: Hashable, Sendable {
    /// The formats of single files.
    public enum Format: String, Hashable, Sendable, CaseIterable {
        /// One JSON object per line.
        case jsonLines = "jsonl"
        /// Values with commas between them.
        case csv
        /// Values with tabs between them.
        case tsv
        /// Parquet.
        case parquet
        /// A stream, or file, of Arrow's record batches.
        case arrow
    }

    /// What quotes are in CSV and TSV, by the names of Python's `csv`.
    public enum Quoting: String, Hashable, Sendable, CaseIterable {
        /// A value may stand in quotes, and then hold separators, line ends and quotes written twice.
        case minimal
        /// Quotes are ordinary characters.
        case none
    }

    /// The format of all files; nil to go by their names.
    public var format: Format?
    /// What separates the values of CSV and TSV, one ASCII character; nil for a comma or a tab by the format (`sep`).
    public var separator: Character?
    /// What quotes are in CSV and TSV.
    public var quoting: Quoting
    /// The names of the columns of CSV and TSV whose first line is data; nil when it has the names (`names`).
    public var columnNames: [String]?
    /// Whether `NA`, `None`, `null` and others of CSV and TSV are missing values, as they are to pandas and `datasets`
    /// (`keep_default_na`); otherwise they are texts.
    public var readsMissingValues: Bool

    /// Creates options.
    ///
    /// - Parameters:
    ///   - format: The format of all files.
    ///   - separator: What separates the values of CSV and TSV.
    ///   - quoting: What quotes are in CSV and TSV.
    ///   - columnNames: The names of the columns of CSV and TSV whose first line is data.
    ///   - readsMissingValues: Whether some words of CSV and TSV are missing values.
    public init(
        format: Format? = nil,
        separator: Character? = nil,
        quoting: Quoting = .minimal,
        columnNames: [String]? = nil,
        readsMissingValues: Bool = true
    ) {
        self.format = format
        self.separator = separator
        self.quoting = quoting
        self.columnNames = columnNames
        self.readsMissingValues = readsMissingValues
    }
}

extension TableOptions.Format {
    /// The format that the name of a file tells, without a compression's extension; nil for another file.
    init?(fileName: String) {
        let name = fileName.lowercased()
        let extensions: [(String, TableOptions.Format)] = [
            (".jsonl", .jsonLines), (".ndjson", .jsonLines), (".json", .jsonLines), (".csv", .csv), (".tsv", .tsv),
            (".parquet", .parquet), (".arrow", .arrow),
        ]
        guard let found = extensions.first(where: { name.hasSuffix($0.0) }) else { return nil }
        self = found.1
    }
}
