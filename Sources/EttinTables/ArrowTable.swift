import EttinFiles
import EttinJSON

/// A stream of Arrow's record batches, as `datasets` saves it, read where it lies in the file's map.
///
/// What is kept in memory is where the buffers of each record batch are. Compressed buffers, dictionaries and views are
/// refused; structures, bytes and dates are columns whose values are refused.
///
/// > Source: Arrow, "IPC streaming format".
final class ArrowTable: TextTable {
    let columnNames: [String]
    let rowCount: Int
    let name: String
    private let file: MappedFile
    private let columns: [ArrowColumn]
    private let batches: [Batch]
    private let names: [String: [String]]

    /// Where a record batch is.
    private struct Batch: Sendable {
        let firstRow: Int
        let nodes: [(length: Int, nullCount: Int)]
        /// Places in the file.
        let buffers: [Range<Int>]
    }

    private static let most = 1 << 40

    /// Opens a file.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - classNames: The names of the classes of columns.
    /// - Throws: `TableError` when it cannot be read, or is of a kind that is not read.
    init(path: String, classNames: [String: [String]] = [:]) throws {
        let file = try TableError.translating { try MappedFile(path: path) }
        self.file = file
        name = path
        names = classNames
        (columns, batches, rowCount) = try file.withUnsafeBytes { bytes in
            do {
                return try Self.read(bytes)
            } catch let failure as ArrowFailure {
                throw TableError(failure.kind, file: path, found: failure.found, expected: failure.expected)
            }
        }
        columnNames = columns.map(\.name)
        var seen: Set<ExactName> = []
        for column in columnNames where !seen.insert(ExactName(column)).inserted {
            throw TableError(.malformed, file: path, item: "column \(shown(column))", found: "is there twice")
        }
    }

    func kind(ofColumn column: Int) -> TableColumnKind { columns[column].kind }

    func classNames(ofColumn column: Int) -> [String]? { names[columnNames[column]] }

    func place(ofRow row: Int) -> String { "\(name): row \(row)" }

    func values(row: Int, columns: [Int]) throws -> [TableValue] {
        try read(row: row, columns: columns) { try $0.value($1, $2) }
    }

    func json(row: Int, columns: [Int]) throws -> [JSONValue] {
        try read(row: row, columns: columns) { try $0.json($1, $2) }
    }

    private func read<Value>(
        row: Int,
        columns: [Int],
        _ body: (inout BatchReader, ArrowColumn, _ index: Int) throws -> Value
    ) throws -> [Value] {
        var (low, high) = (0, batches.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if batches[middle].firstRow <= row { low = middle } else { high = middle }
        }
        let batch = batches[low]
        return try file.withUnsafeBytes { bytes in
            return try columns.map { column in
                do {
                    var reader = BatchReader(bytes: bytes, batch: batch)
                    return try body(&reader, self.columns[column], row - batch.firstRow)
                } catch let failure as ArrowFailure {
                    throw TableError(
                        failure.kind,
                        file: name,
                        item: "row \(row) column \(shown(columnNames[column]))",
                        found: failure.found,
                        expected: failure.expected
                    )
                }
            }
        }
    }

    // MARK: - Messages

    private static func read(
        _ bytes: UnsafeRawBufferPointer
    ) throws -> (columns: [ArrowColumn], batches: [Batch], rowCount: Int) {
        // A file, unlike a stream, has this in front, and behind the end of its stream a footer.
        var reader = ByteReader(bytes, at: bytes.starts(with: "ARROW1".utf8) ? 8 : 0)
        var columns: [ArrowColumn]?
        var counts = (nodes: 0, buffers: 0)
        var batches: [Batch] = []
        var rowCount = 0
        while reader.remaining > 0 {
            guard let (metadata, body) = try message(&reader) else { break }
            let message = try FlatTable(root: metadata)
            guard let header = try message.table(2) else { throw ArrowFailure("has a message without a header") }
            switch try message.integer(1, default: UInt8(0)) {
            case 1:
                guard columns == nil else { throw ArrowFailure("has two schemas") }
                let schema = try ArrowColumn.all(header)
                counts = (schema.nodeCount, schema.bufferCount)
                columns = schema.columns
            case 3:
                guard let columns else { throw ArrowFailure("has a record batch in front of its schema") }
                let length = Int(try header.integer(0, default: Int64(0)))
                guard 0...most ~= length, rowCount <= most else { throw ArrowFailure("has a batch of \(length) rows") }
                let batch = try self.batch(header, body, firstRow: rowCount, counts)
                for column in columns where batch.nodes[column.node].length != length {
                    throw ArrowFailure(
                        "has \(batch.nodes[column.node].length) values of \(shown(column.name)) in a batch of \(length) rows"
                    )
                }
                if length > 0 { batches.append(batch) }
                rowCount += length
            case let kind:
                throw ArrowFailure(
                    .unsupported,
                    "has a message of Arrow's type \(kind)",
                    expected: "a schema and record batches without dictionaries"
                )
            }
        }
        guard let columns else { throw ArrowFailure("has no schema", expected: "a stream of Arrow's record batches") }
        return (columns, batches, rowCount)
    }

