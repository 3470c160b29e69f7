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

    /// Notes a path that is about to be created.
    static func add(_ path: String) {
        paths.withLock { _ = $0.insert(path) }
    }

    static func forget(_ path: String) {
        paths.withLock { _ = $0.remove(path) }
    }

    /// Removes them all; to be called right before the process exits.
    package static func removeAll() {
        // Held until the process ends, so that nothing new begins. A thread that had begun may still create what it has
        // noted, or a file inside it, hence several rounds.
        paths.withLock { paths in
            for round in 0..<5 {
                if round > 0 { usleep(2000) }
                paths.forEach(remove)
            }
        }
    }

    /// Removes a file, or a folder with all that is in it; what is not there is no failure.
    ///
    /// Symbolic links are removed and not followed: what they point at is not ours.
    static func remove(_ path: String) {
        guard unlink(path) != 0 else { return }
        for name in (try? FilePath.names(inFolder: path)) ?? [] { remove(FilePath.joined(path, name)) }
        rmdir(path)
    }
}
