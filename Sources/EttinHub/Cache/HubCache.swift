import EttinFiles

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The download cache, which is shared with `huggingface_hub` and has its layout.
///
/// Each repository has a folder: `blobs` has file contents by content id, `snapshots/COMMIT` the files of a commit as
/// links to them, `refs` the commit of each branch and tag, `.no_exist` files known not to exist in a commit.
public struct HubCache: Sendable, Hashable {
    /// The path of the cache folder.
    public let folder: String
    /// Whether snapshots link to blobs; where they cannot, they hold the files themselves.
    let usesLinks: Bool

    /// Creates a cache in a folder, which need not exist yet.
    ///
    /// - Parameters:
    ///   - folder: The path of the cache folder.
    ///   - usesLinks: Whether to use symbolic links.
    public init(folder: String, usesLinks: Bool = true) {
        self.folder = folder
        self.usesLinks = usesLinks
    }

    // MARK: - Paths

    func folder(of repository: HubRepository) -> String {
        "\(folder)/\(repository.cacheFolderName)"
    }

    func blob(_ etag: String, of repository: HubRepository) -> String {
        "\(folder(of: repository))/blobs/\(etag)"
    }

    func snapshot(_ commit: String, of repository: HubRepository) -> String {
        "\(folder(of: repository))/snapshots/\(commit)"
    }

    func lock(_ etag: String, of repository: HubRepository) -> String {
        "\(folder)/.locks/\(repository.cacheFolderName)/\(etag).lock"
    }

    private func missingMark(_ path: RepositoryPath, commit: String, of repository: HubRepository) -> String {
        "\(folder(of: repository))/.no_exist/\(commit)/\(path.text)"
    }

    // MARK: - Revisions

    /// The commit a revision pointed to when it was last looked up; nil if it never was.
    package func commit(of reference: HubReference) throws -> String? {
        if reference.isCommit { return reference.revision }
        let path = "\(folder(of: reference.repository))/refs/\(reference.revision)"
        guard FilePath.kind(of: path) == .file else { return nil }
        let bytes = try HubError.translating { try OpenFile.contents(of: path, limit: 4096) }
        let text = String(decoding: bytes, as: UTF8.self)
        let commit = text.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
        guard isCommitHash(commit) else {
            throw HubError.file(path: path, reason: "it holds \(quoted(text)), expected a commit hash; remove it")
        }
        return commit
    }

    /// Remembers the commit of a branch or tag.
    func record(commit: String, for reference: HubReference) throws {
        guard commit != reference.revision else { return }
        let path = "\(folder(of: reference.repository))/refs/\(reference.revision)"
        if FilePath.kind(of: path) != .absent, try self.commit(of: reference) == commit { return }
        try FilePath.makeCacheFolder(FilePath.folder(of: path))
        try HubError.translating { try AtomicFile.write(Array(commit.utf8), to: path) }
    }

    // MARK: - Files

    /// The path of a file of a commit, when the cache holds it.
    func file(_ path: RepositoryPath, commit: String, of repository: HubRepository) -> String? {
        let file = "\(snapshot(commit, of: repository))/\(path.text)"
        return FilePath.kind(of: file) != .absent ? file : nil
    }

    /// Remembers that a commit has no such file.
    func markMissing(_ path: RepositoryPath, commit: String, of repository: HubRepository) throws {
        let mark = missingMark(path, commit: commit, of: repository)
        guard FilePath.kind(of: mark) == .absent else { return }
        try FilePath.makeCacheFolder(FilePath.folder(of: mark))
        try HubError.translating { try AtomicFile.write([], to: mark) }
    }

    /// Whether a commit is known not to have a file.
    func isKnownMissing(_ path: RepositoryPath, commit: String, of repository: HubRepository) -> Bool {
        FilePath.kind(of: missingMark(path, commit: commit, of: repository)) != .absent
    }

    /// Makes a blob appear in the tree of a commit.
    ///
    /// - Returns: The path of the file there.
    func place(_ etag: String, as path: RepositoryPath, commit: String, of repository: HubRepository) throws -> String {
        let file = "\(snapshot(commit, of: repository))/\(path.text)"
        if FilePath.kind(of: file) != .absent { return file }
        try FilePath.makeCacheFolder(FilePath.folder(of: file))
        let blob = blob(etag, of: repository)
        if usesLinks {
            // Relative, so that the cache can be moved.
            let target = String(repeating: "../", count: 2 + path.depth) + "blobs/\(etag)"
            let temporary = "\(file).\(FilePath.randomName()).tmp"
            if symlink(target, temporary) == 0 {
                defer { unlink(temporary) }
                try HubError.translating { try FilePath.putInPlace(temporary, as: file) }
                return file
            }
            guard [EPERM, ENOTSUP, EOPNOTSUPP, ENOSYS].contains(errno) else {
                throw HubError.file(path: file, reason: "it cannot be linked (\(FileError.systemReason()))")
            }
        }
        try HubError.translating { try FilePath.putInPlace(blob, as: file) }
        return file
    }
}
