#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that is read and written at any place, closed with the object.
package final class OpenFile: Sendable {
    package enum Mode {
        case read
        /// Reading and writing, created where it is absent.
        case update
    }

    package let path: String
    private let descriptor: Int32

    package init(_ path: String, _ mode: Mode) throws {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .update: O_RDWR | O_CREAT | O_NOFOLLOW
            }
        guard !path.utf8.contains(0) else {
            throw FileError(.inputOutput, file: path, found: "contains a NUL character")
        }
        self.path = path
        descriptor = open(path, flags | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            let verb = mode == .read ? "read" : "written"
            throw FileError.system(path, "cannot be \(verb)")
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// The content of a file that is expected to be small.
    package static func contents(of path: String, limit: Int = 64 << 20) throws -> [UInt8] {
        let file = try OpenFile(path, .read)
        let size = try file.size
        guard size <= limit else {
            throw FileError(.inputOutput, file: path, found: "has \(size) bytes", expected: "at most \(limit)")
        }
        return try file.read(at: 0, count: size)
    }

    /// The size of a regular file in bytes.
    package var size: Int {
        get throws {
            var status = stat()
            guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                throw FileError(.inputOutput, file: path, found: "is not a file")
            }
            return Int(status.st_size)
        }
    }

    /// Reads up to a number of bytes; fewer only at the end of the file.
    package func read(at offset: Int, count: Int) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let rest = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...])
                let got = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + filled))
                if got < 0, errno == EINTR { continue }
                guard got >= 0 else {
                    throw FileError.system(path, "cannot be read")
                }
                if got == 0 { break }
                filled += got
            }
        }
    }

    /// Writes all of some bytes at a place, which may lie at the end.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
            let put = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + written))
            if put < 0, errno == EINTR { continue }
            guard put >= 0 else {
                throw FileError.system(path, "cannot be written")
            }
            written += put
        }
    }

    /// Cuts the file, or fills it up with zeros.
    package func truncate(to size: Int) throws {
        guard ftruncate(descriptor, off_t(size)) == 0 else {
            throw FileError.system(path, "cannot be cut")
        }
    }

    /// Waits until the disk has what was written.
    package func sync() throws {
        guard fsync(descriptor) == 0 else {
            throw FileError.system(path, "cannot be synced to the disk")
        }
    }
}
