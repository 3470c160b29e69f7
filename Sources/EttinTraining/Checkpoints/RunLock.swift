import EttinFiles

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Keeps other processes from writing into a run's folder, for as long as the object lives.
///
/// A process that ends, however it ends, gives the folder free.
package final class RunLock {
    private let descriptor: Int32

    /// Locks a folder.
    ///
    /// File systems that have no such locks are trusted to have one writer.
    ///
    /// - Parameter folder: The folder, which must exist.
    /// - Throws: `TrainingError` when it cannot be written, or another process, or this one, holds it already.
    package init(folder: String) throws {
        descriptor = try TrainingError.translating {
            let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard descriptor >= 0 else { throw FileError.system(folder, "cannot be opened") }
            guard access(folder, W_OK | X_OK) == 0 else {
                defer { close(descriptor) }
                throw FileError.system(folder, "cannot be written")
            }
            return descriptor
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK else { return }
        close(descriptor)
        throw TrainingError(
            .inputOutput,
            folder,
            found: "is being written by another process",
            expected: "one process for each run"
        )
    }

    deinit { close(descriptor) }
}
