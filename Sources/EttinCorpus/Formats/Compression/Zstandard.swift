import Czstd

/// Zstandard frames.
enum Zstandard {
    static func compress(_ bytes: UnsafeRawBufferPointer, level: Int32, file: String) throws -> [UInt8] {
        let limit = ZSTD_compressBound(bytes.count)
        var failure: String?
        let result = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            let size = ZSTD_compress(buffer.baseAddress, limit, bytes.baseAddress, bytes.count, level)
            if ZSTD_isError(size) != 0 { failure = String(cString: ZSTD_getErrorName(size)) } else { count = size }
        }
        if let failure {
            throw CorpusError(.inputOutput, file: file, found: "cannot be compressed as zstd: \(failure)")
        }
        return result
    }

    static func decompress(_ bytes: UnsafeRawBufferPointer, byteCount: Int, file: String) throws -> [UInt8] {
        var failure: String?
        let result = [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            let output = UnsafeMutableRawBufferPointer(buffer)
            failure = decompress(bytes, into: UnsafeMutableRawBufferPointer(rebasing: output[..<byteCount]))
            count = failure == nil ? byteCount : 0
        }
        if let failure { throw Compression.malformed(file, .zstandard, failure, byteCount: byteCount) }
        return result
    }

    /// Fills the whole output, or says why not.
    static func decompress(_ bytes: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> String? {
        let size = ZSTD_decompress(output.baseAddress, output.count, bytes.baseAddress, bytes.count)
        guard ZSTD_isError(size) == 0 else { return String(cString: ZSTD_getErrorName(size)) }
        return size == output.count ? nil : "it holds \(size) bytes"
    }
}

/// Decompresses Zstandard frames piece by piece.
final class ZstandardDecoder: StreamDecoder {
    private let stream: OpaquePointer
    private var isInsideFrame = false

    init(file: String) throws {
        guard let stream = ZSTD_createDStream() else {
            throw CorpusError(.inputOutput, file: file, found: "cannot be decompressed: no memory for zstd")
        }
        self.stream = stream
    }

    deinit { ZSTD_freeDStream(stream) }

    var isComplete: Bool { !isInsideFrame }

    func decode(
        _ input: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer
    ) throws(StreamDecodingFailure) -> (consumed: Int, produced: Int) {
        var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
        let hint = ZSTD_decompressStream(stream, &target, &source)
        guard ZSTD_isError(hint) == 0 else {
            throw StreamDecodingFailure(reason: String(cString: ZSTD_getErrorName(hint)))
        }
        // A hint of zero means that a frame has just ended, unless nothing was there to read.
        if source.pos > 0 || target.pos > 0 { isInsideFrame = hint != 0 }
        return (source.pos, target.pos)
    }
}
