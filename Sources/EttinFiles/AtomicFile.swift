#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that appears complete under its name, or not at all.
///
/// Bytes go to a temporary name in the same folder; `commit()` syncs them to the disk and renames. A file that is not
/// committed is removed when the object goes.
package final class AtomicFile {
    package let path: String
    private let temporaryPath: String
    private var descriptor: Int32
    private var pending: [UInt8] = []
    private var isCommitted = false

    /// Small writes are gathered up to this many bytes.
    private static let bufferSize = 1 << 20

    /// Creates the temporary file.
    package init(path: String) throws {
        guard FilePath.isPlainName(FilePath.lastComponent(of: path)), !path.utf8.contains(0) else {
            throw FileError(.inputOutput, file: quoted(path), found: "is not a valid output file name")
        }
        self.path = path
        let random = UInt64.random(in: 0...UInt64.max)
        let name = ".\(FilePath.lastComponent(of: path)).\(String(random, radix: 36)).tmp"
        let temporaryPath = FilePath.joined(FilePath.folder(of: path), name)
        self.temporaryPath = temporaryPath
        UnfinishedFiles.add(temporaryPath)
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileError.system(path, "cannot be created") }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        if !isCommitted { unlink(temporaryPath) }
        UnfinishedFiles.forget(temporaryPath)
    }

    /// Appends bytes.
    package func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard bytes.count < Self.bufferSize else {
            try flush()
            try writeAll(bytes, to: descriptor, path)
            return
        }
        pending.append(contentsOf: bytes)
        if pending.count >= Self.bufferSize { try flush() }
    }

    /// Appends bytes.
    package func write(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try write($0) }
    }

    /// Makes the file appear under its name.
    package func commit() throws {
        try flush()
        guard fsync(descriptor) == 0 else { throw FileError.system(path, "cannot be synced to the disk") }
        let closed = close(descriptor)
        descriptor = -1
        guard closed == 0 else { throw FileError.system(path, "cannot be closed") }
        try FilePath.putInPlace(temporaryPath, as: path)
        isCommitted = true
    }

    /// Fails at once where a file could not be written, so that nobody computes for nothing.
    package static func checkPlace(_ path: String) throws {
        if FilePath.kind(of: path) == .folder {
            throw FileError(.inputOutput, file: path, found: "is a folder", expected: "the name of a file")
        }
        _ = try AtomicFile(path: path)
    }

    /// Writes a whole file.
    package static func write(_ bytes: [UInt8], to path: String) throws {
        let file = try AtomicFile(path: path)
        try file.write(bytes)
        try file.commit()
    }

    private func flush() throws {
        guard !pending.isEmpty else { return }
        try pending.withUnsafeBytes { try writeAll($0, to: descriptor, path) }
        pending.removeAll(keepingCapacity: true)
    }
}
