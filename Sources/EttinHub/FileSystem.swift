import EttinFiles
import Foundation

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What the Hub asks of the file system, with errors that name the path.
enum FileSystem {
    /// Whether there is a file or folder, symbolic links followed.
    static func exists(_ path: String) -> Bool {
        access(path, F_OK) == 0
    }

    static func isFolder(_ path: String) -> Bool {
        status(path).map { $0.st_mode & S_IFMT == S_IFDIR } ?? false
    }

    /// The size of a file, symbolic links followed; nil when there is none.
    static func size(of path: String) -> Int? {
        status(path).map { Int($0.st_size) }
    }

    static func status(_ path: String) -> stat? {
        var status = stat()
        return stat(path, &status) == 0 ? status : nil
    }

    /// Where a symbolic link leads; nil when it is none.
    static func target(ofLink path: String) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: path)
    }

    static func createFolder(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw HubError.file(path: path, reason: "the folder cannot be created (\(systemReason()))")
        }
    }

    /// The names in a folder, sorted; none when there is no folder.
    static func names(in folder: String) throws -> [String] {
        guard isFolder(folder) else { return [] }
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        } catch {
            throw HubError.file(path: folder, reason: "the folder cannot be listed (\(systemReason()))")
        }
    }

    /// The paths of all files below a folder, relative to it and sorted; links to folders are not followed.
    static func filesBelow(_ folder: String) throws -> [String] {
        var result: [String] = []
        var pending = [""]
        while let prefix = pending.popLast() {
            for name in try names(in: folder + "/" + prefix) {
                let path = prefix + name
                let isLink = target(ofLink: folder + "/" + path) != nil
                if !isLink, isFolder(folder + "/" + path) {
                    pending.append(path + "/")
                } else {
                    result.append(path)
                }
            }
        }
        return result.sorted()
    }

    /// The content of a file that is expected to be small.
    static func contents(of path: String, limit: Int = 64 << 20) throws -> [UInt8] {
        let file = try OpenFile(path, .read)
        let size = try file.size
        guard size <= limit else {
            throw HubError.file(path: path, reason: "it has \(size) bytes, expected at most \(limit)")
        }
        return try file.read(at: 0, count: size)
    }

    /// Writes a small file that appears complete or not at all.
    static func write(_ bytes: [UInt8], to path: String) throws {
        do {
            try AtomicFile.write(bytes, to: path)
        } catch let error as FileError {
            throw HubError.file(path: path, reason: "it \(error.found)")
        }
    }

    static func move(_ path: String, to destination: String) throws {
        guard rename(path, destination) == 0 else {
            throw HubError.file(path: destination, reason: "it cannot be put in place (\(systemReason()))")
        }
    }

    /// Removes a file, a link or a folder with all in it; it may be absent.
    static func remove(_ path: String) throws {
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch CocoaError.fileNoSuchFile {
            return
        } catch {
            throw HubError.file(path: path, reason: "it cannot be removed (\(systemReason()))")
        }
    }

    /// Eight random hexadecimal digits.
    static func randomName() -> String {
        let text = String(UInt32.random(in: 0...UInt32.max), radix: 16)
        return String(repeating: "0", count: 8 - text.utf8.count) + text
    }

    /// What the system says about its last failure.
    static func systemReason() -> String {
        String(cString: strerror(errno))
    }
}

/// A file with a descriptor that is closed with the object.
final class OpenFile: Sendable {
    enum Mode {
        case read
        /// Reading and writing, created where it is absent.
        case update
    }

    let path: String
    let descriptor: Int32

    init(_ path: String, _ mode: Mode) throws {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .update: O_RDWR | O_CREAT | O_NOFOLLOW
            }
        guard !path.utf8.contains(0) else {
            throw HubError.file(path: path, reason: "a path cannot contain NUL")
        }
        self.path = path
        descriptor = open(path, flags | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            let verb = mode == .read ? "read" : "written"
            throw HubError.file(path: path, reason: "it cannot be \(verb) (\(FileSystem.systemReason()))")
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    var size: Int {
        get throws {
            var status = stat()
            guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                throw HubError.file(path: path, reason: "it is not a file")
            }
            return Int(status.st_size)
        }
    }

    /// Reads up to a number of bytes; fewer only at the end of the file.
    func read(at offset: Int, count: Int) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let rest = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...])
                let got = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + filled))
                if got < 0, errno == EINTR { continue }
                guard got >= 0 else {
                    throw HubError.file(path: path, reason: "it cannot be read (\(FileSystem.systemReason()))")
                }
                if got == 0 { break }
                filled += got
            }
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
            let put = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + written))
            if put < 0, errno == EINTR { continue }
            guard put >= 0 else {
                throw HubError.file(path: path, reason: "it cannot be written (\(FileSystem.systemReason()))")
            }
            written += put
        }
    }

    func truncate(to size: Int) throws {
        guard ftruncate(descriptor, off_t(size)) == 0 else {
            throw HubError.file(path: path, reason: "it cannot be cut (\(FileSystem.systemReason()))")
        }
    }

    func sync() throws {
        guard fsync(descriptor) == 0 else {
            throw HubError.file(path: path, reason: "it cannot be synced to the disk (\(FileSystem.systemReason()))")
        }
    }
}
