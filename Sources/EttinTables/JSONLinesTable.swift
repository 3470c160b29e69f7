import EttinFiles
import EttinJSON

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Objects, one on each line of a file, that are read when they are asked for.
///
/// Opening reads the whole file once: every line must be an object, and the columns are the keys of all of them in the
/// order in which they are met, as `datasets` takes them. A row without a key has `null` there, and blank lines are
/// passed over. What is kept is where each row begins.
final class JSONLinesTable: TextTable {
    let columnNames: [String]
    let name: String
    private let file: MappedFile
    /// Where each row begins, and where the line behind the last one would; blank lines in between belong to the row in
    /// front of them.
    private let starts: [Int]
    private let hasBlankLines: Bool
    private let kinds: [TableColumnKind]

    private static let expected = "an object with the columns of a row"
    private static let options = JSONParsingOptions(allowsNonFiniteNumbers: true)

    init(_ file: MappedFile, name: String) throws {
        self.file = file
        self.name = name
        var starts: [Int] = []
        var (position, lineNumber, blankLines) = (0, 0, 0)
        var columns = JSONColumns()
        try file.withUnsafeBytes { bytes in
            while position < bytes.count {
                let end = Self.lineEnd(bytes, from: position)
                let line = UnsafeRawBufferPointer(rebasing: bytes[position..<end])
                lineNumber += 1
                if line.first != UInt8(ascii: "{"), JSONLine.isBlank(line) {
                    blankLines += 1
                    position = min(bytes.count, end + 1)
                    continue
                }
                do {
                    try Self.read(line, isFirst: position == 0) { try columns.note(&$0, row: starts.count) }
                } catch {
                    throw Self.fault(error, line, number: lineNumber, name: name)
                }
                starts.append(position)
                position = min(bytes.count, end + 1)
            }
        }
        // Of a last line without a line feed, the end is where that would be.
        let endsOpen = file.withUnsafeBytes { !$0.isEmpty && $0[$0.count - 1] != 0x0A }
        starts.append(position + (endsOpen ? 1 : 0))
        self.starts = starts
        hasBlankLines = blankLines > 0
        columnNames = columns.names
        kinds = columns.kinds
        guard !columnNames.isEmpty else {
            throw TableError(
                .malformed,
                file: name,
                found: starts.count == 1 ? "has no rows" : "has no columns",
                expected: "one JSON object per line"
            )
        }
    }

    var rowCount: Int { starts.count - 1 }

    func kind(ofColumn column: Int) -> TableColumnKind { kinds[column] }

    func place(ofRow row: Int) -> String { "\(name): line \(lineNumber(ofRow: row))" }

    private func lineNumber(ofRow row: Int) -> Int {
        guard hasBlankLines else { return row + 1 }
        return file.withUnsafeBytes { $0[..<starts[row]].count { $0 == 0x0A } } + 1
    }

    func values(row: Int, columns: [Int]) throws -> [TableValue] {
        try read(row: row, columns: columns, absent: .null) { try value(&$0, column: $1) }
    }

    func json(row: Int, columns: [Int]) throws -> [JSONValue] {
        try read(row: row, columns: columns, absent: .null) { reader, _ in try reader.readValue() }
    }

    private func read<Value>(
        row: Int,
        columns: [Int],
        absent: Value,
        _ body: (inout JSONReader, _ column: Int) throws -> Value
    ) throws -> [Value] {
        var values = [Value](repeating: absent, count: columns.count)
        try file.withUnsafeBytes { bytes in
            let line = UnsafeRawBufferPointer(rebasing: bytes[starts[row]..<starts[row + 1] - 1])
            var remaining = columns.count
            do {
                try Self.read(line, isFirst: starts[row] == 0) { reader in
                    try reader.beginObject()
                    var guess = 0
                    while remaining > 0, let key = try reader.nextKey() {
                        let column = Self.column(key, columnNames, guess: guess)
                        guess = (column ?? guess) + 1
                        guard let column, let place = columns.firstIndex(of: column) else {
                            try reader.skipValue()
                            continue
                        }
                        remaining -= 1
                        values[place] = try body(&reader, column)
                        for other in columns.indices where other > place && columns[other] == column {
                            values[other] = values[place]
                            remaining -= 1
                        }
                    }
                }
            } catch {
                throw Self.fault(error, line, number: lineNumber(ofRow: row), name: name)
            }
        }
        return values
    }

    private func value(_ reader: inout JSONReader, column: Int) throws -> TableValue {
        let value = try Self.value(&reader)
        guard let value else {
            throw JSONLine.Fault(
                found: "has an object in the column \(shown(columnNames[column]))",
                expected: "texts, numbers, Booleans or lists of those"
            )
        }
        if case .integer(let number) = value, kinds[column] == .real { return .real(Double(number)) }
        return value
    }

