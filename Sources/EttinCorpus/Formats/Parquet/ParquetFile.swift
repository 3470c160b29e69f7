/// A Parquet file to read.
///
/// ```swift
/// let file = try ParquetFile(path: "train.parquet")
/// var rows = try file.rows(of: ["text", "meta.url"])
/// while let values = try rows.next() { … }
/// ```
package final class ParquetFile: Sendable {
    /// The path as it was given.
    package let path: String
    /// The number of rows.
    package let rowCount: Int
    /// All columns at the lowest level of nesting, in the order of the file.
    package let columns: [ParquetColumn]
    /// The names of the outermost columns, in the order of the file.
    package let fields: [String]

    let source: ParquetSource
    let schema: ParquetSchema
    let rowGroups: [ParquetRowGroup]

    /// Opens a file and reads its footer.
    ///
    /// - Parameter path: The file.
    /// - Throws: `CorpusError` when it cannot be read, is not a Parquet file, or is encrypted.
    package init(path: String) throws {
        let source = try ParquetSource(path: path)
        let footer = try source.read(source.footer)
        (schema, rowGroups, rowCount) = try ParquetFailure.naming(path, "footer") {
            let metadata = try footer.withUnsafeBytes { try ParquetMetadata($0) }
            guard !metadata.isEncrypted else {
                throw ParquetFailure(.unsupported, "names an encryption", expected: "a file without encryption")
            }
            let schema = try ParquetSchema(metadata.schema)
            for (index, group) in metadata.rowGroups.enumerated() where group.columns.count != schema.leaves.count {
                throw ParquetFailure(
                    "has \(group.columns.count) columns in row group \(index)",
                    expected: "\(schema.leaves.count), as in the schema"
                )
            }
            return (schema, metadata.rowGroups, metadata.rowCount)
        }
        self.path = path
        self.source = source
        fields = schema.fields.map(\.name)
        columns = schema.leaves.map {
            ParquetColumn(path: $0.name, type: $0.type.name, isText: $0.annotation == .text)
        }
    }

    /// Reads rows from front to back; one page of each column is in memory.
    ///
    /// - Parameters:
    ///   - names: The columns to read: outermost ones, or parts of structures with dots between the names.
    ///   - range: The rows to read; nil for all.
    ///   - replacesInvalidText: Whether ill-formed UTF-8 becomes U+FFFD instead of an error.
    /// - Returns: The rows.
    /// - Throws: `CorpusError` when there is no such column.
    package func rows(
        of names: [String],
        in range: Range<Int>? = nil,
        replacesInvalidText: Bool = false
    ) throws -> ParquetRows {
        let range = range ?? 0..<rowCount
        precondition(range.lowerBound >= 0 && range.upperBound <= rowCount, "ParquetFile: rows beyond the end")
        let paths = try names.map { name in
            guard let path = schema.find(name) else {
                let others = fields.prefix(16).map { shown($0) }.joined(separator: ", ")
                throw CorpusError(
                    .missing,
                    file: path,
                    item: "column \(shown(name))",
                    found: "is not there",
                    expected: "one of \(others)\(fields.count > 16 ? ", …" : ""), or a part of one"
                )
            }
            return path
        }
        return ParquetRows(self, names, paths, range, replacesInvalidText: replacesInvalidText)
    }

    /// Whether there is such a column, or part of a structure.
    ///
    /// - Parameter name: The name, with dots within structures.
    /// - Returns: Whether `rows` can be asked for it.
    package func has(_ name: String) -> Bool { schema.find(name) != nil }
}

/// Rows of a Parquet file, from front to back.
package struct ParquetRows {
    private let file: ParquetFile
    private let names: [String]
    private let paths: [[ParquetNode]]
    private let replacesInvalidText: Bool
    private let end: Int
    private let start: Int
    /// The row that is next.
    private var row = 0
    private var nextGroup = 0
    private var rowsLeftInGroup = 0
    private var columns: [ParquetAssembler] = []
    /// For each column that was asked for, by the leaves below it.
    private var buffers: [[Int: ParquetBuffers]]

    init(
        _ file: ParquetFile,
        _ names: [String],
        _ paths: [[ParquetNode]],
        _ range: Range<Int>,
        replacesInvalidText: Bool
    ) {
        self.file = file
        self.names = names
        self.paths = paths
        self.replacesInvalidText = replacesInvalidText
        buffers = Array(repeating: [:], count: paths.count)
        start = range.lowerBound
        end = range.upperBound
    }

    /// The next row.
    ///
    /// - Returns: The values of the columns, in the order in which they were asked for; nil behind the last row.
    /// - Throws: `CorpusError` naming file, row and column when the bytes are damaged or cannot be read.
    package mutating func next() throws -> [ParquetValue]? {
        while true {
            guard row < end, start < end else { return nil }
            while rowsLeftInGroup == 0 { try openGroup() }
            let values = try columns.indices.map { column in
                try ParquetFailure.naming(file.path, item(column)) { try columns[column].next() }
            }
            row += 1
            rowsLeftInGroup -= 1
            if rowsLeftInGroup == 0 {
                for column in columns.indices {
                    try ParquetFailure.naming(file.path, item(column)) { try columns[column].finish() }
                }
            }
            if row > start { return values }
        }
    }

    /// Opens the columns of the next row group, or passes over it when all its rows lie before the first one asked for.
    private mutating func openGroup() throws {
        let group = file.rowGroups[nextGroup]
        nextGroup += 1
        if row + group.rowCount <= start {
            row += group.rowCount
            return
        }
        // Those of the row group before let go of the buffers.
        columns = []
        columns = try paths.indices.map { column in
            try ParquetFailure.naming(file.path, item(column)) {
                try ParquetAssembler(path: paths[column][...]) { leaf in
                    let leafBuffers = buffers[column][leaf.index] ?? ParquetBuffers()
                    buffers[column][leaf.index] = leafBuffers
                    return try ParquetColumnReader(
                        file.source,
                        leaf,
                        group.columns[leaf.index],
                        buffers: leafBuffers,
                        replacesInvalidText: replacesInvalidText
                    )
                }
            }
        }
        rowsLeftInGroup = group.rowCount
    }

    private func item(_ column: Int) -> String { "row \(row) column \(shown(names[column]))" }
}
