import EttinFiles
import EttinJSON

/// Reads an order data set from JSON Lines: an object with `input_ids` and `step` on each line.
package final class OrderRowFile {
    private static let longestLine = 1 << 30

    private let path: String
    private var lines: RecordSplitter
    private var line = 0

    /// Opens a file.
    ///
    /// - Parameter path: The file.
    /// - Throws: `CorpusError` when it cannot be read.
    package init(path: String) throws {
        self.path = path
        let stream = try ByteStream(OrderInput.file(path, .jsonLines))
        lines = RecordSplitter(stream, path: path, separator: [0x0A], longestRecord: Self.longestLine)
    }

    /// The order of the file, from where it was read to.
    package var order: ExplicitOrder { ExplicitOrder(name: path) { try self.next() } }

    /// Where the next row begins in the file.
    var offset: Int { lines.offset }

    /// The next row.
    ///
    /// - Returns: The row; nil at the end.
    /// - Throws: `CorpusError` for a line that is no row.
    package func next() throws -> OrderRow? {
        try lines.next { content in
            line += 1
            return try Self.row(content, path, isFirst: line == 1) { line }
        }
    }

    /// The last row of a file, found from the end; nil when there is none.
    static func last(_ path: String) throws -> OrderRow? {
        // Mapped, because only the pages at the end are touched.
        let file = try CorpusError.translating { try MappedFile(path: path) }
        return try file.withUnsafeBytes { bytes in
            guard !bytes.isEmpty else { return nil }
            let end = bytes.last == 0x0A ? bytes.count - 1 : bytes.count
            let start = bytes[..<end].lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
            return try row(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), path, isFirst: start == 0) {
                1 + bytes[..<start].count { $0 == 0x0A }
            }
        }
    }

    /// A line as a row; its number is asked for when it is none.
    private static func row(
        _ content: UnsafeRawBufferPointer,
        _ path: String,
        isFirst: Bool,
        line: () -> Int
    ) throws -> OrderRow {
        func fault(_ found: String, _ expected: String) -> CorpusError {
            CorpusError(.malformed, file: path, item: "line \(line())", found: found, expected: expected)
        }
        var step: Int?
        var ids: [Int32]?
        do {
            try JSONLine.read(content, isFirst: isFirst, expected: "{\"input_ids\": […], \"step\": …}") { reader, key in
                switch String(decoding: key, as: UTF8.self) {
                case "step": step = try reader.readInt()
                case "input_ids":
                    var values: [Int32] = []
                    try reader.beginArray()
                    while try reader.nextElement() {
                        guard let id = Int32(exactly: try reader.readInt()), id >= 0 else {
                            throw fault("holds an id that is negative or too large", "ids of at most 31 bits")
                        }
                        values.append(id)
                    }
                    ids = values
                default: try reader.skipValue()
                }
            }
        } catch let error as JSONLine.Fault {
            throw fault(error.found, error.expected)
        }
        guard let step, let ids else {
            throw fault("has no \(step == nil ? "\"step\"" : "\"input_ids\"")", "both \"input_ids\" and \"step\"")
        }
        return OrderRow(step: step, inputIDs: ids)
    }
}

extension OrderRow {
    /// The row as a line of JSON.
    var line: [UInt8] {
        var line = Array("{\"input_ids\": [".utf8)
        for (place, id) in inputIDs.enumerated() {
            if place > 0 { line += [0x2C, 0x20] }
            line += String(id).utf8
        }
        line += "], \"step\": \(step)}\n".utf8
        return line
    }
}
