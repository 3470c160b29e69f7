/// Brotli through the system's shared libraries.
struct BrotliLibrary: Sendable {
    private typealias Encode =
        @convention(c) (
            Int32, Int32, Int32, Int, UnsafeRawPointer?, UnsafeMutablePointer<Int>, UnsafeMutableRawPointer?
        ) -> Int32
    private typealias Bound = @convention(c) (Int) -> Int
    private typealias Decode =
        @convention(c) (Int, UnsafeRawPointer?, UnsafeMutablePointer<Int>, UnsafeMutableRawPointer?) -> Int32

    private let encode: Encode
    private let bound: Bound
    private let decode: Decode

    private static let shared: BrotliLibrary? = {
        guard
            let encoder = SystemLibrary(["libbrotlienc.so.1", "libbrotlienc.1.dylib"]),
            let decoder = SystemLibrary(["libbrotlidec.so.1", "libbrotlidec.1.dylib"]),
            let encode = encoder.function("BrotliEncoderCompress", as: Encode.self),
            let bound = encoder.function("BrotliEncoderMaxCompressedSize", as: Bound.self),
            let decode = decoder.function("BrotliDecoderDecompress", as: Decode.self)
        else { return nil }
        return BrotliLibrary(encode: encode, bound: bound, decode: decode)
    }()

    private init(encode: Encode, bound: Bound, decode: Decode) {
        self.encode = encode
        self.bound = bound
        self.decode = decode
    }

    static func loaded(file: String) throws -> BrotliLibrary {
        guard let shared else { throw SystemLibrary.missing(.brotli, package: "libbrotli1", file: file) }
        return shared
    }

    func compress(_ bytes: UnsafeRawBufferPointer, level: Int32, file: String) throws -> [UInt8] {
        // The library answers zero when it has no bound; then nothing that large can be compressed at once.
        let limit = max(16, bound(bytes.count))
        var isDone = false
        let result = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            var size = limit
            // The largest plain window, 22 bits, and the generic mode: the library's defaults.
            isDone = encode(level, 22, 0, bytes.count, bytes.baseAddress, &size, buffer.baseAddress) == 1
            count = isDone ? size : 0
        }
        guard isDone else { throw CorpusError(.inputOutput, file: file, found: "cannot be compressed as br") }
        return result
    }

    func decompress(_ bytes: UnsafeRawBufferPointer, byteCount: Int, file: String) throws -> [UInt8] {
        var size = byteCount
        var status: Int32 = 0
        let result = [UInt8](unsafeUninitializedCapacity: max(1, byteCount)) { buffer, count in
            status = decode(bytes.count, bytes.baseAddress, &size, buffer.baseAddress)
            count = status == 1 ? size : 0
        }
        guard status == 1, size == byteCount else {
            let reason = status == 1 ? "it holds \(size) bytes" : "the bytes are damaged or hold more"
            throw Compression.malformed(file, .brotli, reason, byteCount: byteCount)
        }
        return result
    }
}
