import EttinFiles

/// One row of a Parquet file, as far as a document needs it.
struct ParquetDocument: Sendable {
    let text: [UInt8]
    let id: String?
}

/// Reads the text and id columns of a Parquet file in batches.
struct ParquetDocuments {
    private let input: CorpusInput
    private let options: ReadingOptions
    private let hasIDs: Bool
    private var rows: ParquetRows
    /// The rows of this part.
    let range: Range<Int>
    /// The row that is next.
    private(set) var row: Int

    /// How many rows of the part were not read yet.
    var rowsLeft: Int { range.upperBound - row }

    /// Opens a file for a part of a job.
    init(_ input: CorpusInput, _ options: ReadingOptions, part: JobPart) throws {
        self.input = input
        self.options = options
        let file = try ParquetFile(path: input.path)
        range = part.range(of: file.rowCount)
        hasIDs = file.has(options.idField)
        row = range.lowerBound
        rows = try file.rows(
            of: [options.textField] + (hasIDs ? [options.idField] : []),
            in: range,
            replacesInvalidText: options.invalidText == .replace
        )
    }

    /// Some consecutive rows; none behind the last one.
    mutating func next(maximumBytes: Int, maximumRows: Int) throws -> [ParquetDocument] {
        var documents: [ParquetDocument] = []
        var byteCount = 0
        while byteCount < maximumBytes, documents.count < maximumRows, let values = try rows.next() {
            let text: [UInt8]
            switch values[0] {
            case .null: text = []
            case .string(let string): text = Array(string.utf8)
            case .bytes(let bytes): text = bytes
            case let other: throw refused("is \(other.kind)", "a string")
            }
            guard text.count <= options.longestDocumentBytes else {
                throw refused(
                    "is a document of more than \(options.longestDocumentBytes) bytes",
                    "shorter documents, or a larger --longest-document"
                )
            }
            documents.append(ParquetDocument(text: text, id: hasIDs ? Self.id(values[1]) : nil))
            byteCount += text.count
            row += 1
        }
        return documents
    }

    private static func id(_ value: ParquetValue) -> String? {
        switch value {
        case .string(let text): text
        case .integer(let number): String(number)
        case .unsigned(let number): String(number)
        default: nil
        }
    }

    private func refused(_ found: String, _ expected: String) -> CorpusError {
        CorpusError(
            .malformed,
            file: input.path,
            item: "row \(row) column \(shown(options.textField))",
            found: found,
            expected: expected
        )
    }
}
