#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A temporary file without a name, which is written once and then mapped.
///
/// Its space on the disk is free again when the last reference goes, however the process ends. It lies in the folder that
/// `TMPDIR` names, or `/tmp`.
package final class SpoolFile {
    /// The folder and what the file is for, for messages.
    private let place: String
    private let descriptor: Int32
    private var pending: [UInt8] = []
    /// The number of bytes written.
    package private(set) var count = 0

    /// Small writes are gathered up to this many bytes.
    private static let bufferSize = 1 << 20

    /// Creates a file.
    ///
    /// - Parameter purpose: Whose content it will hold, for messages.
    /// - Throws: `FileError` when the folder cannot be written to.
    package init(for purpose: String) throws {
        let folder = getenv("TMPDIR").map { String(cString: $0) } ?? ""
        place = "temporary copy of \(purpose) in \(folder.isEmpty ? "/tmp" : folder)"
        let path = FilePath.joined(folder.isEmpty ? "/tmp" : folder, ".ettin-\(FilePath.randomName())\(getpid()).tmp")
        descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileError.system(place, "cannot be created; TMPDIR names another folder") }
        unlink(path)
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Appends bytes.
    ///
    /// - Parameter bytes: The bytes.
    /// - Throws: `FileError` when the disk is full.
    package func write(_ bytes: UnsafeRawBufferPointer) throws {
        count += bytes.count
        pending.append(contentsOf: bytes)
        if pending.count >= Self.bufferSize { try flush() }
    }

    /// The content so far as a map that outlives this object; nothing may be written afterwards.
    ///
    /// - Parameter path: What messages call the file.
    /// - Returns: The map.
    /// - Throws: `FileError` when the disk is full, or the file cannot be mapped.
    package func mapped(as path: String) throws -> MappedFile {
        try flush()
        return try MappedFile(descriptor: descriptor, path: path, access: .readOnly)
    }

    private func flush() throws {
        guard !pending.isEmpty else { return }
        try pending.withUnsafeBytes { try writeAll($0, to: descriptor, place) }
        pending.removeAll(keepingCapacity: true)
    }
}
