import EttinFiles

/// CSV and TSV, whose records are read when they are asked for.
///
/// Opening reads the whole file once, to find where records begin and what the values of each column are: whole numbers,
/// numbers, Booleans or texts, as pandas tells them.
final class SeparatedTable: TextTable {
    let columnNames: [String]
    let name: String
    private let file: MappedFile
    private let separator: UInt8
    private let options: TableOptions
    /// Where each record begins.
    private let starts: [Int]
    private let kinds: [TableColumnKind]

    init(_ file: MappedFile, name: String, format: TableOptions.Format, options: TableOptions) throws {
        let separator = options.separator ?? (format == .tsv ? "\t" : ",")
        guard let byte = separator.asciiValue, byte >= 0x20 && byte != 0x22 || byte == 0x09 else {
            throw TableError(
                .invalidOption,
                file: "sep",
                found: "is \(shown(String(separator)))",
                expected: "one ASCII character that is neither a quote nor a line end"
            )
        }
        self.file = file
        self.name = name
        self.options = options
        self.separator = byte
        (columnNames, starts, kinds) = try Self.examined(file, name, byte, options)
    }

    var rowCount: Int { starts.count }

    func kind(ofColumn column: Int) -> TableColumnKind { kinds[column] }

    func place(ofRow row: Int) -> String {
        guard starts.indices.contains(row) else { return name }
        return "\(name): line \(file.withUnsafeBytes { Self.line($0, starts[row]) })"
    }

    func values(row: Int, columns: [Int]) throws -> [TableValue] {
        try file.withUnsafeBytes { bytes in
            var scanner = Self.scanner(bytes, separator, options, at: starts[row])
            var fields: [SeparatedValues.Field] = []
            _ = try? scanner.next(&fields, limit: columnNames.count)
            return try columns.map { column in
                guard column < fields.count else { return .null }
                return try SeparatedValues.withContent(fields[column], of: bytes) { content in
                    try value(content, row: row, column: column)
                }
            }
        }
    }

    private func value(_ content: UnsafeRawBufferPointer, row: Int, column: Int) throws -> TableValue {
        if options.readsMissingValues, CellKinds.isMissing(content) { return .null }
        switch kinds[column] {
        case .integer: return CellKinds.integer(content).map { .integer($0) } ?? .null
        case .real: return CellKinds.real(content).map { .real($0) } ?? .null
        case .boolean: return CellKinds.boolean(content).map { .boolean($0) } ?? .null
        default:
            guard let text = validatedText(content) else {
                throw TableError(
                    .malformed,
                    file: name,
                    item:
                        "line \(file.withUnsafeBytes { Self.line($0, starts[row]) }) column \(shown(columnNames[column]))",
                    found: "is not UTF-8",
                    expected: "text"
                )
            }
            return .text(text)
        }
    }

    // MARK: - Opening

    private static let mostColumns = 4096

    private static func scanner(
        _ bytes: UnsafeRawBufferPointer,
        _ separator: UInt8,
        _ options: TableOptions,
        at position: Int
    ) -> SeparatedValues {
        SeparatedValues(bytes, separator: separator, allowsQuotes: options.quoting == .minimal, at: position)
    }

    private static func line(_ bytes: UnsafeRawBufferPointer, _ position: Int) -> Int {
        var line = 1
        for place in 0..<min(position, bytes.count) where bytes[place] == 0x0A { line += 1 }
        return line
    }

    private static func examined(
        _ file: MappedFile,
        _ name: String,
        _ separator: UInt8,
        _ options: TableOptions
    ) throws -> (names: [String], starts: [Int], kinds: [TableColumnKind]) {
        try file.withUnsafeBytes { bytes in
            let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
            var scanner = scanner(bytes, separator, options, at: bytes.starts(with: mark) ? mark.count : 0)
            var fields: [SeparatedValues.Field] = []
            func next(_ limit: Int) throws -> Int? {
                let begin = scanner.position
                do {
                    return try scanner.next(&fields, limit: limit)
                } catch {
                    throw TableError(
                        .malformed,
                        file: name,
                        item: "line \(line(bytes, begin))",
                        found: "begins a record that ends within quotes",
                        expected: "a closing quote, or quoting: none where quotes are ordinary characters"
                    )
                }
            }
            var names = options.columnNames ?? []
            if options.columnNames == nil {
                guard try next(mostColumns) != nil else {
                    throw TableError(
                        .malformed,
                        file: name,
                        found: "is empty",
                        expected: "a line with names of columns"
                    )
                }
                guard scanner.fieldCount <= mostColumns else {
                    throw TableError(
                        .unsupported,
                        file: name,
                        item: "line 1",
                        found: "names \(scanner.fieldCount) columns",
                        expected: "at most \(mostColumns)"
                    )
                }
                names = try headings(fields, bytes, name)
            }
            var starts: [Int] = []
            var cells = Array(repeating: CellKinds(readsMissingValues: options.readsMissingValues), count: names.count)
            while let start = try next(names.count) {
                guard scanner.fieldCount <= names.count else {
                    throw TableError(
                        .malformed,
                        file: name,
                        item: "line \(line(bytes, start))",
                        found: "has \(scanner.fieldCount) values",
                        expected:
                            "\(names.count), as there are columns; quoting: none where quotes are ordinary characters"
                    )
                }
                starts.append(start)
                for column in names.indices where !cells[column].isDecided {
                    guard column < fields.count else {
                        cells[column].noteMissing()
                        continue
                    }
                    SeparatedValues.withContent(fields[column], of: bytes) { cells[column].note($0) }
                }
            }
            return (names, starts, cells.map(\.kind))
        }
    }

