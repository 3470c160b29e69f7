import EttinFiles
import EttinJSON

/// A tensor to be written: what it is, and how to get at its values when their turn comes.
public struct TensorToWrite {
    /// Takes a piece of a tensor's values.
    package typealias Sink = (UnsafeRawBufferPointer) throws -> Void

    /// The tensor's name.
    public let name: String
    /// The type of its values.
    public let dtype: StoredDType
    /// Its dimensions.
    public let shape: [Int]
    /// Hands over the values, in one or several pieces.
    let values: (Sink) throws -> Void

    /// Describes a tensor.
    ///
    /// - Parameters:
    ///   - name: The tensor's name.
    ///   - dtype: The type of its values.
    ///   - shape: Its dimensions.
    ///   - values: Called once while the file is written; passes all values, contiguous, row-major and little-endian,
    ///     to its argument in one or several pieces.
    package init(name: String, dtype: StoredDType, shape: [Int], values: @escaping (Sink) throws -> Void) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.values = values
    }

    /// Describes a tensor whose values are in memory.
    ///
    /// - Parameters:
    ///   - name: The tensor's name.
    ///   - dtype: The type of its values.
    ///   - shape: Its dimensions.
    ///   - bytes: All values.
    public init(name: String, dtype: StoredDType, shape: [Int], bytes: [UInt8]) {
        self.init(name: name, dtype: dtype, shape: shape) { sink in try bytes.withUnsafeBytes(sink) }
    }

    /// Copies a tensor from another file.
    ///
    /// - Parameters:
    ///   - name: The name in the source.
    ///   - container: The source.
    ///   - newName: The name to write; the same unless given.
    /// - Throws: `CheckpointError` when the source has no such tensor.
    package init(copying name: String, from container: any TensorContainer, as newName: String? = nil) throws {
        guard let tensor = container.descriptor(name) else {
            throw CheckpointError(.missing, file: "the source", item: "tensor \(quoted(name))", found: "is not there")
        }
        self.init(name: newName ?? name, dtype: tensor.dtype, shape: tensor.shape) { sink in
            try container.withBytes(name, sink)
        }
    }
}

/// Writes safetensors files, byte for byte as the safetensors library writes the same tensors.
///
/// Tensors are ordered by dtype, widest first, then by name; the header is padded with spaces to a multiple of eight.
///
/// > Source: safetensors 0.8.0, `save_file`.
public enum SafetensorsWriter {
    /// The `__metadata__` that transformers writes and asks for.
    public static let defaultMetadata = ["format": "pt"]

    /// Writes a file, which appears complete or not at all.
    ///
    /// - Parameters:
    ///   - tensors: The tensors in any order.
    ///   - path: The file to create or replace.
    ///   - metadata: Text entries for `__metadata__`, written in the order of their keys; nothing when empty.
    /// - Returns: The size of the file in bytes.
    /// - Throws: `CheckpointError` for duplicate names, impossible shapes, values whose size is not that of the shape,
    ///   and failures of the file system; whatever a tensor's own `values` throws.
    @discardableResult
    public static func write(
        _ tensors: [TensorToWrite],
        to path: String,
        metadata: [String: String] = defaultMetadata
    ) throws -> Int {
        let layout = try Layout(tensors, path: path, metadata: metadata)
        try CheckpointError.translating {
            let file = try AtomicFile(path: path)
            try file.write(layout.header)
            for (tensor, expected) in layout.tensors {
                var written = 0
                try tensor.values { piece in
                    written += piece.count
                    guard written <= expected else { throw sizeError(tensor, path, atLeast: written, expected) }
                    try file.write(piece)
                }
                guard written == expected else { throw sizeError(tensor, path, exactly: written, expected) }
            }
            try file.commit()
        }
        return layout.header.count + layout.dataCount
    }

    private static func sizeError(
        _ tensor: TensorToWrite,
        _ path: String,
        atLeast: Int? = nil,
        exactly: Int? = nil,
        _ expected: Int
    ) -> CheckpointError {
        let found = atLeast.map { "\($0) bytes or more" } ?? "\(exactly ?? 0) bytes"
        return CheckpointError(
            .malformed,
            file: path,
            item: "tensor \(quoted(tensor.name))",
            found: "was given \(found)",
            expected: "\(expected) for \(tensor.dtype.rawValue) \(spelled(tensor.shape))"
        )
    }

    /// The order of a file and its header.
    private struct Layout {
        var tensors: [(tensor: TensorToWrite, byteCount: Int)] = []
        var header: [UInt8] = []
        var dataCount = 0

        init(_ input: [TensorToWrite], path: String, metadata: [String: String]) throws {
            var problems: [CheckpointError.Problem] = []
            var names: Set<ExactName> = []
            for tensor in input {
                let item = "tensor \(quoted(tensor.name))"
                if !names.insert(ExactName(tensor.name)).inserted {
                    problems.append(.init(.malformed, file: path, item: item, found: "is to be written twice"))
                }
                if tensor.name == "__metadata__" {
                    problems.append(.init(.unsupported, file: path, item: item, found: "has the name of the metadata"))
                }
                guard let count = tensor.dtype.byteCount(of: tensor.shape) else {
                    let found = "has shape \(spelled(tensor.shape)), which \(tensor.dtype.rawValue) values cannot fill"
                    problems.append(.init(.malformed, file: path, item: item, found: found))
                    continue
                }
                tensors.append((tensor, count))
            }
            guard problems.isEmpty else { throw CheckpointError(problems) }
            tensors.sort { left, right in
                let ranks = (left.tensor.dtype.rank, right.tensor.dtype.rank)
                if ranks.0 != ranks.1 { return ranks.0 > ranks.1 }
                return ExactName(left.tensor.name) < ExactName(right.tensor.name)
            }
            try makeHeader(path: path, metadata: metadata)
        }

        private mutating func makeHeader(path: String, metadata: [String: String]) throws {
            var writer = JSONWriter()
            writer.beginObject()
            if !metadata.isEmpty {
                writer.key("__metadata__")
                writer.write(
                    .object(
                        JSONObject(
                            metadata.sorted { ExactName($0.key) < ExactName($1.key) }
                                .map { ($0.key, .string($0.value)) }
                        )
                    )
                )
            }
            for (tensor, count) in tensors {
                let (end, overflow) = dataCount.addingReportingOverflow(count)
                guard !overflow else {
                    throw CheckpointError(.unsupported, file: path, found: "would be larger than 63 bits can count")
                }
                writer.key(tensor.name)
                writer.beginObject()
                writer.key("dtype")
                writer.write(.string(tensor.dtype.rawValue))
                writer.key("shape")
                writer.write(.array(tensor.shape.map { JSONValue($0) }))
                writer.key("data_offsets")
                writer.write([JSONValue(dataCount), JSONValue(end)])
                writer.endObject()
                dataCount = end
            }
            writer.endObject()
            var text = writer.bytes
            let padding = (8 - text.count % 8) % 8
            text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: padding))
            guard text.count <= SafetensorsHeader.lengthLimit else {
                throw CheckpointError(
                    .unsupported,
                    file: path,
                    found: "would have a header of \(text.count) bytes",
                    expected: "at most \(SafetensorsHeader.lengthLimit)"
                )
            }
            header = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
        }
    }
}
