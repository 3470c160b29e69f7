import EttinFiles

/// Which files of a repository to download.
public enum FileSelection: Sendable, Hashable {
    /// The files needed to load a model: configuration, tokenizer and weights in one format.
    case model
    /// All files.
    case all
    /// Files that match any of the first patterns (or all files if there are none) and none of the second.
    case matching([String], excluding: [String] = [])
}

/// Files of a commit in the cache.
public struct HubSnapshot: Sendable, Hashable {
    /// The folder that holds the files.
    public let folder: String
    /// The commit.
    public let commit: String
    /// Paths of the requested files relative to the folder, sorted.
    public let files: [String]
}

extension HubClient {
    /// The folder of a model, downloaded from the Hub if necessary.
    ///
    /// - Parameter model: A local folder or a repository.
    /// - Returns: A folder with configuration, tokenizer and weights.
    /// - Throws: `HubError`.
    public func modelFolder(_ model: ModelReference) async throws -> String {
        switch model {
        case .folder(let folder): folder
        case .hub(let reference): try await snapshot(of: reference, files: .model).folder
        }
    }

    /// Downloads files of a repository that are not in the cache.
    ///
    /// All files come from one commit, even if the branch moves in the meantime. If the Hub cannot be reached, the last
    /// known commit of the revision is used, provided all its files are cached.
    ///
    /// - Parameters:
    ///   - reference: The repository and revision.
    ///   - selection: Which files to download.
    /// - Returns: The folder in the cache.
    /// - Throws: `HubError`.
    public func snapshot(of reference: HubReference, files selection: FileSelection) async throws -> HubSnapshot {
        let cached = try cachedSnapshot(of: reference, files: selection)
        // Only a model can be seen to be complete without the list of files.
        if reference.isCommit, selection == .model, case .complete(let snapshot) = cached { return snapshot }
        let info: RepositoryInfo
        do {
            var hasCopy = false
            if case .complete = cached { hasCopy = true }
            info = try await self.info(of: reference, retries: !hasCopy)
        } catch let error as HubError where error.allowsCachedCopy {
            switch cached {
            case .complete(let snapshot):
                session.reportUse(ofCached: "\(reference)", after: error)
                return snapshot
            case .lacks(let missing):
                guard case .networkForbidden(let setting, _) = error else { throw error }
                throw HubError.offline(setting: setting, missing: "\(missing) of \(reference)")
            }
        }
        return try await download(info, of: reference, selection)
    }

    private func download(
        _ info: RepositoryInfo,
        of reference: HubReference,
        _ selection: FileSelection
    ) async throws -> HubSnapshot {
        let repository = reference.repository
        let commit = try HubReference(repository, revision: info.commit)
        let wanted: [String]
        switch selection {
        case .model:
            let files = ModelFiles(available: info.files)
            guard files.isModel else {
                throw HubError.notAModel(repository, revision: reference.revision, missing: "config.json")
            }
            switch files.weights {
            case nil where files.hasWeights: wanted = files.companions
            case nil:
                throw HubError.notAModel(
                    repository,
                    revision: reference.revision,
                    missing: "model.safetensors or pytorch_model.bin"
                )
            case .single(let path): wanted = files.companions + [path]
            case .sharded(let index):
                let shards = try ModelFiles.shards(inIndexAt: try await file(index, of: commit), of: repository)
                wanted = files.companions + [index] + shards
            }
        case .all, .matching: wanted = info.files.filter(selection.includes)
        }
        // The largest files, which are the weights, begin first.
        try await concurrently(wanted.reversed()) { _ = try await self.file($0, of: commit) }
        try? cache.record(commit: info.commit, for: reference)
        return HubSnapshot(
            folder: cache.snapshot(info.commit, of: repository),
            commit: info.commit,
            files: wanted.sorted()
        )
    }

    /// What the cache holds of a revision.
    private enum CachedSnapshot {
        case complete(HubSnapshot)
        /// What is missing, in words.
        case lacks(String)
    }

    private func cachedSnapshot(of reference: HubReference, files selection: FileSelection) throws -> CachedSnapshot {
        guard let commit = try cache.commit(of: reference) else { return .lacks("the revision") }
        let folder = cache.snapshot(commit, of: reference.repository)
        let present = try FilePath.cachedFiles(below: folder).filter { FilePath.kind(of: "\(folder)/\($0)") != .absent }
        var files = present.filter(selection.includes)
        if selection == .model {
            let model = ModelFiles(available: present)
            guard model.isModel else { return .lacks("config.json") }
            switch model.weights {
            case nil where model.hasWeights: files = model.companions
            case nil: return .lacks("a file with weights")
            case .single(let path): files = model.companions + [path]
            case .sharded(let index):
                let shards = try ModelFiles.shards(inIndexAt: "\(folder)/\(index)", of: reference.repository)
                if let missing = Set(shards).subtracting(present).min() { return .lacks(missing) }
                files = model.companions + [index] + shards
            }
        }
        guard !files.isEmpty else { return .lacks("every file asked for") }
        return .complete(HubSnapshot(folder: folder, commit: commit, files: files.sorted()))
    }
}

extension FileSelection {
    /// Whether a path is wanted, as far as patterns tell.
    func includes(_ path: String) -> Bool {
        guard case .matching(let included, let excluded) = self else { return true }
        return (included.isEmpty || included.contains { GlobPattern($0).matches(path) })
            && !excluded.contains { GlobPattern($0).matches(path) }
    }
}