    /// The names of the first line, made different as pandas does.
    private static func headings(
        _ fields: [SeparatedValues.Field],
        _ bytes: UnsafeRawBufferPointer,
        _ file: String
    ) throws -> [String] {
        var names: [String] = []
        for (column, field) in fields.enumerated() {
            let text = SeparatedValues.withContent(field, of: bytes) { validatedText($0) }
            guard var name = text else {
                throw TableError(.malformed, file: file, item: "line 1", found: "is not UTF-8", expected: "text")
            }
            if name.isEmpty { name = "Unnamed: \(column)" }
            let base = name
            var number = 0
            while names.contains(name) {
                number += 1
                name = "\(base).\(number)"
            }
            names.append(name)
        }
        return names
    }
}

/// What the values of a column of CSV can be read as.
struct CellKinds {
    private var canBeInteger = true
    private var canBeReal = true
    private var canBeBoolean = true
    private var hasMissing = false
    private var hasValues = false
    private let readsMissingValues: Bool

    init(readsMissingValues: Bool) { self.readsMissingValues = readsMissingValues }

    /// Whether more values change nothing.
    var isDecided: Bool { !canBeInteger && !canBeReal && !canBeBoolean }

    var kind: TableColumnKind {
        if !hasValues { return .null }
        // Whole numbers with gaps are numbers to pandas.
        if canBeInteger { return hasMissing ? .real : .integer }
        return canBeReal ? .real : canBeBoolean ? .boolean : .text
    }

    mutating func noteMissing() { hasMissing = true }

    mutating func note(_ content: UnsafeRawBufferPointer) {
        if readsMissingValues, Self.isMissing(content) { return noteMissing() }
        hasValues = true
        if canBeInteger, Self.integer(content) == nil { canBeInteger = false }
        if canBeReal, Self.real(content) == nil { canBeReal = false }
        if canBeBoolean, Self.boolean(content) == nil { canBeBoolean = false }
    }

    /// The words that pandas takes for missing values.
    private static let missing: [[UInt8]] = [
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
        "NULL", "NaN", "None", "n/a", "nan", "null",
    ].map { Array($0.utf8) }

    static func isMissing(_ content: UnsafeRawBufferPointer) -> Bool {
        content.count <= 8 && missing.contains { $0.count == content.count && content.elementsEqual($0) }
    }

    static func integer(_ content: UnsafeRawBufferPointer) -> Int? { number(content).flatMap { Int($0) } }

    static func real(_ content: UnsafeRawBufferPointer) -> Double? { number(content).flatMap { Double($0) } }

    /// A text that may be a decimal number, without blanks around it.
    private static func number(_ content: UnsafeRawBufferPointer) -> String? {
        guard content.count <= 64 else { return nil }
        let text = content.drop { $0 == 0x20 }
        let end = text.lastIndex { $0 != 0x20 }
        guard let first = text.first, let end else { return nil }
        let starts = "0123456789+-.iI".utf8
        guard starts.contains(first), !text.contains(where: { $0 | 0x20 == UInt8(ascii: "x") }) else { return nil }
        return String(decoding: text[...end], as: UTF8.self)
    }

    static func boolean(_ content: UnsafeRawBufferPointer) -> Bool? {
        guard content.count == 4 || content.count == 5 else { return nil }
        switch String(decoding: content, as: UTF8.self) {
        case "True", "TRUE", "true": return true
        case "False", "FALSE", "false": return false
        default: return nil
        }
    }
}
