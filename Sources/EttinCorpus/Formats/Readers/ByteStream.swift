import EttinFiles

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The content of a file from front to back, decompressed on the way, in constant memory.
///
/// Files are read, not mapped: mapped pages would count as memory of a process that passes over them once.
final class ByteStream {
    private let path: String
    private let descriptor: Int32
    private let decoder: (any StreamDecoder)?
    /// Compressed bytes that were read and not yet decoded.
    private var packed: [UInt8] = []
    private var packedPosition = 0
    private var isAtEnd = false

    private static let packedBlockSize = 1 << 18

    init(_ input: CorpusInput, startingAt offset: Int = 0) throws {
        path = input.path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CorpusError(FileError.system(path, "cannot be opened"))
        }
        do {
            switch input.packing {
            case .none: decoder = nil
            case .gzip: decoder = try GzipDecoder(file: path)
            case .zstandard: decoder = try ZstandardDecoder(file: path)
            }
        } catch {
            close(descriptor)
            throw error
        }
        precondition(offset == 0 || decoder == nil, "ByteStream: only uncompressed files start in the middle")
        if offset > 0, lseek(descriptor, off_t(offset), SEEK_SET) < 0 {
            throw CorpusError(FileError.system(path, "cannot be read from byte \(offset)"))
        }
    }

    deinit { close(descriptor) }

    /// How far the file was read, in bytes on the disk.
    var position: Int { max(0, Int(lseek(descriptor, 0, SEEK_CUR))) }

    /// Fills the front of a buffer and tells how much; zero at the end only.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard let decoder else { return try readFile(into: buffer) }
        while true {
            if packedPosition == packed.count, !isAtEnd {
                packed = try [UInt8](unsafeUninitializedCapacity: Self.packedBlockSize) { block, count in
                    count = try readFile(into: UnsafeMutableRawBufferPointer(block))
                }
                packedPosition = 0
                isAtEnd = packed.isEmpty
            }
            let (consumed, produced) = try packed.withUnsafeBytes { block in
                do throws(StreamDecodingFailure) {
                    return try decoder.decode(UnsafeRawBufferPointer(rebasing: block[packedPosition...]), into: buffer)
                } catch {
                    throw CorpusError(.malformed, file: path, found: "cannot be decompressed: \(error.reason)")
                }
            }
            packedPosition += consumed
            if produced > 0 { return produced }
            guard isAtEnd, consumed == 0 else { continue }
            guard decoder.isComplete else {
                throw CorpusError(.malformed, file: path, found: "ends within its compressed content")
            }
            return 0
        }
    }

    private func readFile(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        #if canImport(Darwin)
            let read = Darwin.read
        #elseif canImport(Glibc)
            let read = Glibc.read
        #elseif canImport(Musl)
            let read = Musl.read
        #endif
        while true {
            let count = read(descriptor, buffer.baseAddress, min(buffer.count, 1 << 30))
            if count >= 0 { return count }
            if errno != EINTR { throw CorpusError(FileError.system(path, "cannot be read")) }
        }
    }
}