    /// The metadata of the next message and the place of its body; nil at the end of the stream.
    private static func message(
        _ reader: inout ByteReader
    ) throws -> (metadata: UnsafeRawBufferPointer, body: Range<Int>)? {
        guard var length = reader.integer(UInt32.self) else { throw ArrowFailure("ends within a message") }
        if length == .max {
            guard let next = reader.integer(UInt32.self) else { throw ArrowFailure("ends within a message") }
            length = next
        }
        if length == 0 { return nil }
        guard let metadata = reader.take(Int(length)) else {
            throw ArrowFailure(
                "has a message of \(length) bytes where \(reader.remaining) are left",
                expected: "a stream of Arrow's record batches"
            )
        }
        let bodyLength = try FlatTable(root: metadata).integer(3, default: Int64(0))
        let start = reader.position
        guard bodyLength >= 0, reader.take(Int(clamping: bodyLength)) != nil else {
            throw ArrowFailure("ends within a record batch of \(bodyLength) bytes")
        }
        return (metadata, start..<reader.position)
    }

    private static func batch(
        _ header: FlatTable,
        _ body: Range<Int>,
        firstRow: Int,
        _ counts: (nodes: Int, buffers: Int)
    ) throws -> Batch {
        guard try !header.has(3) else {
            throw ArrowFailure(
                .unsupported,
                "has compressed buffers",
                expected: "a file without compression; save_to_disk of datasets writes none"
            )
        }
        let nodes = try header.pairs(1)
        let buffers = try header.pairs(2)
        guard nodes.count == counts.nodes, buffers.count == counts.buffers else {
            throw ArrowFailure(
                "has a batch of \(nodes.count) nodes and \(buffers.count) buffers",
                expected: "\(counts.nodes) and \(counts.buffers), as the schema says"
            )
        }
        return Batch(
            firstRow: firstRow,
            nodes: try nodes.map { node in
                guard 0...most ~= node.first, 0...node.first ~= node.second else {
                    throw ArrowFailure("has a node of \(node.first) values, \(node.second) of them null")
                }
                return (node.first, node.second)
            },
            buffers: try buffers.map { buffer in
                guard buffer.first >= 0, buffer.second >= 0,
                    let end = buffer.first.adding(checked: buffer.second), end <= body.count
                else {
                    throw ArrowFailure("has a buffer outside its record batch")
                }
                return body.lowerBound + buffer.first..<body.lowerBound + end
            }
        )
    }

    // MARK: - Values

    /// Reads values of a record batch; every offset of the file is checked.
    private struct BatchReader {
        let bytes: UnsafeRawBufferPointer
        let batch: Batch
        /// How many elements the lists of a value may still have; offsets could promise any number in a few bytes.
        private var elementsLeft: Int
        private let mostElements: Int

        init(bytes: UnsafeRawBufferPointer, batch: Batch) {
            self.bytes = bytes
            self.batch = batch
            // Booleans are the smallest elements that take space in a file.
            mostElements = min(1 << 24, bytes.count.multiplied(checked: 8) ?? .max)
            elementsLeft = mostElements
        }

        mutating func value(_ column: ArrowColumn, _ index: Int) throws -> TableValue {
            let node = batch.nodes[column.node]
            guard index >= 0, index < node.length else {
                throw ArrowFailure("points at the value \(index) of \(node.length)")
            }
            if case .null = column.type { return .null }
            if node.nullCount > 0, !batch.buffers[column.buffer].isEmpty, try !bit(column.buffer, index) {
                return .null
            }
            switch column.type {
            case .null: return .null
            case .boolean: return .boolean(try bit(column.buffer + 1, index))
            case .integer(let bits, let isSigned): return try integer(column.buffer + 1, index, bits, isSigned)
            case .real(let byteCount):
                switch byteCount {
                case 2: return .real(Self.half(try load(column.buffer + 1, index, as: UInt16.self)))
                case 4: return .real(Double(Float(bitPattern: try load(column.buffer + 1, index, as: UInt32.self))))
                default: return .real(Double(bitPattern: try load(column.buffer + 1, index, as: UInt64.self)))
                }
            case .text(let isLarge):
                let range = try range(column.buffer + 1, index, isLarge)
                let content = batch.buffers[column.buffer + 2]
                guard range.upperBound <= content.count else { throw ArrowFailure("points outside its texts") }
                let start = content.lowerBound + range.lowerBound
                guard let text = validatedText(UnsafeRawBufferPointer(rebasing: bytes[start..<start + range.count]))
                else { throw ArrowFailure("is not UTF-8", expected: "text") }
                return .text(text)
            case .list(let isLarge, let element):
                return try list(element, try range(column.buffer + 1, index, isLarge))
            case .fixedList(let count, let element):
                guard let start = index.multiplied(checked: count), let end = start.adding(checked: count) else {
                    throw ArrowFailure("points outside its lists")
                }
                return try list(element, start..<end)
            case .structure, .other:
                throw ArrowFailure(
                    .unsupported,
                    "is a structure, bytes or a date",
                    expected: "texts, numbers, Booleans or lists of those"
                )
            }
        }

