import EttinFiles
public import EttinJSON
import NIOHTTP1

/// What a repository is at a revision.
public struct RepositoryInfo: Sendable, Hashable {
    /// The commit that the revision stands for.
    public let commit: String
    /// The paths of its files, sorted.
    public let files: [String]
    /// Its tags on the Hub (task, languages, licence …).
    public let tags: [String]
    /// Whether only its owner and members see it.
    public let isPrivate: Bool
    /// Whether readers must ask for access.
    public let isGated: Bool
    /// The metadata at the top of its card, as the Hub understood it.
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

    /// Creates a description of a file.
    ///
    /// - Parameters:
    ///   - path: The path in the repository.
    ///   - sizeBytes: The size in bytes.
    ///   - contentID: The content id.
    public init(path: String, sizeBytes: Int, contentID: String) {
        self.path = path
        self.sizeBytes = sizeBytes
        self.contentID = contentID
    }
}

extension HubClient {
    /// Asks what a repository is at a revision.
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

    /// Lists the files of a repository at a revision with sizes and content ids.
    ///
    /// - Parameters:
    ///   - reference: The repository and revision.
    ///   - folder: A folder in the repository; all of it when empty.
    /// - Returns: The files, in the order of the Hub.
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
        while let address = next {
            let page = try await read(address, of: reference, path: folder, action: action)
            result += try RepositoryFile.listed(page.value, in: repository, action: action)
            guard page.next != address else { break }
            next = page.next
        }
        return result
    }

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
            HubRequest(.GET, address, action: action),
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
            throw HubError.malformedAnswer(action: action, reason: "it lacks \"sha\" or \"siblings\"")
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
            guard let path = entry["path"]?.stringValue, let size = (large?["size"] ?? entry["size"])?.intValue,
                (0...Int.largestCount).contains(size), let id = (large?["oid"] ?? entry["oid"])?.stringValue
            else {
                throw HubError.malformedAnswer(action: action, reason: "an entry lacks path, size or oid")
            }
            let checked = try RepositoryPath(path, in: repository).text
            result.append(RepositoryFile(path: checked, sizeBytes: size, contentID: id))
        }
        return result
    }
}
