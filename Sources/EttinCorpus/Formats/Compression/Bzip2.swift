/// bzip2 through the system's shared library.
struct Bzip2Library: Sendable {
    private typealias Compress =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt32>, UnsafeRawPointer?, UInt32, Int32, Int32, Int32
        ) -> Int32
    private typealias Decompress =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt32>, UnsafeRawPointer?, UInt32, Int32, Int32
        ) -> Int32

    private let compressBuffer: Compress
    private let decompressBuffer: Decompress

    private static let shared: Bzip2Library? = {
        guard
            let library = SystemLibrary(["libbz2.so.1.0", "libbz2.so.1", "libbz2.1.0.dylib"]),
            let compress = library.function("BZ2_bzBuffToBuffCompress", as: Compress.self),
            let decompress = library.function("BZ2_bzBuffToBuffDecompress", as: Decompress.self)
        else { return nil }
        return Bzip2Library(compressBuffer: compress, decompressBuffer: decompress)
    }()

    private init(compressBuffer: Compress, decompressBuffer: Decompress) {
        self.compressBuffer = compressBuffer
        self.decompressBuffer = decompressBuffer
    }

    static func loaded(file: String) throws -> Bzip2Library {
        guard let shared else { throw SystemLibrary.missing(.bzip2, package: "libbz2-1.0", file: file) }
        return shared
    }

    func compress(_ bytes: UnsafeRawBufferPointer, level: Int32, file: String) throws -> [UInt8] {
        // The library promises to need at most one hundredth and 600 bytes more than the input.
        guard let inputCount = UInt32(exactly: bytes.count), let limit = UInt32(exactly: bytes.count * 101 / 100 + 601)
        else { throw CorpusError(.unsupported, file: file, found: "is too large for bz2", expected: "less than 4 GiB") }
        var status: Int32 = 0
        let result = [UInt8](unsafeUninitializedCapacity: Int(limit)) { buffer, count in
            var size = limit
            status = compressBuffer(buffer.baseAddress, &size, bytes.baseAddress, inputCount, level, 0, 0)
            count = status == 0 ? Int(size) : 0
        }
        guard status == 0 else {
            throw CorpusError(.inputOutput, file: file, found: "cannot be compressed as bz2 (status \(status))")
        }
        return result
    }

    func decompress(_ bytes: UnsafeRawBufferPointer, byteCount: Int, file: String) throws -> [UInt8] {
        guard let inputCount = UInt32(exactly: bytes.count), var size = UInt32(exactly: max(1, byteCount)) else {
            throw CorpusError(.unsupported, file: file, found: "is too large for bz2", expected: "less than 4 GiB")
        }
        var status: Int32 = 0
        let result = [UInt8](unsafeUninitializedCapacity: max(1, byteCount)) { buffer, count in
            status = decompressBuffer(buffer.baseAddress, &size, bytes.baseAddress, inputCount, 0, 0)
            count = status == 0 ? Int(size) : 0
        }
        guard status == 0, result.count == byteCount else {
            let reason = status == 0 ? "it holds \(result.count) bytes" : "status \(status)"
            throw Compression.malformed(file, .bzip2, reason, byteCount: byteCount)
        }
        return result
    }
}
