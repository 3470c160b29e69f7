import EttinCorpus
import EttinFiles
import EttinJSON

/// Rows of a Parquet file, which is read from front to back, copied once into a temporary file where each can be found.
///
/// What is kept in memory is where each row begins.
final class SpooledTable: TextTable {
    let columnNames: [String]
    let name: String
    private let rows: MappedFile
    /// Where each row begins.
    private let starts: [Int]
    private let kinds: [TableColumnKind]
    /// The names of the parts of structures, which rows have by number.
    private let partNames: [String]

    /// Copies a Parquet file.
    init(parquet path: String) throws {
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
        var kinds = Array(repeating: TableColumnKind.null, count: file.fields.count)
        var starts: [Int] = []
        var writer = StoredValueWriter()
        rows = try TableError.naming {
            var source = try file.rows(of: file.fields)
            let spool = try SpoolFile(for: path)
            while let values = try source.next() {
                starts.append(spool.count)
                writer.bytes.removeAll(keepingCapacity: true)
                for (column, value) in values.enumerated() {
                    kinds[column] = kinds[column].merged(with: value.columnKind)
                    writer.append(value)
                }
                try writer.bytes.withUnsafeBytes { try spool.write($0) }
            }
            return try spool.mapped(as: path)
        }
        name = path
        columnNames = file.fields
        self.starts = starts
        self.kinds = kinds
        partNames = writer.partNames
    }

    var rowCount: Int { starts.count }

    func kind(ofColumn column: Int) -> TableColumnKind { kinds[column] }

    func place(ofRow row: Int) -> String { "\(name): row \(row)" }

    func values(row: Int, columns: [Int]) throws -> [TableValue] {
        try zip(columns, stored(row: row, columns: columns)).map { column, stored in
            guard let value = TableValue(stored) else {
                throw refused(
                    row,
                    column,
                    "is a structure, bytes or a date",
                    "texts, numbers, Booleans or lists of those"
                )
            }
            if case .integer(let number) = value, kinds[column] == .real { return .real(Double(number)) }
            return value
        }
    }

    func json(row: Int, columns: [Int]) throws -> [JSONValue] {
        try zip(columns, stored(row: row, columns: columns)).map { column, stored in
            guard let value = JSONValue(stored) else {
                throw refused(row, column, "has bytes or a date", "texts, numbers, Booleans, lists or structures")
            }
            return value
        }
    }

    /// The values of some columns; bytes have lost their content.
    private func stored(row: Int, columns: [Int]) -> [ParquetValue] {
        rows.withUnsafeBytes { bytes in
            let last = columns.max() ?? -1
            var reader = StoredValueReader(bytes: ByteReader(bytes, at: starts[row]), partNames: partNames)
            var all: [ParquetValue] = []
            while all.count <= last { all.append(reader.next()) }
            return columns.map { all[$0] }
        }
    }

    private func refused(_ row: Int, _ column: Int, _ found: String, _ expected: String) -> TableError {
        TableError(
            .unsupported,
            file: name,
            item: "row \(row) column \(shown(columnNames[column]))",
            found: found,
            expected: expected
        )
    }
}

/// What stands in front of the bytes of a value in the temporary file.
private enum StoredTag: UInt8 {
    case null, text, integer, real, no, yes, list, structure, other
}

/// Writes values as the temporary file has them: a tag and the bytes of the value.
private struct StoredValueWriter {
    var bytes: [UInt8] = []
    /// The names of the parts of structures, by the numbers that stand for them.
    private(set) var partNames: [String] = []
    private var partNumbers: [ExactName: Int] = [:]

    mutating func append(_ value: ParquetValue) {
        switch value {
        case .null: put(.null)
        case .string(let text):
            put(.text, UInt64(text.utf8.count))
            bytes.append(contentsOf: text.utf8)
        case .integer(let number): put(.integer, UInt64(bitPattern: number))
        case .unsigned(let number):
            if number <= UInt64(Int64.max) { put(.integer, number) } else { put(.other) }
        case .double(let number): put(.real, number.bitPattern)
        case .bool(let flag): put(flag ? .yes : .no)
        case .bytes: put(.other)
        case .list(let values):
            put(.list, UInt64(values.count))
            for value in values { append(value) }
        case .structure(let parts):
            put(.structure, UInt64(parts.count))
            for part in parts {
                let number = number(ofPart: part.name)
                put(bits: UInt64(number))
                append(part.value)
            }
        }
    }

    private mutating func put(_ tag: StoredTag, _ bits: UInt64? = nil) {
        bytes.append(tag.rawValue)
        if let bits { put(bits: bits) }
    }

    private mutating func put(bits: UInt64) {
        withUnsafeBytes(of: bits.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Names have a number, as a long one would otherwise be written for every row.
    private mutating func number(ofPart name: String) -> Int {
        if let number = partNumbers[ExactName(name)] { return number }
        partNumbers[ExactName(name)] = partNames.count
        partNames.append(name)
        return partNames.count - 1
    }
}

/// Reads what ``StoredValueWriter`` wrote.
private struct StoredValueReader {
    var bytes: ByteReader
    let partNames: [String]

    /// The next value; without bytes for one whose content was not kept.
    mutating func next() -> ParquetValue {
        switch bytes.byte().flatMap({ StoredTag(rawValue: $0) }) {
        case .null: return .null
        case .text:
            let length = Int(clamping: bits())
            guard let text = bytes.take(length) else { return .bytes([]) }
            return .string(String(decoding: text, as: UTF8.self))
        case .integer: return .integer(Int64(bitPattern: bits()))
        case .real: return .double(Double(bitPattern: bits()))
        case .no: return .bool(false)
        case .yes: return .bool(true)
        case .list:
            let length = length()
            var values: [ParquetValue] = []
            values.reserveCapacity(length)
            for _ in 0..<length { values.append(next()) }
            return .list(values)
        case .structure:
            let length = length()
            var parts: [ParquetValue.Field] = []
            for _ in 0..<length {
                let number = Int(clamping: bits())
                let value = next()
                guard partNames.indices.contains(number) else { return .bytes([]) }
                parts.append(ParquetValue.Field(name: partNames[number], value: value))
            }
            return .structure(parts)
        case .other, nil: return .bytes([])
        }
    }

    private mutating func bits() -> UInt64 { bytes.integer() ?? 0 }

    /// The number of values that follow, of which each has a byte at least.
    private mutating func length() -> Int {
        let length = Int(clamping: bits())
        return min(length, bytes.remaining)
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

extension JSONValue {
    /// A value of Parquet with the structures in it; nil for one that is not read.
    fileprivate init?(_ value: ParquetValue) {
        switch value {
        case .list(let values):
            var elements: [JSONValue] = []
            for value in values {
                guard let element = JSONValue(value) else { return nil }
                elements.append(element)
            }
            self = .array(elements)
        case .structure(let parts):
            var object = JSONObject()
            for part in parts {
                guard let value = JSONValue(part.value) else { return nil }
                object[part.name] = value
            }
            self = .object(object)
        default:
            guard let value = TableValue(value) else { return nil }
            self = value.json
        }
    }
}

extension ParquetValue {
    /// What a column of such values is.
    fileprivate var columnKind: TableColumnKind {
        switch self {
        case .null: .null
        case .bool: .boolean
        case .integer: .integer
        case .unsigned(let number): Int(exactly: number) == nil ? .other : .integer
        case .double: .real
        case .string: .text
        case .list: .list
        case .bytes, .structure: .other
        }
    }
}
