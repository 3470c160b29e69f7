import EttinFiles
public import EttinJSON

/// A repository at a revision.
public struct RepositoryInfo: Sendable, Hashable {
    /// The commit the revision points to.
    public let commit: String
    /// The paths of its files, sorted.
    public let files: [String]
    /// Its tags on the Hub (task, languages, licence …).
    public let tags: [String]
    /// Whether the repository is private.
    public let isPrivate: Bool
    /// Whether the repository is gated.
    public let isGated: Bool
    /// The metadata of its model or dataset card, as parsed by the Hub.
    public let cardData: JSONValue
}

/// A file in a repository.
public struct RepositoryFile: Sendable, Hashable {
    /// The path in the repository.
    public let path: String
    /// The size in bytes.
    public let sizeBytes: Int
    /// The content id: SHA-256 for large files, git's SHA-1 for small ones.
    public let contentID: String

    init(path: String, sizeBytes: Int, contentID: String) {
        self.path = path
        self.sizeBytes = sizeBytes
        self.contentID = contentID
    }

    /// More bytes than any file has; what a server says beyond that is not believed.
    static let sizeLimit = 1 << 48

    static func isPossible(size: Int) -> Bool {
        size >= 0 && size <= sizeLimit
    }
}

extension HubClient {
    /// Looks up a repository at a revision.
    ///
    /// - Parameter reference: The repository and revision.
    /// - Returns: Its commit, files and metadata.
    /// - Throws: `HubError`.
    public func info(of reference: HubReference) async throws -> RepositoryInfo {
        try await info(of: reference, retries: true)
    }

    func info(of reference: HubReference, retries: Bool) async throws -> RepositoryInfo {
        let repository = reference.repository
        let action = "reading about \(reference)"
        let address = try session.address(
            "/api/\(repository.kind.plural)/\(repository.id)/revision/\(percentEncoded(reference.revision))"
        )
        let answer = try await read(address, of: reference, action: action, retries: retries).value
        return try RepositoryInfo(answer, of: repository, action: action)
    }

    /// Lists the files of a repository with their sizes and content ids.
    ///
    /// - Parameters:
    ///   - reference: The repository and revision.
    ///   - folder: A folder in the repository; the root if empty.
    /// - Returns: The files in the Hub's order.
    /// - Throws: `HubError`.
    public func files(of reference: HubReference, in folder: String = "") async throws -> [RepositoryFile] {
        let repository = reference.repository
        let action = "listing the files of \(reference)"
        let below = folder.isEmpty ? "" : "/" + percentEncoded(folder, allowing: "/")
        var next: WebAddress? = try session.address(
            "/api/\(repository.kind.plural)/\(repository.id)/tree/\(percentEncoded(reference.revision))\(below)"
                + "?recursive=true&expand=false"
        )
        var result: [RepositoryFile] = []
        var total = 0
        while let address = next {
            let page = try await read(address, of: reference, path: folder, action: action)
            let files = try RepositoryFile.listed(page.value, in: repository, action: action)
            total = [total, files.map(\.sizeBytes).clampedSum()].clampedSum()
            guard total <= Self.listedBytesLimit else {
                throw HubError.malformedAnswer(
                    action: action,
                    reason: "it lists more than \(Self.listedBytesLimit) bytes"
                )
            }
            result += files
            guard page.next != address else { break }
            next = page.next
            guard result.count <= Self.listedFilesLimit else {
                throw HubError.malformedAnswer(
                    action: action,
                    reason: "it lists more than \(Self.listedFilesLimit) files"
                )
            }
        }
        return result
    }

    /// What a list holds at most, so that no server makes us read on without end or count beyond what a number holds.
    private static let listedFilesLimit = 10_000_000
    private static let listedBytesLimit = 1 << 60

    /// Reads JSON about a repository.
    func read(
        _ address: WebAddress,
        of reference: HubReference,
        path: String? = nil,
        action: String,
        retries: Bool = true
    ) async throws -> (value: JSONValue, next: WebAddress?) {
        let subject = RequestSubject(
            action: action,
            repository: reference.repository,
            revision: reference.revision,
            path: path,
            hasToken: session.hasReadToken
        )
        return try await session.page(
            HubRequest(.get, address, action: action),
            for: subject,
            usesToken: session.hasReadToken,
            retries: retries
        )
    }
}

// MARK: - Answers

extension RepositoryInfo {
    /// Reads an answer of the server.
    ///
    /// - Throws: `HubError` when it is malformed, or names a path that leads out of the repository.
    package init(_ answer: JSONValue, of repository: HubRepository, action: String) throws {
        guard let commit = answer["sha"]?.stringValue, isCommitHash(commit), let files = answer["siblings"]?.arrayValue
        else {
            throw HubError.malformedAnswer(action: action, reason: "\"sha\" or \"siblings\" is missing")
        }
        let paths = try files.map { file in
            guard let path = file["rfilename"]?.stringValue else {
                throw HubError.malformedAnswer(action: action, reason: "a file has no \"rfilename\"")
            }
            return try RepositoryPath(path, in: repository).text
        }
        self.commit = commit
        self.files = paths.sorted()
        tags = answer["tags"]?.arrayValue?.compactMap(\.stringValue) ?? []
        isPrivate = answer["private"]?.boolValue ?? false
        // `false`, or how access is granted.
        isGated = answer["gated"].map { $0.boolValue ?? !$0.isNull } ?? false
        cardData = answer["cardData"] ?? .null
    }
}

extension RepositoryFile {
    /// Reads a page of the server's list of files.
    ///
    /// - Throws: `HubError` when it is malformed, or names a path that leads out of the repository.
    package static func listed(_ answer: JSONValue, in repository: HubRepository, action: String) throws
        -> [RepositoryFile]
    {
        var result: [RepositoryFile] = []
        for entry in answer.arrayValue ?? [] where entry["type"]?.stringValue == "file" {
            let large = entry["lfs"]
            guard let path = entry["path"]?.stringValue, let written = large?["size"] ?? entry["size"],
                let id = (large?["oid"] ?? entry["oid"])?.stringValue
            else {
                throw HubError.malformedAnswer(action: action, reason: "an entry lacks path, size or oid")
            }
            guard let size = written.intValue, RepositoryFile.isPossible(size: size) else {
                throw HubError.malformedAnswer(
                    action: action,
                    reason: "the size of \(quoted(path)) is \(cleaned("\(written)")), expected at most "
                        + "\(RepositoryFile.sizeLimit) bytes"
                )
            }
            let checked = try RepositoryPath(path, in: repository).text
            result.append(RepositoryFile(path: checked, sizeBytes: size, contentID: id))
        }
        return result
    }
}
