import EttinFiles

/// A problem in the cache.
public struct CacheFinding: Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    public enum Problem: Sendable, Hashable {
        /// The checksum of a file is not the one in its name.
        case damaged(found: String)
        /// A file of a commit links to a missing blob.
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
        case .damaged(let found): "\(repository): \(path) is corrupted: its checksum is \(found)"
        case .dangling: "\(repository): \(path) points to a missing file"
        }
    }
}

/// The result of verifying the cache.
public struct CacheVerification: Sendable, Hashable {
    /// Number of blobs that were compared with their checksums.
    public internal(set) var checkedCount = 0
    /// Number of blobs whose name is not a checksum, so that they cannot be verified.
    public internal(set) var uncheckableCount = 0
    /// The problems found.
    public internal(set) var findings: [CacheFinding] = []
}

extension HubCache {
    /// Verifies the checksum of every blob and the target of every link.
    ///
    /// - Parameters:
    ///   - repositories: The repositories to verify; all cached ones if nil.
    ///   - repairs: Whether to delete corrupted files and dangling links, so that they are downloaded again when needed.
    ///   - onProgress: Called with the path of each blob before it is read.
    /// - Returns: The problems found.
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
