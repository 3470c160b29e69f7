import EttinFiles

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// An exclusive lock on a file, of the kind that the Python client takes (`flock`), so that both wait for one another.
///
/// The file stays when the lock is released: removing it would let a waiting process lock a file that nobody sees.
struct FileLock: Sendable {
    private let descriptor: Int32
    /// Whether the lock excludes others; some network file systems have no such locks.
    let isExclusive: Bool

    private init(descriptor: Int32, isExclusive: Bool) {
        self.descriptor = descriptor
        self.isExclusive = isExclusive
    }

    /// Lets the next one in.
    ///
    /// It must be called once.
    func release() {
        close(descriptor)
    }

    /// Waits for the lock.
    ///
    /// - Parameters:
    ///   - path: The lock file, created with its folder where it is absent.
    ///   - onWait: Called once if another process holds the lock.
    /// - Returns: The lock, to be released.
    /// - Throws: `HubError.file`, or `CancellationError` while it waits.
    static func acquire(_ path: String, onWait: () -> Void = {}) async throws -> FileLock {
        try FilePath.makeCacheFolder(FilePath.folder(of: path))
        var hasWaited = false
        while true {
            if let lock = try attempt(path) { return lock }
            if !hasWaited { onWait() }
            hasWaited = true
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private static func attempt(_ path: String) throws -> FileLock? {
        // Group-writable like the Python client's, so that users who share a cache can wait for one another.
        let descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o664)
        guard descriptor >= 0 else {
            throw HubError.file(path: path, reason: "it cannot be locked (\(FileError.systemReason()))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            if [ENOSYS, ENOTSUP, EOPNOTSUPP, ENOLCK].contains(reason) {
                return FileLock(descriptor: descriptor, isExclusive: false)
            }
            close(descriptor)
            guard [EWOULDBLOCK, EAGAIN, EACCES, EINTR].contains(reason) else {
                throw HubError.file(path: path, reason: "it cannot be locked (\(String(cString: strerror(reason))))")
            }
            return nil
        }
        // Someone may have removed the file between opening and locking; the lock would then exclude nobody.
        var (own, named) = (stat(), stat())
        guard fstat(descriptor, &own) == 0, stat(path, &named) == 0, own.st_ino == named.st_ino,
            own.st_dev == named.st_dev
        else {
            close(descriptor)
            return nil
        }
        return FileLock(descriptor: descriptor, isExclusive: true)
    }
}