    /// A value; nil for one with an object.
    private static func value(_ reader: inout JSONReader) throws(JSONError) -> TableValue? {
        switch try reader.peekKind() {
        case .null:
            try reader.readNull()
            return .null
        case .bool: return .boolean(try reader.readBool())
        case .number:
            let number = try reader.readNumber()
            return number.int.map { .integer($0) } ?? .real(number.double)
        case .string: return .text(try reader.readString())
        case .array:
            var elements: [TableValue] = []
            var isWhole = true
            try reader.beginArray()
            while try reader.nextElement() {
                if let element = try value(&reader) { elements.append(element) } else { isWhole = false }
            }
            return isWhole ? .list(elements) : nil
        case .object:
            try reader.skipValue()
            return nil
        }
    }

    // MARK: - Lines

    private static func lineEnd(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        guard let base = bytes.baseAddress, let found = memchr(base + start, 0x0A, bytes.count - start) else {
            return bytes.count
        }
        return UnsafeRawPointer(found) - base
    }

    private static func read(
        _ line: UnsafeRawBufferPointer,
        isFirst: Bool,
        _ body: (inout JSONReader) throws -> Void
    ) throws {
        guard isFirst || line.first != 0xEF else {
            throw JSONLine.Fault(found: "is not a row", expected: expected)
        }
        try line.withMemoryRebound(to: UInt8.self) { bytes in
            var reader = JSONReader(bytes, options: options)
            try body(&reader)
        }
    }

    /// The number of the column that a key names, which is likely to be the one guessed.
    fileprivate static func column(
        _ key: UnsafeBufferPointer<UInt8>,
        _ names: [String],
        guess: Int
    ) -> Int? {
        if guess < names.count, key.elementsEqual(names[guess].utf8) { return guess }
        return names.firstIndex { key.elementsEqual($0.utf8) }
    }

    /// What is wrong with a line, in the words that all readers of JSON Lines share.
    private static func fault(
        _ error: any Error,
        _ line: UnsafeRawBufferPointer,
        number: Int,
        name: String
    ) -> any Error {
        func located(_ fault: JSONLine.Fault) -> TableError {
            TableError(
                .malformed,
                file: name,
                item: "line \(number)",
                found: fault.found,
                expected: fault.expected
            )
        }
        do {
            try JSONLine.read(line, isFirst: number == 1, expected: expected) { reader, _ in try reader.skipValue() }
        } catch let fault as JSONLine.Fault {
            return located(fault)
        } catch {}
        if let fault = error as? JSONLine.Fault { return located(fault) }
        guard let error = error as? JSONError else { return error }
        return located(JSONLine.Fault(found: "is not JSON: \(error.reason)", expected: expected))
    }
}

/// The columns that the objects of a file have.
private struct JSONColumns {
    private(set) var names: [String] = []
    private(set) var kinds: [TableColumnKind] = []
    /// The last row that had each column.
    private var rows: [Int] = []

    /// More keys than this are data, not columns.
    private static let limit = 4096

    /// Takes note of the next object.
    mutating func note(_ reader: inout JSONReader, row: Int) throws {
        guard try reader.peekKind() == .object else { throw JSONLine.Fault(found: "is no object", expected: "one") }
        try reader.beginObject()
        var guess = 0
        while let key = try reader.nextKey() {
            let column: Int
            if let known = JSONLinesTable.column(key, names, guess: guess) {
                column = known
            } else {
                guard names.count < Self.limit else {
                    throw JSONLine.Fault(
                        found: "has the column number \(Self.limit + 1)",
                        expected: "at most \(Self.limit) columns, the same in all rows"
                    )
                }
                column = names.count
                names.append(String(decoding: key, as: UTF8.self))
                kinds.append(.null)
                rows.append(-1)
            }
            guard rows[column] != row else {
                throw JSONLine.Fault(
                    found: "has the key \(shown(names[column])) twice",
                    expected: "each column once"
                )
            }
            rows[column] = row
            guess = column + 1
            let kind = try kind(&reader)
            if kind != kinds[column] { kinds[column] = kinds[column].merged(with: kind) }
        }
        try reader.finish()
    }

    private func kind(_ reader: inout JSONReader) throws(JSONError) -> TableColumnKind {
        switch try reader.peekKind() {
        case .null:
            try reader.readNull()
            return .null
        case .bool:
            _ = try reader.readBool()
            return .boolean
        case .number: return try reader.readNumber().int == nil ? .real : .integer
        case .string:
            _ = try reader.readStringBytes()
            return .text
        case .array:
            try reader.skipValue()
            return .list
        case .object:
            try reader.skipValue()
            return .other
        }
    }
}
