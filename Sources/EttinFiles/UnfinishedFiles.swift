import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The temporary files and folders of this process, for programs that stop before their output is done.
package enum UnfinishedFiles {
    private static let paths = Mutex<Set<String>>([])

    static func add(_ path: String) {
        paths.withLock { _ = $0.insert(path) }
    }

    static func forget(_ path: String) {
        paths.withLock { _ = $0.remove(path) }
    }

    /// Removes them all; to be called right before the process exits.
    package static func removeAll() {
        paths.withLock { $0.forEach(remove) }
    }

    /// Removes a file, or a folder of files; what is not there is no failure.
    static func remove(_ path: String) {
        guard unlink(path) != 0 else { return }
        for name in (try? FilePath.names(inFolder: path)) ?? [] { unlink(FilePath.joined(path, name)) }
        rmdir(path)
    }
}
