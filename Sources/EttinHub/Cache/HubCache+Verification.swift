import EttinFiles

/// Something in the cache that is not as it should be.
public struct CacheFinding: Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    public enum Problem: Sendable, Hashable {
        /// The content does not have the checksum that is its name.
        case damaged(found: String)
        /// A file of a commit leads to a content that is gone.
        case dangling
    }

    /// The repository.
    public let repository: HubRepository
    /// The path below the repository's folder in the cache.
    public let path: String
    /// What is wrong.
    public let problem: Problem

    /// The finding in one line.
    public var description: String {
        switch problem {
        case .damaged(let found): "\(repository): \(path) is damaged: its checksum is \(found)"
        case .dangling: "\(repository): \(path) leads to a content that is gone"
        }
    }
}

/// What a check of the cache has found.
public struct CacheVerification: Sendable, Hashable {
    /// How many contents were read and compared.
    public internal(set) var checkedCount = 0
    /// How many contents have a name that is no checksum, so that nothing can be said about them.
    public internal(set) var uncheckableCount = 0
    /// What is wrong.
    public internal(set) var findings: [CacheFinding] = []
}

extension HubCache {
    /// Compares every content with its checksum, and every file with the content it leads to.
    ///
    /// - Parameters:
    ///   - repositories: The repositories to check; all in the cache when nil.
    ///   - repairs: Whether what is damaged or dangling is removed, so that the next use downloads it again.
    ///   - onProgress: Called with the path of each content before it is read.
    /// - Returns: What was found.
    /// - Throws: `HubError.notCached` for a repository that is not there, `HubError.file` when something cannot be read.
    public func verify(
        _ repositories: [HubRepository]? = nil,
        repairs: Bool = false,
        onProgress: (String) -> Void = { _ in }
    ) throws -> CacheVerification {
        try repositories?.forEach(require)
        var result = CacheVerification()
        for repository in try repositories ?? self.repositories().map(\.repository) {
            let root = folder(of: repository)
            for name in try FilePath.cachedNames(inFolder: root + "/blobs") where !name.hasSuffix(".incomplete") {
                let path = "\(root)/blobs/\(name)"
                let (file, size) = try HubError.translating {
                    let file = try OpenFile(path, .read)
                    return (file, try file.size)
                }
                guard var hash = ContentHash(matching: name, size: size) else {
                    result.uncheckableCount += 1
                    continue
                }
                onProgress(path)
                try hash.update(file, 0..<size)
                result.checkedCount += 1
                let found = hash.finalized()
                guard found != name else { continue }
                result.findings.append(
                    CacheFinding(repository: repository, path: "blobs/\(name)", problem: .damaged(found: found))
                )
                if repairs { try HubError.translating { try FilePath.removeTree(path) } }
            }
            for name in try FilePath.cachedFiles(below: root + "/snapshots") {
                let path = "\(root)/snapshots/\(name)"
                guard FilePath.target(ofLink: path) != nil, FilePath.kind(of: path) == .absent else { continue }
                // Repairing a content has just made the links to it dangle; they are no finding of their own.
                let isNew = repairs && result.findings.contains { path.linkTarget(endsWith: $0) }
                if !isNew {
                    result.findings.append(
                        CacheFinding(repository: repository, path: "snapshots/\(name)", problem: .dangling)
                    )
                }
                if repairs { try HubError.translating { try FilePath.removeTree(path) } }
            }
        }
        return result
    }
}

extension String {
    fileprivate func linkTarget(endsWith finding: CacheFinding) -> Bool {
        FilePath.target(ofLink: self)?.hasSuffix(finding.path) ?? false
    }
}
