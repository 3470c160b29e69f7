#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A folder of files that appears complete under its name, or not at all.
///
/// Files are written into a temporary folder beside it; `commit()` renames. A folder that is not committed is removed
/// when the object goes.
package final class AtomicFolder {
    /// The folder to be.
    package let path: String
    /// Where to write its files.
    package let temporaryPath: String
    private var isCommitted = false

    /// Creates the temporary folder.
    ///
    /// - Parameter path: A folder that is empty or does not exist yet; the one that holds it does.
    /// - Throws: `FileError` for any other path and failures of the file system.
    package init(path: String) throws {
        let trimmed = String(path.reversed().drop { $0 == "/" }.reversed())
        let name = FilePath.lastComponent(of: trimmed)
        guard FilePath.isPlainName(name), !trimmed.utf8.contains(0) else {
            throw FileError(.inputOutput, file: quoted(path), found: "is not a valid output folder name")
        }
        let isEmptyFolder = try FilePath.kind(of: trimmed) == .folder && FilePath.names(inFolder: trimmed).isEmpty
        guard !FilePath.exists(trimmed) || isEmptyFolder else {
            throw FileError(
                .inputOutput,
                file: path,
                found: FilePath.kind(of: trimmed) == .folder ? "is not empty" : "exists",
                expected: "a new or empty folder"
            )
        }
        self.path = trimmed
        let random = String(UInt64.random(in: 0...UInt64.max), radix: 36)
        temporaryPath = FilePath.joined(FilePath.folder(of: trimmed), ".\(name).\(random).tmp")
        UnfinishedFiles.add(temporaryPath)
        guard mkdir(temporaryPath, 0o777) == 0 else {
            let error = FileError.system(path, "cannot be created")
            UnfinishedFiles.forget(temporaryPath)
            throw error
        }
    }

    deinit {
        if !isCommitted { UnfinishedFiles.remove(temporaryPath) }
        UnfinishedFiles.forget(temporaryPath)
    }

    /// Makes the folder appear under its name.
    ///
    /// - Throws: `FileError` when something else has appeared there.
    package func commit() throws {
        // Synced with its folder, so that it outlives a loss of power before anyone removes what it replaces.
        try FilePath.putInPlace(temporaryPath, as: path)
        isCommitted = true
    }
}
