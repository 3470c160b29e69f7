import EttinFiles

extension HubClient {
    /// The path of a repository's file in the cache, downloaded if necessary.
    ///
    /// A cached file of a commit is returned without contacting the Hub. If the Hub cannot be reached, the last known
    /// commit of the revision is used.
    ///
    /// - Parameters:
    ///   - path: The path of the file in the repository.
    ///   - reference: The repository and revision.
    /// - Returns: A path in the cache. The file is shared and must not be modified.
    /// - Throws: `HubError`.
    public func file(_ path: String, of reference: HubReference) async throws -> String {
        let path = try RepositoryPath(path, in: reference.repository)
        if reference.isCommit {
            if let file = cache.file(path, commit: reference.revision, of: reference.repository) { return file }
            if cache.isKnownMissing(path, commit: reference.revision, of: reference.repository) {
                throw HubError.fileNotFound(reference.repository, revision: reference.revision, path: path.text)
            }
        }
        let cached = try cache.commit(of: reference).flatMap { cache.file(path, commit: $0, of: reference.repository) }
        let metadata: FileMetadata
        do {
            // With a copy at hand, a Hub that does not answer is not waited for.
            metadata = try await self.metadata(of: path, reference, retries: cached == nil)
        } catch let error as HubError where error.allowsCachedCopy {
            guard let cached else {
                if case .networkForbidden(let setting, _) = error {
                    throw HubError.offline(setting: setting, missing: "\(path.text) of \(reference)")
                }
                throw error
            }
            session.reportUse(ofCached: "\(path.text) of \(reference)", after: error)
            return cached
        }
        return try await file(path, of: reference, metadata)
    }

    private func file(
        _ path: RepositoryPath,
        of reference: HubReference,
        _ metadata: FileMetadata
    ) async throws -> String {
        let repository = reference.repository
        if let file = cache.file(path, commit: metadata.commit, of: repository) {
            // A cache that cannot be written to still serves what it has.
            try? cache.record(commit: metadata.commit, for: reference)
            return file
        }
        try cache.record(commit: metadata.commit, for: reference)
        let blob = cache.blob(metadata.etag, of: repository)
        try FilePath.makeCacheFolder(FilePath.folder(of: blob))
        let lock = try await FileLock.acquire(cache.lock(metadata.etag, of: repository)) {
            session.onEvent(.waiting(path: path.text))
        }
        defer { lock.release() }
        // Another process may have done all the work in the meantime.
        if let file = cache.file(path, commit: metadata.commit, of: repository) { return file }
        if FilePath.kind(of: blob) == .absent {
            let commit = try HubReference(repository, revision: metadata.commit)
            let transfer = ContentTransfer(
                session: session,
                path: path.text,
                metadata: metadata,
                freshAddress: try address(of: path, commit)
            )
            try await BlobDownload(transfer: transfer, blob: blob, isAlone: lock.isExclusive).run()
        }
        let file = try cache.place(metadata.etag, as: path, commit: metadata.commit, of: repository)
        session.onEvent(.finished(path: path.text))
        return file
    }
}

extension HubSession {
    /// Tells that the cache stands in for the Hub, unless that is what was asked for.
    func reportUse(ofCached what: String, after error: HubError) {
        if case .networkForbidden = error { return }
        onEvent(.usingCache(what: what, reason: error.description))
    }
}

extension HubError {
    /// Whether what the cache holds may stand in: the Hub was not reached, or did not let us in any more.
    var allowsCachedCopy: Bool {
        switch self {
        case .networkForbidden, .unreachable, .malformedAnswer, .repositoryNotFound, .gated, .invalidToken, .forbidden:
            true
        case .rejected(_, let status, _): status >= 400
        default: false
        }
    }
}
