import EttinFiles
import EttinJSON

/// Reads an order data set from JSON Lines: an object with `input_ids` and `step` on each line.
public final class OrderRowFile {
    private let path: String
    private let file: MappedFile
    private var position = 0
    private var line = 0

    /// Opens a file.
    ///
    /// - Parameter path: The file.
    /// - Throws: `CorpusError` when it cannot be read.
    public init(path: String) throws {
        self.path = path
        file = try CorpusError.translating { try MappedFile(path: path) }
    }

    /// The order of the file, from where it was read to.
    public var order: ExplicitOrder { ExplicitOrder(name: path) { try self.next() } }

    /// The next row.
    ///
    /// - Returns: The row; nil at the end.
    /// - Throws: `CorpusError` for a line that is no row.
    public func next() throws -> OrderRow? {
        try file.withUnsafeBytes { bytes in
            while position < bytes.count {
                var reader = ByteReader(bytes, at: position)
                let rest = bytes.count - position
                let content = reader.line() ?? UnsafeRawBufferPointer(rebasing: bytes[position...])
                position += min(content.count + 1, rest)
                line += 1
                if content.allSatisfy({ $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }) { continue }
                return try row(content)
            }
            return nil
        }
    }

    private func row(_ content: UnsafeRawBufferPointer) throws -> OrderRow {
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

    private func fault(_ found: String, _ expected: String) -> CorpusError {
        CorpusError(.malformed, file: path, item: "line \(line)", found: found, expected: expected)
    }
}

/// Writes an order data set as JSON Lines.
///
/// The file appears when it is complete.
public final class OrderRowFileWriter {
    private let file: AtomicFile

    /// Starts a file.
    ///
    /// - Parameter path: The file.
    /// - Throws: `CorpusError` when it cannot be made.
    public init(path: String) throws {
        file = try CorpusError.translating { try AtomicFile(path: path) }
    }

    /// Appends a row.
    ///
    /// - Parameter row: The row; steps must not fall.
    /// - Throws: `CorpusError` when it cannot be written.
    public func append(_ row: OrderRow) throws {
        var line = Array("{\"input_ids\": [".utf8)
        for (place, id) in row.inputIDs.enumerated() {
            if place > 0 { line += [0x2C, 0x20] }
            line += String(id).utf8
        }
        line += "], \"step\": \(row.step)}\n".utf8
        try CorpusError.translating { try file.write(line) }
    }

    /// Makes the file appear under its name.
    ///
    /// - Throws: `CorpusError` when it cannot be written.
    public func finish() throws {
        try CorpusError.translating { try file.commit() }
    }
}
