import EttinCorpus
import EttinFiles

/// Rows of a format that is read from front to back, copied once into a temporary file where each can be found.
///
/// What is kept in memory is where each row begins.
final class SpooledTable: TextTable {
    let columnNames: [String]
    let name: String
    private let rows: MappedFile
    /// Where each row begins.
    private let starts: [Int]
    private let kinds: [TableColumnKind]

    /// Copies a Parquet file.
    convenience init(parquet path: String) throws {
        let file = try TableError.naming { try ParquetFile(path: path) }
        // A few bytes can promise any number of rows, and the copy takes memory for each.
        guard file.rowCount <= Int32.max else {
            throw TableError(
                .unsupported,
                file: path,
                found: "has \(file.rowCount) rows",
                expected: "at most \(Int32.max) rows"
            )
        }
        var rows = try TableError.naming { try file.rows(of: file.fields) }
        try self.init(name: path, columnNames: file.fields) {
            try TableError.naming { try rows.next() }?.map { TableValue($0) }
        }
    }

    /// Copies rows; a value that is not read is nil.
    init(name: String, columnNames: [String], _ next: () throws -> [TableValue?]?) throws {
        var kinds = Array(repeating: TableColumnKind.null, count: columnNames.count)
        var starts: [Int] = []
        var row: [UInt8] = []
        rows = try TableError.naming {
            let spool = try SpoolFile(for: name)
            while let values = try next() {
                starts.append(spool.count)
                row.removeAll(keepingCapacity: true)
                for (column, value) in values.enumerated() {
                    kinds[column] = kinds[column].merged(with: value.map(\.kind) ?? .other)
                    StoredValue.append(value, to: &row)
                }
                try row.withUnsafeBytes { try spool.write($0) }
            }
            return try spool.mapped(as: name)
        }
        self.name = name
        self.columnNames = columnNames
        self.starts = starts
        self.kinds = kinds
    }

    var rowCount: Int { starts.count }

    func kind(ofColumn column: Int) -> TableColumnKind { kinds[column] }

    func place(ofRow row: Int) -> String { "\(name): row \(row)" }

    func values(row: Int, columns: [Int]) throws -> [TableValue] {
        try rows.withUnsafeBytes { bytes in
            let last = columns.max() ?? -1
            var reader = ByteReader(bytes, at: starts[row])
            var all: [TableValue?] = []
            while all.count <= last { all.append(StoredValue.read(&reader)) }
            return try columns.map { column in
                guard let value = all[column] else {
                    throw TableError(
                        .unsupported,
                        file: name,
                        item: "row \(row) column \(shown(columnNames[column]))",
                        found: "is a structure, bytes or a date",
                        expected: "texts, numbers, Booleans or lists of those; JSON Lines may hold objects, too"
                    )
                }
                if case .integer(let number) = value, kinds[column] == .real { return .real(Double(number)) }
                return value
            }
        }
    }
}

/// Values as a temporary file has them: a tag and the bytes of the value.
private enum StoredValue {
    private enum Tag: UInt8 {
        case null, text, integer, real, no, yes, list, other
    }

    static func append(_ value: TableValue?, to bytes: inout [UInt8]) {
        func append(_ tag: Tag, _ bits: UInt64? = nil) {
            bytes.append(tag.rawValue)
            if let bits { withUnsafeBytes(of: bits.littleEndian) { bytes.append(contentsOf: $0) } }
        }
        switch value {
        case nil: append(.other)
        case .null: append(.null)
        case .text(let text):
            append(.text, UInt64(text.utf8.count))
            bytes.append(contentsOf: text.utf8)
        case .integer(let number): append(.integer, UInt64(bitPattern: Int64(number)))
        case .real(let number): append(.real, number.bitPattern)
        case .boolean(let flag): append(flag ? .yes : .no)
        case .list(let values):
            append(.list, UInt64(values.count))
            for value in values { self.append(value, to: &bytes) }
        }
    }

    /// The next value; nil for one that is not read.
    static func read(_ reader: inout ByteReader) -> TableValue? {
        func bits() -> UInt64 { reader.integer() ?? 0 }
        switch reader.byte().flatMap({ Tag(rawValue: $0) }) {
        case .null: return .null
        case .text:
            let text = reader.take(Int(clamping: bits()))
            return text.map { .text(String(decoding: $0, as: UTF8.self)) }
        case .integer: return .integer(Int(Int64(bitPattern: bits())))
        case .real: return .real(Double(bitPattern: bits()))
        case .no: return .boolean(false)
        case .yes: return .boolean(true)
        case .list:
            let count = Int(clamping: bits())
            return .list((0..<min(count, reader.remaining)).compactMap { _ in read(&reader) })
        case .other, nil: return nil
        }
    }
}

extension TableValue {
    /// A value of Parquet; nil for one that is not read.
    fileprivate init?(_ value: ParquetValue) {
        switch value {
        case .null: self = .null
        case .bool(let flag): self = .boolean(flag)
        case .integer(let number): self = .integer(Int(number))
        case .unsigned(let number):
            guard let number = Int(exactly: number) else { return nil }
            self = .integer(number)
        case .double(let number): self = .real(number)
        case .string(let text): self = .text(text)
        case .bytes, .structure: return nil
        case .list(let values):
            var elements: [TableValue] = []
            for value in values {
                guard let element = TableValue(value) else { return nil }
                elements.append(element)
            }
            self = .list(elements)
        }
    }

    /// What a column of such values is.
    var kind: TableColumnKind {
        switch self {
        case .null: .null
        case .text: .text
        case .integer: .integer
        case .real: .real
        case .boolean: .boolean
        case .list: .list
        }
    }
}
