import EttinFiles
import EttinJSON

extension HubClient {
    /// Uploads a folder as one commit.
    ///
    /// Creates the repository and branch if they do not exist. Unchanged files are not uploaded again, and no commit is
    /// made if nothing changed. If it fails, the branch is unchanged: files only appear with the commit.
    ///
    /// - Parameters:
    ///   - folder: The folder.
    ///   - repository: The repository, `owner/name`.
    ///   - options: Branch, commit message, selection of files.
    /// - Returns: What was uploaded.
    /// - Throws: `HubError`.
    public func upload(
        _ folder: String,
        to repository: HubRepository,
        options: UploadOptions = UploadOptions()
    ) async throws -> UploadResult {
        let reference = try HubReference(repository, revision: options.branch)
        if let tag = options.tag { _ = try HubReference(repository, revision: tag) }
        var plan = try UploadPlan(folder: folder, repository: repository, options: options)
        guard session.environment.token != nil else {
            throw HubError.uploadRefused(reason: "no token; set HF_TOKEN to one with write access to \(repository)")
        }
        try await checkCard(plan, repository)
        let page = "\(session.environment.endpoint)/\(repository.kind.addressPrefix)\(repository.id)"
        if options.isDryRun {
            let isNew = try await chooseModesForDryRun(&plan, reference)
            return UploadResult(createdRepository: isNew, files: plan.results, commit: nil, address: page)
        }
        let isNew = try await create(repository, isPrivate: options.isPrivate)
        if reference.revision != HubReference.defaultRevision { try await createBranch(reference) }
        try await chooseModes(&plan, reference)
        try plan.checkLimits()
        try await uploadLargeFiles(&plan, reference)
        let commit: String
        var address = page
        if plan.files(.regular).isEmpty, plan.files(.large).isEmpty {
            commit = try await info(of: reference).commit
        } else {
            (commit, address) = try await self.commit(plan, reference, options)
        }
        if let tag = options.tag {
            try await createTag(tag, at: try HubReference(repository, revision: commit))
        }
        return UploadResult(createdRepository: isNew, files: plan.results, commit: commit, address: address)
    }

    /// Creates a repository.
    ///
    /// - Parameters:
    ///   - repository: The repository.
    ///   - isPrivate: Whether the repository is private.
    /// - Returns: Whether it was created; false if it already existed.
    /// - Throws: `HubError`.
    @discardableResult
    public func create(_ repository: HubRepository, isPrivate: Bool) async throws -> Bool {
        var body = JSONObject([
            ("name", .init(repository.name)), ("type", .init(repository.kind.rawValue)), ("private", .init(isPrivate)),
        ])
        if let owner = repository.owner { body["organization"] = .init(owner) }
        let response = try await post(
            "/api/repos/create",
            .object(body),
            action: "creating \(repository)",
            repository: repository,
            accepting: [409]
        )
        return response.status != 409
    }

    /// Tags a commit; fails if the tag already points to another one.
    ///
    /// - Parameters:
    ///   - tag: The name of the tag.
    ///   - reference: The repository and the revision to tag.
    /// - Throws: `HubError`.
    public func createTag(_ tag: String, at reference: HubReference) async throws {
        let repository = reference.repository
        let action = "creating the tag \(quoted(tag)) of \(repository)"
        let response = try await post(
            "/api/\(repository.kind.plural)/\(repository.id)/tag/\(percentEncoded(reference.revision))",
            ["tag": .init(tag)],
            action: action,
            repository: repository,
            revision: reference.revision,
            accepting: [409]
        )
        guard response.status == 409 else { return }
        // It may be our own, when the answer to an earlier attempt was lost.
        let there = try await revisions(of: repository).first { $0.kind == .tag && $0.name == tag }?.commit ?? ""
        let wanted = try await reference.isCommit ? reference.revision : info(of: reference).commit
        guard there != wanted else { return }
        throw HubError.rejected(action: action, status: 409, message: "the tag exists and points to commit \(there)")
    }

    private func createBranch(_ reference: HubReference) async throws {
        let repository = reference.repository
        try await post(
            "/api/\(repository.kind.plural)/\(repository.id)/branch/\(percentEncoded(reference.revision))",
            [:],
            action: "creating the branch \(quoted(reference.revision)) of \(repository)",
            repository: repository,
            accepting: [409]
        )
    }

    // MARK: - Modes

    private func chooseModesForDryRun(_ plan: inout UploadPlan, _ reference: HubReference) async throws -> Bool {
        var reference = reference
        do {
            _ = try await info(of: reference)
        } catch HubError.repositoryNotFound {
            // The Hub decides when it exists; these are its usual rules.
            for index in plan.files.indices {
                let file = plan.files[index]
                let isData = ["safetensors", "bin", "pt", "parquet"].contains { file.path.hasSuffix(".\($0)") }
                plan.files[index].mode = file.sizeBytes > 10_000_000 || isData ? .large : .regular
            }
            return true
        } catch HubError.revisionNotFound {
            reference = try HubReference(reference.repository)
        }
        try await chooseModes(&plan, reference)
        return false
    }

