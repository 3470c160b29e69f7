#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Temporary folders that are there for as long as the process runs.
package enum ProcessFolder {
    /// Removal at exit, noted once.
    private static let removal: Void = { atexit { UnfinishedFiles.removeAll() } }()

    /// Makes a folder that nobody else can write to.
    ///
    /// - Parameter name: What its name begins with.
    /// - Returns: Its path.
    /// - Throws: `FileError` when the folder of temporary files takes none.
    package static func make(named name: String) throws -> String {
        _ = removal
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array(FilePath.joined(parent, name + "-XXXXXX").utf8CString)
        let made = mkdtemp(&template) != nil
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard made else { throw FileError.system(path, "cannot be made") }
        UnfinishedFiles.add(path)
        return path
    }
}
