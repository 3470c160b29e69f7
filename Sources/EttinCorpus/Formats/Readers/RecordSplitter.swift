#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Cuts a stream of bytes into records at a separator.
///
/// A separator at the very end does not begin another record.
struct RecordSplitter {
    private let stream: ByteStream
    private let path: String
    private let separator: [UInt8]
    private let longestRecord: Int
    private var buffer: [UInt8] = []
    /// The part of the buffer that is not yet handed out.
    private var start = 0
    /// Everything before this place of the buffer was searched for the separator.
    private var searched = 0
    private var isAtEnd = false
    /// The position of the next record in the content.
    private(set) var offset: Int

    private static let blockSize = 1 << 20

    /// Without a separator the whole content is one record.
    init(_ stream: ByteStream, path: String, separator: [UInt8], longestRecord: Int, offset: Int = 0) {
        self.stream = stream
        self.path = path
        self.separator = separator
        self.longestRecord = longestRecord
        self.offset = offset
    }

    /// How far the file was read, in bytes on the disk.
    var filePosition: Int { stream.position }

    /// Calls `body` with the next record, without its separator; returns nil when there is none.
    mutating func next<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result? {
        var end = try nextEnd()
        let isLast = end == nil
        if isLast { end = buffer.count }
        guard let end, !(isLast && end == start) else { return nil }
        let result = try buffer.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
        let next = isLast ? end : end + separator.count
        offset += next - start
        start = next
        searched = start
        return result
    }

    /// The place of the next separator; nil when the rest has none.
    private mutating func nextEnd() throws -> Int? {
        while true {
            if let place = find() {
                guard place - start <= longestRecord else { throw tooLong() }
                return place
            }
            // A separator may lie across the end of what is there.
            searched = max(start, buffer.count - max(0, separator.count - 1))
            guard buffer.count - start <= longestRecord else { throw tooLong() }
            guard !isAtEnd else { return nil }
            try fill()
        }
    }

    private func tooLong() -> CorpusError {
        CorpusError(
            .unsupported,
            file: path,
            item: "byte \(offset)",
            found: "begins a document of more than \(longestRecord) bytes",
            expected: "shorter documents, another --separator or a larger --longest-document"
        )
    }

    private func find() -> Int? {
        guard let first = separator.first else { return nil }
        return buffer.withUnsafeBytes { bytes -> Int? in
            guard let base = bytes.baseAddress else { return nil }
            var position = searched
            while position + separator.count <= bytes.count {
                guard let found = memchr(base + position, Int32(first), bytes.count - position) else { return nil }
                position = UnsafeRawPointer(found) - base
                if bytes[position...].starts(with: separator) { return position }
                position += 1
            }
            return nil
        }
    }

    private mutating func fill() throws {
        if start > 0 {
            buffer.removeFirst(start)
            searched -= start
            start = 0
        }
        let before = buffer.count
        buffer += repeatElement(0, count: Self.blockSize)
        let count = try buffer.withUnsafeMutableBytes { bytes in
            try stream.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes[before...]))
        }
        buffer.removeLast(Self.blockSize - count)
        isAtEnd = count == 0
    }
}
