#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Writes all of some bytes to an open file.
///
/// - Parameters:
///   - bytes: What is written.
///   - descriptor: The file, open for writing.
///   - path: Its name, for messages.
/// - Throws: `FileError` when the system refuses.
package func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, _ path: String) throws {
    var rest = bytes
    while let start = rest.baseAddress, !rest.isEmpty {
        // Linux takes at most 2 GiB − 4 KiB a time, and macOS refuses more.
        let written = write(descriptor, start, min(rest.count, 1 << 30))
        if written < 0 {
            if errno == EINTR { continue }
            throw FileError.system(path, "cannot be written")
        }
        rest = UnsafeRawBufferPointer(rebasing: rest[written...])
    }
}
