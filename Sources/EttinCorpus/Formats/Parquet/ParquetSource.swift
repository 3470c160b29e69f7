import EttinFiles

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that is read at given positions.
///
/// It is read, not mapped: a file that shrinks meanwhile is an error, and pages that were passed take no memory.
final class ParquetSource: Sendable {
    let path: String
    let byteCount: Int
    private let descriptor: Int32

    /// The position behind all pages.
    let footer: Range<Int>
    var footerStart: Int { footer.lowerBound }

    /// Opens a file and finds its footer.
    init(path: String) throws {
        self.path = path
        guard FilePath.kind(of: path) != .folder else {
            throw CorpusError(.inputOutput, file: path, found: "is a folder", expected: "a Parquet file")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CorpusError(FileError.system(path, "cannot be opened")) }
        do {
            let end = lseek(descriptor, 0, SEEK_END)
            guard end >= 0 else { throw CorpusError(FileError.system(path, "cannot be examined")) }
            byteCount = Int(end)
            footer = try Self.footer(descriptor, path, Int(end))
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    private static func footer(_ descriptor: Int32, _ path: String, _ size: Int) throws -> Range<Int> {
        guard size >= 12 else {
            throw CorpusError(.malformed, file: path, found: "has \(size) bytes", expected: "a Parquet file")
        }
        let front = try read(descriptor, path, 0..<4)
        let tail = try read(descriptor, path, size - 8..<size)
        if Array(tail[4...]) == Array("PARE".utf8) {
            throw CorpusError(
                .unsupported,
                file: path,
                found: "is encrypted: it ends with PARE",
                expected: "a Parquet file without encryption, which ends with PAR1"
            )
        }
        for (place, magic) in [("begins", front), ("ends", Array(tail[4...]))] where magic != Array("PAR1".utf8) {
            throw CorpusError(
                .malformed,
                file: path,
                found: "\(place) with \(shown(String(decoding: magic, as: UTF8.self)))",
                expected: "PAR1"
            )
        }
        let length = tail.withUnsafeBytes { Int(UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self))) }
        guard length <= size - 12 else {
            throw CorpusError(
                .malformed,
                file: path,
                found: "has a footer of \(length) bytes in a file of \(size)",
                expected: "a footer within the file"
            )
        }
        return size - 8 - length..<size - 8
    }

    /// The bytes of a part of the file.
    func read(_ range: Range<Int>) throws -> [UInt8] { try Self.read(descriptor, path, range) }

    /// Reads a part of the file to the front of a buffer, which is replaced when it is too small.
    func read(_ range: Range<Int>, into buffer: inout [UInt8]) throws {
        guard buffer.count >= range.count else {
            buffer = try read(range)
            return
        }
        try buffer.withUnsafeMutableBufferPointer { try Self.read(descriptor, path, range, into: $0) }
    }

    private static func read(_ descriptor: Int32, _ path: String, _ range: Range<Int>) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            try read(descriptor, path, range, into: buffer)
            count = range.count
        }
    }

    private static func read(
        _ descriptor: Int32,
        _ path: String,
        _ range: Range<Int>,
        into buffer: UnsafeMutableBufferPointer<UInt8>
    ) throws {
        var count = 0
        while count < range.count {
            let found = pread(
                descriptor,
                buffer.baseAddress.map { $0 + count },
                min(range.count - count, 1 << 30),
                off_t(range.lowerBound + count)
            )
            if found < 0, errno == EINTR { continue }
            guard found >= 0 else { throw CorpusError(FileError.system(path, "cannot be read")) }
            guard found > 0 else {
                throw CorpusError(
                    .malformed,
                    file: path,
                    found: "ends at byte \(range.lowerBound + count)",
                    expected: "\(range.upperBound) bytes or more"
                )
            }
            count += found
        }
    }
}
