import EttinFiles
import EttinJSON

/// Reads an order data set from JSON Lines: an object with `input_ids` and `step` on each line.
public final class OrderRowFile {
    private static let longestLine = 1 << 30

    private let path: String
    private var lines: RecordSplitter
    private var line = 0

    /// Opens a file.
    ///
    /// - Parameter path: The file.
    /// - Throws: `CorpusError` when it cannot be read.
    public init(path: String) throws {
        self.path = path
        let stream = try ByteStream(OrderInput.file(path, .jsonLines))
        lines = RecordSplitter(stream, path: path, separator: [0x0A], longestRecord: Self.longestLine)
    }

    /// The order of the file, from where it was read to.
    public var order: ExplicitOrder { ExplicitOrder(name: path) { try self.next() } }

    /// The next row.
    ///
    /// - Returns: The row; nil at the end.
    /// - Throws: `CorpusError` for a line that is no row.
    public func next() throws -> OrderRow? {
        while true {
            let row = try lines.next { content -> OrderRow? in
                line += 1
                return Self.isBlank(content) ? nil : try Self.row(content, path) { line }
            }
            guard let row else { return nil }
            if let row { return row }
        }
    }

    /// The last row of a file, found from the end; nil when there is none.
    static func last(_ path: String) throws -> OrderRow? {
        // Mapped, because only the pages at the end are touched.
        let file = try CorpusError.translating { try MappedFile(path: path) }
        return try file.withUnsafeBytes { bytes in
            var end = bytes.count
            while end > 0 {
                let start = bytes[..<end].lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
                let content = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
                if !isBlank(content) {
                    return try row(content, path) { 1 + bytes[..<start].count { $0 == 0x0A } }
                }
                end = max(0, start - 1)
            }
            return nil
        }
    }

    private static func isBlank(_ line: UnsafeRawBufferPointer) -> Bool {
        line.allSatisfy { $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }
    }

    /// A line as a row; its number is asked for when it is none.
    private static func row(
        _ content: UnsafeRawBufferPointer,
        _ path: String,
        line: () -> Int
    ) throws -> OrderRow {
        func fault(_ found: String, _ expected: String) -> CorpusError {
            CorpusError(.malformed, file: path, item: "line \(line())", found: found, expected: expected)
        }
        do {
            var reader = JSONReader(content.assumingMemoryBound(to: UInt8.self))
            var step: Int?
            var ids: [Int32]?
            try reader.beginObject()
            while let key = try reader.nextKey() {
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
                default: _ = try reader.skipValue()
                }
            }
            try reader.finish()
            guard let step, let ids else {
                throw fault("has no \(step == nil ? "\"step\"" : "\"input_ids\"")", "both \"input_ids\" and \"step\"")
            }
            return OrderRow(step: step, inputIDs: ids)
        } catch let error as JSONError {
            throw fault("is no row (\(error.reason))", "{\"input_ids\": […], \"step\": …}")
        }
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
