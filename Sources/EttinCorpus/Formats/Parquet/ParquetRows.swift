/// The documents of a range of rows of a Parquet file, batch by batch.
struct ParquetRows {
    private let file: ParquetFile
    private let options: ReadingOptions
    private var range: Range<Int>
    private var texts: ParquetCursor
    private var ids: ParquetCursor?

    /// The rows of the file.
    var rowCount: Int { file.rowCount }
    /// How many rows of the range were not read yet.
    var rowsLeft: Int { range.count }

    init(_ file: ParquetFile, _ options: ReadingOptions, _ range: Range<Int>) throws {
        self.file = file
        self.options = options
        self.range = range
        guard let column = file.column(options.textField), column.type == .byteArray else {
            let found = file.column(options.textField) == nil ? "is not there" : "holds numbers"
            throw CorpusError(
                .missing,
                file: file.path,
                item: "column \(shown(options.textField))",
                found: found,
                expected: "text in one of \(file.columnNames.map { shown($0) }.joined(separator: ", "))"
            )
        }
        // Row groups that end in front of the range are not touched.
        var group = 0
        var start = 0
        while group < file.groupRowCounts.count, start + file.groupRowCounts[group] <= range.lowerBound {
            start += file.groupRowCounts[group]
            group += 1
        }
        texts = ParquetCursor(file, column, group: group)
        ids = file.column(options.idField).map { ParquetCursor(file, $0, group: group) }
        for _ in start..<range.lowerBound where !range.isEmpty {
            try texts.next { _ in }
            try ids?.next { _ in }
        }
    }

    /// The next rows, until their text or their number reaches a limit; nil when there are no more.
    mutating func next(bytes limit: Int, records: Int) throws -> DocumentBatch.Content? {
        guard let first = range.first else { return nil }
        var bytes: [UInt8] = []
        var ranges: [Range<Int>] = []
        var names: [String?] = []
        while bytes.count < limit, ranges.count < records, let row = range.popFirst() {
            let start = bytes.count
            let length = try texts.next { text -> Int? in
                bytes += text ?? []
                return text?.count
            }
            guard let length else { throw refused(row, "has no text", "a text in every row") }
            guard length <= options.longestDocumentBytes else {
                let limit = options.longestDocumentBytes
                throw refused(row, "has a document of \(length) bytes", "at most \(limit)")
            }
            ranges.append(start..<bytes.count)
            names.append(try ids?.next { $0.map { String(decoding: $0, as: UTF8.self) } } ?? nil)
        }
        return .rows(bytes, ranges, ids: names, first: first)
    }

    private func refused(_ row: Int, _ found: String, _ expected: String) -> CorpusError {
        CorpusError(.malformed, file: file.path, item: "row \(row)", found: found, expected: expected)
    }
}
