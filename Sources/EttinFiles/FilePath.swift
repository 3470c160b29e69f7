#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The few things that the floors above ask of paths.
package enum FilePath {
    package enum Kind {
        case absent
        case file
        case folder
    }

    /// The part behind the last slash.
    package static func lastComponent(of path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }

    /// A path with the home folder in place of a tilde in front, as a shell writes it out.
    package static func expandingHome(_ path: String) -> String {
        guard path == "~" || path.hasPrefix("~/"), let home = getenv("HOME") else { return path }
        return String(cString: home) + path.dropFirst()
    }

    /// The path from the root, with links followed; the path itself where it leads nowhere.
    package static func absolute(_ path: String) -> String {
        guard !path.utf8.contains(0), let found = realpath(path, nil) else { return path }
        defer { free(found) }
        return String(cString: found)
    }

    /// The path of a name inside a folder.
    package static func joined(_ folder: String, _ name: String) -> String {
        if folder.isEmpty { return name }
        return folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }

    /// The folder that holds a path.
    package static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// What is at a path, symbolic links followed; what cannot be examined counts as absent.
    package static func kind(of path: String) -> Kind {
        var status = stat()
        guard !path.utf8.contains(0), stat(path, &status) == 0 else { return .absent }
        return status.st_mode & S_IFMT == S_IFDIR ? .folder : .file
    }

    /// Whether there is an entry at a path, even a link that leads nowhere, which must not be passed over silently.
    package static func exists(_ path: String) -> Bool {
        var status = stat()
        return !path.utf8.contains(0) && lstat(path, &status) == 0
    }

    /// Whether a name stays in its folder wherever it is joined: one component, no climbing, no control characters.
    package static func isPlainName(_ name: String) -> Bool {
        let isPlain = name.utf8.allSatisfy {
            $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: ":")
        }
        return isPlain && !name.isEmpty && name != "." && name != ".."
    }
}

extension FilePath {
    /// The names of all entries of a folder, sorted by bytes.
    package static func names(inFolder folder: String) throws -> [String] {
        guard !folder.utf8.contains(0), let stream = opendir(folder.isEmpty ? "." : folder) else {
            throw FileError.system(folder, "cannot be listed")
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            // The end and a failure differ in this alone.
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw FileError.system(folder, "cannot be listed") }
                break
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: field.pointee)) {
                    String(cString: $0)
                }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted { ExactName($0) < ExactName($1) }
    }

    /// The size of a regular file in bytes, symbolic links followed; nil for anything else.
    package static func fileSize(_ path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }

    /// When what is at a path was last changed, in seconds since 1970; nil where nothing is.
    package static func modificationSeconds(of path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        #if canImport(Darwin)
            return Int(status.st_mtimespec.tv_sec)
        #else
            return Int(status.st_mtim.tv_sec)
        #endif
    }

    /// Where a symbolic link leads; nil when it is none.
    package static func target(ofLink path: String) -> String? {
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, count in
            guard let start = buffer.baseAddress else { return }
            count = max(0, readlink(path, start, buffer.count))
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    /// The paths of all files below a folder, relative to it and sorted; links to folders are not followed.
    ///
    /// Empty if the path is not a folder.
    package static func filesBelow(_ folder: String) throws -> [String] {
        var result: [String] = []
        var pending = [""]
        while let prefix = pending.popLast() {
            let inner = folder + "/" + prefix
            for name in try kind(of: inner) == .folder ? names(inFolder: inner) : [] {
                let path = prefix + name
                let isLink = target(ofLink: folder + "/" + path) != nil
                if !isLink, kind(of: folder + "/" + path) == .folder {
                    pending.append(path + "/")
                } else {
                    result.append(path)
                }
            }
        }
        return result.sorted()
    }

    /// Eight random hexadecimal digits.
    package static func randomName() -> String {
        let text = String(UInt32.random(in: 0...UInt32.max), radix: 16)
        return String(repeating: "0", count: 8 - text.utf8.count) + text
    }

    /// Removes a file.
    package static func remove(_ path: String) throws {
        guard unlink(path) == 0 else { throw FileError.system(path, "cannot be removed") }
    }

    /// Removes a folder with everything in it.
    ///
    /// It is gone under its name before its files go, so that a kill leaves no folder that lacks some of them.
    package static func removeFolder(_ path: String) throws {
        let doomed = joined(folder(of: path), ".\(lastComponent(of: path)).removed.tmp")
        try removeTree(doomed)
        guard rename(path, doomed) == 0 else { throw FileError.system(path, "cannot be removed") }
        try removeTree(doomed)
    }

    /// Removes a file, or a folder with everything in it; what is not there, or goes meanwhile, is no failure.
    package static func removeTree(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        do {
            guard status.st_mode & S_IFMT == S_IFDIR else { return try remove(path) }
            for name in try names(inFolder: path) { try removeTree(joined(path, name)) }
            guard rmdir(path) == 0 else { throw FileError.system(path, "cannot be removed") }
        } catch let error as FileError where error.kind == .missing {
            // Another process was first.
        }
    }

    /// Gives a finished file or folder the name that it was made for; what had that name is replaced.
    package static func putInPlace(_ temporaryPath: String, as path: String) throws {
        guard rename(temporaryPath, path) == 0 else { throw FileError.system(path, "cannot be put in place") }
        // The new name itself is durable only when its folder is synced; file systems that cannot do so say so here.
        let parent = open(folder(of: path), O_RDONLY | O_CLOEXEC)
        if parent >= 0 {
            _ = fsync(parent)
            close(parent)
        }
    }

    /// Whether there is a symbolic link, whatever it leads to.
    package static func isLink(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
    }

    /// Makes a symbolic link, or turns one that is there to another target, without a moment in which there is none.
    package static func replaceLink(_ path: String, to target: String) throws {
        let temporary = path + ".tmp"
        unlink(temporary)
        guard symlink(target, temporary) == 0, rename(temporary, path) == 0 else {
            throw FileError.system(path, "cannot be made a link")
        }
    }

    /// Makes a folder and those above it; one that is there already is kept.
    package static func makeFolder(_ path: String) throws {
        guard !path.utf8.contains(0) else {
            throw FileError(.inputOutput, file: quoted(path), found: "contains a NUL character")
        }
        var prefix = path.hasPrefix("/") ? "/" : ""
        for component in path.split(separator: "/") {
            prefix += component
            if mkdir(prefix, 0o777) != 0 {
                let code = errno
                guard code == EEXIST, kind(of: prefix) == .folder else {
                    errno = code
                    throw FileError.system(prefix, "cannot be made a folder")
                }
            }
            prefix += "/"
        }
    }
}
