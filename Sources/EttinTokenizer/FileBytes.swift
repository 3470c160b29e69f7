#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

// Plain POSIX files: Foundation would add a noticeable part of a short command's run time.

/// Reads a whole file.
func readFile(_ path: String) throws -> [UInt8] {
    let file = try InputFile(path)
    var bytes: [UInt8] = []
    while try file.read(into: &bytes, upTo: 4 << 20) > 0 {}
    return bytes
}

/// Whether a path names something.
func fileExists(_ path: String) -> Bool {
    access(path, F_OK) == 0
}

/// Replaces a file atomically: readers see the old content or the new one, never a part.
func writeFile(_ path: String, _ bytes: [UInt8]) throws {
    let temporary = "\(path).tmp\(getpid())"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard descriptor >= 0 else { throw systemError(temporary) }
    var written = 0
    while written < bytes.count {
        let count = bytes.withUnsafeBytes { buffer in
            buffer.baseAddress.map { write(descriptor, $0 + written, bytes.count - written) } ?? 0
        }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else {
            let error = systemError(temporary)
            close(descriptor)
            unlink(temporary)
            throw error
        }
        written += count
    }
    guard fsync(descriptor) == 0 else {
        let error = systemError(temporary)
        close(descriptor)
        unlink(temporary)
        throw error
    }
    close(descriptor)
    guard rename(temporary, path) == 0 else {
        let error = systemError(path)
        unlink(temporary)
        throw error
    }
}

/// Makes a folder and those above it.
func makeFolder(_ path: String) throws {
    var prefix = path.hasPrefix("/") ? "/" : ""
    for component in path.split(separator: "/") {
        prefix += component
        if mkdir(prefix, 0o755) != 0, errno != EEXIST { throw systemError(prefix) }
        prefix += "/"
    }
}

/// A file or standard input being read.
final class InputFile {
    /// The path for messages.
    let path: String
    private let descriptor: Int32

    /// Opens a file; `-` is standard input.
    init(_ path: String) throws {
        self.path = path == "-" ? "standard input" : path
        descriptor = path == "-" ? 0 : open(path, O_RDONLY)
        guard descriptor >= 0 else { throw systemError(path) }
    }

    deinit {
        if descriptor > 0 { close(descriptor) }
    }

    /// Appends the next bytes; 0 at the end of the file.
    func read(into bytes: inout [UInt8], upTo count: Int) throws -> Int {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: count))
        var received = -1
        repeat {
            received = bytes.withUnsafeMutableBytes { buffer in
                buffer.baseAddress.map { readBytes(descriptor, $0 + start, count) } ?? 0
            }
        } while received < 0 && errno == EINTR
        let error = received < 0 ? systemError(path) : nil
        bytes.removeLast(count - max(0, received))
        if let error { throw error }
        return received
    }
}

/// The C function, which the method of the same name hides.
private func readBytes(_ descriptor: Int32, _ memory: UnsafeMutableRawPointer, _ count: Int) -> Int {
    read(descriptor, memory, count)
}

private func systemError(_ path: String) -> TokenizerError {
    .file(path: path, reason: String(cString: strerror(errno)))
}
