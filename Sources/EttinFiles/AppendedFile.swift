#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that grows by whole records, each handed to the system at once.
///
/// What was appended outlives a kill of this process; only a failure of the machine can take it away before `sync()`.
package final class AppendedFile {
    package let path: String
    private let descriptor: Int32

    /// Opens a file to append to, and creates it where there is none.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - keptBytes: How much of what it holds stays; the rest is cut off.
    ///   - isLocked: Whether no other process that asks for the same may have the file open at the same time.
    /// - Throws: `FileError` when the system refuses, or another process has locked the file.
    package init(path: String, keptBytes: Int, isLocked: Bool = false) throws {
        guard !path.utf8.contains(0) else {
            throw FileError(.inputOutput, file: quoted(path), found: "contains a NUL character")
        }
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileError.system(path, "cannot be opened for appending") }
        guard !isLocked || flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw FileError(
                .inputOutput,
                file: path,
                found: "is being written by another process",
                expected: "one process per output"
            )
        }
        guard ftruncate(descriptor, off_t(keptBytes)) == 0 else {
            let error = FileError.system(path, "cannot be shortened")
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    /// Appends a record.
    package func append(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try writeAll($0, to: descriptor, path) }
    }

    /// Waits until the disk has what was appended.
    package func sync() throws {
        guard fsync(descriptor) == 0 else { throw FileError.system(path, "cannot be synced to the disk") }
    }
}
