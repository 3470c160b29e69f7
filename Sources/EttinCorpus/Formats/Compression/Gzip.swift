import Czlib

/// gzip members.
enum Gzip {
    /// Asks zlib for a gzip header and trailer around the largest window.
    fileprivate static let windowBits: Int32 = 15 + 16

    static func compress(_ bytes: UnsafeRawBufferPointer, level: Int32, file: String) throws -> [UInt8] {
        let stream = newStream()
        defer { stream.deallocate() }
        let size = Int32(MemoryLayout<z_stream>.size)
        let strategy = Z_DEFAULT_STRATEGY
        guard deflateInit2_(stream, level, Z_DEFLATED, windowBits, 8, strategy, ZLIB_VERSION, size) == Z_OK else {
            throw CorpusError(.inputOutput, file: file, found: "cannot be compressed: zlib does not start")
        }
        defer { deflateEnd(stream) }
        let limit = Int(deflateBound(stream, UInt(bytes.count)))
        var isFinished = false
        let result = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            (isFinished, _, count) = run(stream, bytes, UnsafeMutableRawBufferPointer(buffer)) { deflate($0, $1) }
        }
        guard isFinished else {
            throw CorpusError(.inputOutput, file: file, found: "cannot be compressed as gz: \(message(stream))")
        }
        return result
    }

    static func decompress(_ bytes: UnsafeRawBufferPointer, byteCount: Int, file: String) throws -> [UInt8] {
        let decoder = try GzipDecoder(file: file)
        var failure: String?
        // One byte more than promised shows a result that is too long.
        let result = [UInt8](unsafeUninitializedCapacity: byteCount + 1) { buffer, count in
            var rest = bytes
            count = 0
            do throws(StreamDecodingFailure) {
                while !rest.isEmpty, count <= byteCount {
                    let free = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[count...])
                    let (consumed, produced) = try decoder.decode(rest, into: free)
                    if consumed == 0, produced == 0 { break }
                    rest = UnsafeRawBufferPointer(rebasing: rest[consumed...])
                    count += produced
                }
            } catch {
                failure = error.reason
            }
        }
        if failure == nil, !decoder.isComplete { failure = "the end is missing" }
        if failure == nil, result.count != byteCount {
            failure = "it holds \(result.count > byteCount ? "more than \(byteCount)" : "\(result.count)") bytes"
        }
        if let failure { throw Compression.malformed(file, .gzip, failure, byteCount: byteCount) }
        return result
    }

    /// Gives zlib all of the input and output; its counters have 32 bits.
    fileprivate static func run(
        _ stream: UnsafeMutablePointer<z_stream>,
        _ input: UnsafeRawBufferPointer,
        _ output: UnsafeMutableRawBufferPointer,
        _ step: (UnsafeMutablePointer<z_stream>, Int32) -> Int32
    ) -> (isFinished: Bool, consumed: Int, produced: Int) {
        let piece = 1 << 30
        var consumed = 0
        var produced = 0
        while true {
            let inputCount = min(piece, input.count - consumed)
            let outputCount = min(piece, output.count - produced)
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: input.baseAddress?.advanced(by: consumed).assumingMemoryBound(to: UInt8.self)
            )
            stream.pointee.avail_in = UInt32(inputCount)
            stream.pointee.next_out = output.baseAddress?.advanced(by: produced).assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = UInt32(outputCount)
            let isLast = consumed + inputCount == input.count
            let status = step(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
            consumed += inputCount - Int(stream.pointee.avail_in)
            produced += outputCount - Int(stream.pointee.avail_out)
            if status == Z_STREAM_END { return (true, consumed, produced) }
            let isStuck =
                stream.pointee.avail_in == UInt32(inputCount) && stream.pointee.avail_out == UInt32(outputCount)
            if status != Z_OK && status != Z_BUF_ERROR || isStuck { return (false, consumed, produced) }
        }
    }

    /// A state with a fixed address, which zlib remembers.
    fileprivate static func newStream() -> UnsafeMutablePointer<z_stream> {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        return stream
    }

    fileprivate static func message(_ stream: UnsafeMutablePointer<z_stream>) -> String {
        stream.pointee.msg.map { String(cString: $0) } ?? "zlib gives no reason"
    }
}

/// Decompresses gzip members piece by piece; several members one after the other are one text.
final class GzipDecoder: StreamDecoder {
    private let stream = Gzip.newStream()
    private var isInsideMember = false

    init(file: String) throws {
        let size = Int32(MemoryLayout<z_stream>.size)
        guard inflateInit2_(stream, Gzip.windowBits, ZLIB_VERSION, size) == Z_OK else {
            throw CorpusError(.inputOutput, file: file, found: "cannot be decompressed: zlib does not start")
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    var isComplete: Bool { !isInsideMember }

    func decode(
        _ input: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer
    ) throws(StreamDecodingFailure) -> (consumed: Int, produced: Int) {
        let piece = 1 << 30
        let inputCount = min(piece, input.count)
        let outputCount = min(piece, output.count)
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(inputCount)
        stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(outputCount)
        let status = inflate(stream, Z_NO_FLUSH)
        let consumed = inputCount - Int(stream.pointee.avail_in)
        let produced = outputCount - Int(stream.pointee.avail_out)
        switch status {
        case Z_STREAM_END:
            isInsideMember = false
            inflateReset(stream)
        case Z_OK: isInsideMember = true
        case Z_BUF_ERROR: break
        default: throw StreamDecodingFailure(reason: Gzip.message(stream))
        }
        return (consumed, produced)
    }
}