    /// Asks the Hub how each file is to travel, and finds those that it has.
    private func chooseModes(_ plan: inout UploadPlan, _ reference: HubReference) async throws {
        let repository = reference.repository
        let action = "preparing the upload to \(repository)"
        // The Hub takes 256 files a time.
        for start in stride(from: 0, to: plan.files.count, by: 256) {
            let part = start..<min(start + 256, plan.files.count)
            let files = try plan.files[part].map { file -> JSONValue in
                ["path": .init(file.path), "size": .init(file.sizeBytes), "sample": .init(base64(try file.sample()))]
            }
            let response = try await post(
                "/api/\(repository.kind.plural)/\(repository.id)/preupload/\(percentEncoded(reference.revision))",
                ["files": .array(files)],
                action: action,
                repository: repository,
                revision: reference.revision
            )
            let answers = response.body["files"]?.arrayValue ?? []
            for index in part {
                let path = plan.files[index].path
                guard let answer = answers.first(where: { $0["path"]?.stringValue == path }),
                    let mode = answer["uploadMode"]?.stringValue, ["regular", "lfs"].contains(mode)
                else {
                    throw HubError.malformedAnswer(action: action, reason: "it has no upload mode for \(quoted(path))")
                }
                let isLarge = mode == "lfs" && plan.files[index].sizeBytes > 0 && plan.files[index].generated == nil
                plan.files[index].mode = isLarge ? .large : .regular
                if isLarge || answer["oid"]?.stringValue != nil {
                    plan.files[index].contentID = try plan.files[index].computedID(isLarge: isLarge)
                }
                if answer["shouldIgnore"]?.boolValue == true {
                    plan.files[index].mode = .ignored
                } else if let known = answer["oid"]?.stringValue, known == plan.files[index].contentID {
                    plan.files[index].mode = .unchanged
                }
            }
        }
    }

    // MARK: - Commit

    private func commit(
        _ plan: UploadPlan,
        _ reference: HubReference,
        _ options: UploadOptions
    ) async throws -> (commit: String, address: String) {
        let repository = reference.repository
        let action = "committing to \(reference)"
        var request = HubRequest(
            .post,
            try session.address(
                "/api/\(repository.kind.plural)/\(repository.id)/commit/\(percentEncoded(reference.revision))"
            ),
            action: action
        )
        request.headers.add(name: "Content-Type", value: "application/x-ndjson")
        request.isRepeatable = false
        request.body = .lines(CommitLines(plan: plan, title: options.title, details: options.details))
        let subject = RequestSubject(
            action: action,
            repository: repository,
            revision: reference.revision,
            hasToken: true
        )
        var attempts = RetryCounter(policy: session.policy)
        while true {
            do {
                let response = try await session.sendOnce(request, usesToken: true)
                guard RetryPolicy.isTransient(response.status),
                    let delay = attempts.next(requested: RetryPolicy.requestedDelay(response.headers))
                else {
                    guard response.status < 300 else { throw await session.error(for: response, subject: subject) }
                    let answer = try JSONValue(parsing: try await response.bytes(limit: 1 << 24, action: action))
                    guard let commit = answer["commitOid"]?.stringValue, isCommitHash(commit) else {
                        throw HubError.malformedAnswer(action: action, reason: "it lacks \"commitOid\"")
                    }
                    return (commit, answer["commitUrl"]?.stringValue ?? "")
                }
                try await session.wait(delay, before: action, because: "HTTP status \(response.status)")
            } catch let error as JSONError {
                throw HubError.malformedAnswer(action: action, reason: error.description)
            } catch let failure as ConnectionFailure {
                guard let delay = attempts.next(after: failure) else { throw failure.hubError }
                try await session.wait(delay, before: action, because: failure.reason)
            }
            // The answer may have been lost, and not the commit: a second one would be empty.
            if try await holds(plan, reference) {
                let commit = try await info(of: reference).commit
                return (
                    commit,
                    "\(session.environment.endpoint)/\(repository.kind.addressPrefix)\(repository.id)/commit/\(commit)"
                )
            }
        }
    }

    /// Whether a branch has every file of a plan.
    private func holds(_ plan: UploadPlan, _ reference: HubReference) async throws -> Bool {
        let there = Dictionary(
            try await files(of: reference).map { ($0.path, $0.contentID) },
            uniquingKeysWith: { first, _ in first }
        )
        return try (plan.files(.regular) + plan.files(.large)).allSatisfy { file in
            let id = try file.contentID ?? file.computedID(isLarge: file.mode == .large)
            return there[file.path] == id
        }
    }

    // MARK: - Sending

    /// Sends JSON with the token and reads JSON back.
    @discardableResult
    func post(
        _ path: String,
        _ body: JSONValue,
        action: String,
        repository: HubRepository,
        revision: String = HubReference.defaultRevision,
        mediaType: String = "application/json",
        accepting accepted: Set<Int> = []
    ) async throws -> (status: Int, body: JSONValue) {
        var request = HubRequest(.post, try session.address(path), action: action)
        request.headers.add(name: "Content-Type", value: mediaType)
        request.headers.add(name: "Accept", value: mediaType)
        request.body = .bytes(body.serialized())
        let response = try await session.send(request, usesToken: true)
        let subject = RequestSubject(action: action, repository: repository, revision: revision, hasToken: true)
        guard response.status < 300 || accepted.contains(response.status) else {
            throw await session.error(for: response, subject: subject)
        }
        do {
            let bytes = try await response.bytes(limit: 1 << 26, action: action)
            return (response.status, bytes.isEmpty ? .null : try JSONValue(parsing: bytes))
        } catch let error as JSONError {
            // Answers that only say yes need not be JSON.
            guard accepted.isEmpty else { return (response.status, .null) }
            throw HubError.malformedAnswer(action: action, reason: error.description)
        } catch let failure as ConnectionFailure {
            throw failure.hubError
        }
    }
}