        /// That there are so many elements, and that a value may have them.
        private mutating func take(_ range: Range<Int>, of element: ArrowColumn) throws {
            elementsLeft -= min(range.count, elementsLeft + 1)
            guard elementsLeft >= 0 else {
                throw ArrowFailure(
                    .unsupported,
                    "has lists of more than \(mostElements) values",
                    expected: "shorter lists"
                )
            }
            guard range.upperBound <= batch.nodes[element.node].length else {
                throw ArrowFailure("points outside its lists")
            }
        }

        /// A value with the structures in it.
        mutating func json(_ column: ArrowColumn, _ index: Int) throws -> JSONValue {
            let elements: (column: ArrowColumn, range: Range<Int>)
            switch column.type {
            case .structure(let parts):
                guard try !isNull(column, index) else { return .null }
                var object = JSONObject()
                for part in parts { object[part.name] = try json(part, index) }
                return .object(object)
            case .list(let isLarge, let element):
                guard try !isNull(column, index) else { return .null }
                elements = (element, try range(column.buffer + 1, index, isLarge))
            case .fixedList(let count, let element):
                guard try !isNull(column, index) else { return .null }
                guard let start = index.multiplied(checked: count), let end = start.adding(checked: count) else {
                    throw ArrowFailure("points outside its lists")
                }
                elements = (element, start..<end)
            default: return try value(column, index).json
            }
            try take(elements.range, of: elements.column)
            return .array(try elements.range.map { try json(elements.column, $0) })
        }

        private func isNull(_ column: ArrowColumn, _ index: Int) throws -> Bool {
            let node = batch.nodes[column.node]
            guard index >= 0, index < node.length else {
                throw ArrowFailure("points at the value \(index) of \(node.length)")
            }
            guard node.nullCount > 0, !batch.buffers[column.buffer].isEmpty else { return false }
            return try !bit(column.buffer, index)
        }

        private mutating func list(_ element: ArrowColumn, _ range: Range<Int>) throws -> TableValue {
            try take(range, of: element)
            var values: [TableValue] = []
            values.reserveCapacity(range.count)
            for index in range { values.append(try value(element, index)) }
            return .list(values)
        }

        private func load<Value: FixedWidthInteger>(_ buffer: Int, _ index: Int, as type: Value.Type) throws -> Value {
            let range = batch.buffers[buffer]
            guard index < range.count / MemoryLayout<Value>.size else {
                throw ArrowFailure("points outside its values")
            }
            let place = range.lowerBound + index * MemoryLayout<Value>.size
            return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: Value.self))
        }

        private func bit(_ buffer: Int, _ index: Int) throws -> Bool {
            try load(buffer, index / 8, as: UInt8.self) >> UInt8(index % 8) & 1 == 1
        }

        private func integer(_ buffer: Int, _ index: Int, _ bits: Int, _ isSigned: Bool) throws -> TableValue {
            switch (bits, isSigned) {
            case (8, true): return .integer(Int(try load(buffer, index, as: Int8.self)))
            case (8, false): return .integer(Int(try load(buffer, index, as: UInt8.self)))
            case (16, true): return .integer(Int(try load(buffer, index, as: Int16.self)))
            case (16, false): return .integer(Int(try load(buffer, index, as: UInt16.self)))
            case (32, true): return .integer(Int(try load(buffer, index, as: Int32.self)))
            case (32, false): return .integer(Int(try load(buffer, index, as: UInt32.self)))
            case (_, true): return .integer(Int(try load(buffer, index, as: Int64.self)))
            default:
                let number = try load(buffer, index, as: UInt64.self)
                guard let number = Int(exactly: number) else {
                    throw ArrowFailure(.unsupported, "is \(number)", expected: "a number of 63 bits")
                }
                return .integer(number)
            }
        }

        private func range(_ buffer: Int, _ index: Int, _ isLarge: Bool) throws -> Range<Int> {
            let start =
                isLarge ? Int(try load(buffer, index, as: Int64.self)) : Int(try load(buffer, index, as: Int32.self))
            let end =
                isLarge
                ? Int(try load(buffer, index + 1, as: Int64.self)) : Int(try load(buffer, index + 1, as: Int32.self))
            guard start >= 0, end >= start else { throw ArrowFailure("has offsets \(start) and \(end)") }
            return start..<end
        }

        /// A number in half precision; not every platform has the type.
        private static func half(_ bits: UInt16) -> Double {
            let (exponent, fraction) = (Int(bits >> 10 & 31), Double(bits & 1023))
            let magnitude =
                switch exponent {
                case 0: fraction * 0x1p-24
                case 31: fraction == 0 ? Double.infinity : .nan
                default: Double(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
                }
            return bits >> 15 == 1 ? -magnitude : magnitude
        }
    }
}
