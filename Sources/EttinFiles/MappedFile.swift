#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file mapped into memory, unmapped when the last reference goes.
///
/// Pages are read from disk when they are first touched, so opening costs nothing however large the file is. Nobody may
/// shorten the file while it is mapped: touching a page beyond the new end kills the process. Replacing it by rename,
/// as every writer of this library does, is safe.
package final class MappedFile: @unchecked Sendable {
    // Unchecked: all stored properties are constants; the mapped bytes change only through a caller's own pointer into
    // a copy-on-write mapping.

    /// What stores through a pointer into the mapping do.
    package enum Access: Sendable {
        /// Stores fault. The default.
        case readOnly
        /// Stores change private copies of the pages, never the file.
        case copyOnWrite
    }

    /// The path as it was given.
    package let path: String
    /// The length of the file in bytes.
    package let count: Int
    private let base: UnsafeMutableRawPointer?

    /// Maps a regular file.
    ///
    /// - Parameters:
    ///   - path: The file; symbolic links are followed.
    ///   - access: What stores into the mapping do.
    /// - Throws: `FileError` when there is no such file, it is not a regular file, or it cannot be mapped.
    package convenience init(path: String, access: Access = .readOnly) throws {
        guard !path.utf8.contains(0) else {
            throw FileError(.missing, file: quoted(path), found: "contains a NUL character")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileError.system(path, "cannot be opened") }
        defer { close(descriptor) }
        try self.init(descriptor: descriptor, path: path, access: access)
    }

    /// Maps a regular file that is open.
    init(descriptor: Int32, path: String, access: Access) throws {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError.system(path, "cannot be examined") }
        let format = status.st_mode & S_IFMT
        guard format == S_IFREG else {
            let found = format == S_IFDIR ? "is a folder" : "is not a regular file"
            throw FileError(.inputOutput, file: path, found: found, expected: "a file")
        }
        guard let length = Int(exactly: status.st_size), length >= 0 else {
            throw FileError(.inputOutput, file: path, found: "has an invalid size")
        }
        self.path = path
        count = length
        guard length > 0 else {
            base = nil
            return
        }
        let protection = access == .readOnly ? PROT_READ : PROT_READ | PROT_WRITE
        let mapping = mmap(nil, length, protection, MAP_PRIVATE, descriptor, 0)
        guard let mapping, mapping != MAP_FAILED else { throw FileError.system(path, "cannot be mapped") }
        base = mapping
    }

    deinit {
        if let base { munmap(base, count) }
    }

    /// All bytes; the buffer is valid as long as the file object lives.
    ///
    /// Callers outside `withUnsafeBytes` keep the object alive themselves.
    package var buffer: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base, count: count)
    }

    /// Calls `body` with all bytes.
    ///
    /// - Parameter body: Receives the bytes; must not let the pointer escape.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws.
    package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try body(buffer) }
    }

    /// A part of the file that keeps the mapping alive.
    ///
    /// - Parameter range: Byte positions.
    /// - Returns: The slice.
    /// - Throws: `FileError` when `range` leaves the file.
    package func slice(_ range: Range<Int>) throws -> MappedSlice {
        guard range.lowerBound >= 0, range.upperBound <= count else {
            throw FileError(
                .outOfRange,
                file: path,
                found: "bytes \(range.lowerBound)..<\(range.upperBound) were asked for",
                expected: "a range within its \(count) bytes"
            )
        }
        return MappedSlice(file: self, range: range)
    }
}

/// A part of a mapped file that keeps the mapping alive.
package struct MappedSlice: Sendable {
    /// The file.
    package let file: MappedFile
    /// Byte positions in the file, always inside it.
    package let range: Range<Int>

    fileprivate init(file: MappedFile, range: Range<Int>) {
        self.file = file
        self.range = range
    }

    /// The number of bytes.
    package var count: Int { range.count }

    /// Calls `body` with the bytes of the slice.
    ///
    /// - Parameter body: Receives the bytes; must not let the pointer escape.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws.
    package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try file.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }
}
