import EttinFiles
import EttinJSON
import EttinModel

/// The formats in which embeddings are stored.
package enum EmbeddingFileFormat: String, Sendable, Hashable, CaseIterable {
    /// One JSON object per text, with `embedding` and `truncated`.
    case jsonl
    /// An array `[count, dimensions]` as `numpy.load` reads it, float32 or of bytes.
    case npy
    /// A tensor `embeddings` of `[count, dimensions]`, float32 or of bytes.
    case safetensors

    /// The format that a file's name ends in.
    ///
    /// - Parameter path: Such as `out.npy`.
    package init?(path: String) {
        guard let format = Self.allCases.first(where: { path.hasSuffix(".\($0.rawValue)") }) else { return nil }
        self = format
    }
}

/// Embeddings of any number type, as commands print and write them.
package protocol StoredEmbeddings {
    /// The number of embeddings.
    var count: Int { get }
    /// Whether each text was truncated.
    var isTruncated: [Bool] { get }

    /// Writes all embeddings to a file, which appears complete or not at all.
    ///
    /// - Parameters:
    ///   - path: The file to create or replace.
    ///   - format: The format.
    /// - Throws: `CheckpointError` when the file cannot be written.
    func write(to path: String, format: EmbeddingFileFormat) throws

    /// One embedding as a JSON object on one line, without a line feed.
    ///
    /// - Parameter index: The number of the text, from 0.
    /// - Returns: UTF-8 text.
    func jsonLine(_ index: Int) -> [UInt8]
}

extension TextEmbeddings: StoredEmbeddings {
    /// Writes all embeddings to a file, which appears complete or not at all.
    ///
    /// - Parameters:
    ///   - path: The file to create or replace.
    ///   - format: The format.
    /// - Throws: `CheckpointError` when the file cannot be written.
    package func write(to path: String, format: EmbeddingFileFormat) throws {
        switch format {
        case .jsonl:
            try CheckpointError.translating {
                let file = try AtomicFile(path: path)
                for index in 0..<count { try file.write(jsonLine(index) + [UInt8(ascii: "\n")]) }
                try file.commit()
            }
        case .npy:
            try NumPyFile.write(values, shape: [count, dimensions], to: path)
        case .safetensors:
            let tensor = TensorToWrite(name: "embeddings", dtype: .float32, shape: [count, dimensions]) { sink in
                try values.withUnsafeBytes(sink)
            }
            try SafetensorsWriter.write([tensor], to: path)
        }
    }

    /// One embedding as a JSON object, with the shortest digits that give the same float32.
    ///
    /// - Parameter index: The number of the text, from 0.
    /// - Returns: UTF-8 text on one line, without a line feed.
    package func jsonLine(_ index: Int) -> [UInt8] {
        let numbers = self[index].map { JSONValue.number(JSONNumber($0)) }
        return JSONValue.object(["embedding": .array(numbers), "truncated": .bool(isTruncated[index])]).serialized()
    }
}

extension QuantizedEmbeddings: StoredEmbeddings {
    /// Writes all embeddings to a file, which appears complete or not at all.
    ///
    /// - Parameters:
    ///   - path: The file to create or replace.
    ///   - format: The format.
    /// - Throws: `CheckpointError` when the file cannot be written.
    package func write(to path: String, format: EmbeddingFileFormat) throws {
        let shape = [count, bytesPerEmbedding]
        switch format {
        case .jsonl:
            try CheckpointError.translating {
                let file = try AtomicFile(path: path)
                for index in 0..<count { try file.write(jsonLine(index) + [UInt8(ascii: "\n")]) }
                try file.commit()
            }
        case .npy: try NumPyFile.write(bytes, isSigned: precision.isSigned, shape: shape, to: path)
        case .safetensors:
            let dtype: StoredDType = precision.isSigned ? .int8 : .uint8
            let tensor = TensorToWrite(name: "embeddings", dtype: dtype, shape: shape, bytes: bytes)
            try SafetensorsWriter.write([tensor], to: path)
        }
    }

    /// One embedding as a JSON object.
    ///
    /// - Parameter index: The number of the text, from 0.
    /// - Returns: UTF-8 text on one line, without a line feed.
    package func jsonLine(_ index: Int) -> [UInt8] {
        let numbers = self[index].map { JSONValue($0) }
        return JSONValue.object(["embedding": .array(numbers), "truncated": .bool(isTruncated[index])]).serialized()
    }
}
