import EttinFiles

/// A repository in the cache.
public struct CachedRepository: Sendable, Hashable {
    /// The repository.
    public let repository: HubRepository
    /// The cached commits.
    public let revisions: [CachedRevision]
    /// Size on disk in bytes; files shared by several commits count once.
    public let sizeBytes: Int
    /// Size in bytes of incomplete downloads, which can be resumed; included in `sizeBytes`.
    public let incompleteBytes: Int
}

/// A commit in the cache.
public struct CachedRevision: Sendable, Hashable {
    /// The commit.
    public let commit: String
    /// The branches and tags that pointed to it when last looked up, sorted.
    public let names: [String]
    /// The paths of its files, sorted.
    public let files: [String]
    /// Total size of its files in bytes.
    public let sizeBytes: Int
    /// When its folder was last modified, in seconds since 1970.
    public let modified: Int
}

extension HubCache {
    /// Lists the cached repositories.
    ///
    /// - Returns: The repositories, sorted by folder name.
    /// - Throws: `HubError.file`.
    public func repositories() throws -> [CachedRepository] {
        try FilePath.cachedNames(inFolder: folder).compactMap { name in
            guard let repository = HubRepository(cacheFolderName: name),
                FilePath.kind(of: "\(folder)/\(name)") == .folder
            else { return nil }
            return try contents(of: repository)
        }
    }

    /// Lists the cached commits of a repository; having none is not an error.
    ///
    /// - Parameter repository: The repository.
    /// - Returns: Its commits and sizes.
    /// - Throws: `HubError.file`.
    public func contents(of repository: HubRepository) throws -> CachedRepository {
        let names = try namesByCommit(of: repository)
        let root = folder(of: repository)
        let revisions = try FilePath.cachedNames(inFolder: root + "/snapshots").filter(isCommitHash).map { commit in
            let folder = snapshot(commit, of: repository)
            let files = try FilePath.cachedFiles(below: folder)
            return CachedRevision(
                commit: commit,
                names: names[commit]?.sorted() ?? [],
                files: files,
                sizeBytes: files.map { FilePath.fileSize("\(folder)/\($0)") ?? 0 }.clampedSum(),
                modified: FilePath.modificationSeconds(of: folder) ?? 0
            )
        }
        let blobs = try FilePath.cachedNames(inFolder: root + "/blobs")
        func size(_ names: [String]) -> Int {
            names.map { FilePath.fileSize("\(root)/blobs/\($0)") ?? 0 }.clampedSum()
        }
        // Files that are no links take space of their own.
        let unlinked = revisions.flatMap { revision in
            revision.files.map { "\(snapshot(revision.commit, of: repository))/\($0)" }
        }.filter { FilePath.target(ofLink: $0) == nil }
        return CachedRepository(
            repository: repository,
            revisions: revisions,
            sizeBytes: ([size(blobs)] + unlinked.map { FilePath.fileSize($0) ?? 0 }).clampedSum(),
            incompleteBytes: size(blobs.filter { $0.hasSuffix(".incomplete") })
        )
    }

    /// Refuses a repository that there is no folder for.
    func require(_ repository: HubRepository) throws {
        guard FilePath.kind(of: folder(of: repository)) == .folder else {
            throw HubError.notCached(repository.description, folder: folder)
        }
    }

    /// Deletes a repository from the cache.
    ///
    /// - Parameter repository: The repository.
    /// - Returns: The number of bytes freed.
    /// - Throws: `HubError.notCached`, `HubError.file`.
    @discardableResult
    public func remove(_ repository: HubRepository) throws -> Int {
        try require(repository)
        let size = try contents(of: repository).sizeBytes
        // Out of sight first, so that nobody finds half of it.
        let doomed = "\(folder)/.\(repository.cacheFolderName).\(FilePath.randomName()).removed"
        try HubError.translating {
            try FilePath.putInPlace(folder(of: repository), as: doomed)
            try FilePath.removeTree(doomed)
        }
        return size
    }

    /// Deletes a revision from the cache, keeping files that other revisions share.
    ///
    /// - Parameter reference: The repository, and a branch, tag or commit.
    /// - Returns: The number of bytes freed.
    /// - Throws: `HubError.notCached`, `HubError.file`.
    @discardableResult
    public func remove(_ reference: HubReference) throws -> Int {
        let repository = reference.repository
        guard let commit = try commit(of: reference),
            FilePath.kind(of: snapshot(commit, of: repository)) == .folder
        else {
            throw HubError.notCached("\(repository.kind.rawValue) \(reference)", folder: folder)
        }
        let before = try contents(of: repository).sizeBytes
        let root = folder(of: repository)
        let names = try namesByCommit(of: repository)[commit] ?? []
        try HubError.translating {
            for name in names { try FilePath.removeTree("\(root)/refs/\(name)") }
            try FilePath.removeTree(snapshot(commit, of: repository))
            try FilePath.removeTree("\(root)/.no_exist/\(commit)")
            // The Python client keeps lists of files there.
            try FilePath.removeTree("\(root)/trees/\(commit).json")
        }
        let used = try blobsInUse(by: repository)
        for blob in try FilePath.cachedNames(inFolder: root + "/blobs") where !used.contains(blob) {
            guard !blob.hasSuffix(".incomplete") else { continue }
            try HubError.translating { try FilePath.removeTree("\(root)/blobs/\(blob)") }
        }
        return before - (try contents(of: repository).sizeBytes)
    }

    /// The names of the blobs that snapshots link to.
    private func blobsInUse(by repository: HubRepository) throws -> Set<String> {
        let folder = folder(of: repository) + "/snapshots"
        let links = try FilePath.cachedFiles(below: folder).compactMap { FilePath.target(ofLink: "\(folder)/\($0)") }
        return Set(links.compactMap { $0.split(separator: "/").last.map(String.init) })
    }

    private func namesByCommit(of repository: HubRepository) throws -> [String: [String]] {
        var result: [String: [String]] = [:]
        for name in try FilePath.cachedFiles(below: folder(of: repository) + "/refs") {
            guard let reference = try? HubReference(repository, revision: name),
                let commit = try commit(of: reference)
            else { continue }
            result[commit, default: []].append(name)
        }
        return result
    }
}
