#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that grows while something runs, and can go on where an earlier process stopped.
///
/// What is written is the system's at once, so that it outlives a process that is killed; `synchronize()` makes it
/// outlive a loss of power.
package final class AppendedFile {
    package let path: String
    private let descriptor: Int32

    /// Opens or creates the file and cuts off what lies behind its first `length` bytes.
    package init(path: String, keeping length: Int) throws {
        self.path = path
        guard !path.utf8.contains(0) else {
            throw FileError(.inputOutput, file: quoted(path), found: "has a NUL in its name")
        }
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileError.system(path, "cannot be opened") }
        guard ftruncate(descriptor, off_t(length)) == 0 else {
            let error = FileError.system(path, "cannot be shortened")
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    /// Appends bytes.
    package func write(_ bytes: [UInt8]) throws {
        #if canImport(Darwin)
            let write = Darwin.write
        #elseif canImport(Glibc)
            let write = Glibc.write
        #elseif canImport(Musl)
            let write = Musl.write
        #endif
        try bytes.withUnsafeBytes { bytes in
            var rest = bytes
            while !rest.isEmpty {
                let count = write(descriptor, rest.baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw FileError.system(path, "cannot be written") }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    /// Waits until everything written is on the disk.
    package func synchronize() throws {
        guard fsync(descriptor) == 0 else { throw FileError.system(path, "cannot be synced to the disk") }
    }
}
