import EttinCorpus
import EttinFiles

/// A file of records that a run appends to, and that a later run reads before it goes on.
///
/// Each record is its length, its bytes and their hash. What a killed run left unfinished at the end is cut off.
final class RecordFile {
    let path: String
    private let kept: MappedFile?
    /// The places of the records that are there and were not asked for yet, the next one last.
    private var records: [Range<Int>] = []
    private var file: AppendedFile?
    private let keptBytes: Int

    private static let lengthSize = MemoryLayout<UInt64>.size
    private static let hashSize = MemoryLayout<UInt64>.size

    /// Opens a file; it is created with the first record.
    ///
    /// - Parameter path: The file.
    /// - Throws: ``EvaluationError`` when it cannot be read.
    init(path: String) throws {
        self.path = path
        guard FilePath.exists(path) else {
            (kept, keptBytes) = (nil, 0)
            return
        }
        let mapped = try EvaluationError.translating { try MappedFile(path: path) }
        var found: [Range<Int>] = []
        var end = 0
        mapped.withUnsafeBytes { bytes in
            while let record = Self.record(at: end, in: bytes) {
                found.append(record)
                end = record.upperBound + Self.hashSize
            }
        }
        (kept, keptBytes, records) = (mapped, end, found.reversed())
    }

    /// The next record of an earlier run; nil after the last.
    func next() throws -> [UInt8]? {
        guard let range = records.popLast(), let kept else { return nil }
        return kept.withUnsafeBytes { Array($0[range]) }
    }

    /// The next record of an earlier run; nil after the last.
    ///
    /// - Parameter byteCount: Its size.
    /// - Returns: Its bytes.
    /// - Throws: ``EvaluationError`` for another size.
    func next(byteCount: Int) throws -> [UInt8]? {
        guard let record = try next() else { return nil }
        guard record.count == byteCount else {
            throw EvaluationError(
                .malformed,
                file: path,
                found: "has a record of \(record.count) bytes",
                expected: "\(byteCount) bytes; remove the file to compute it again"
            )
        }
        return record
    }

    /// Appends a record, after all that were there.
    func append(_ record: [UInt8]) throws {
        try EvaluationError.translating {
            let file = try file ?? AppendedFile(path: path, keptBytes: keptBytes)
            self.file = file
            let length = withUnsafeBytes(of: UInt64(record.count).littleEndian) { Array($0) }
            let hash = record.withUnsafeBytes { HashAlgorithm.xxh3.digest($0) }
            try file.append(length + record + hash)
        }
    }

    private static func record(at start: Int, in bytes: UnsafeRawBufferPointer) -> Range<Int>? {
        guard bytes.count - start >= lengthSize + hashSize else { return nil }
        let length = bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self).littleEndian
        let first = start + lengthSize
        guard length <= UInt64(bytes.count - first - hashSize) else { return nil }
        let range = first..<first + Int(length)
        let hash = HashAlgorithm.xxh3.digest(UnsafeRawBufferPointer(rebasing: bytes[range]))
        return bytes[range.upperBound..<range.upperBound + hashSize].elementsEqual(hash) ? range : nil
    }
}
