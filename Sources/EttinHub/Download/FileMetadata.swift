import EttinFiles
import EttinJSON

/// What the Hub says about a file before it is fetched.
struct FileMetadata: Sendable {
    /// The commit that the revision stands for.
    let commit: String
    /// The content id.
    let etag: String
    /// The size in bytes, when the server says it.
    let size: Int?
    /// Where the content is.
    let location: WebAddress
}

extension HubClient {
    /// The address of a file.
    func address(of path: RepositoryPath, _ reference: HubReference) throws -> WebAddress {
        let repository = reference.repository
        return try session.address(
            "/\(repository.kind.addressPrefix)\(repository.id)/resolve/\(percentEncoded(reference.revision))/"
                + percentEncoded(path.text, allowing: "/")
        )
    }

    /// Asks about a file, and remembers in the cache when there is none.
    func metadata(of path: RepositoryPath, _ reference: HubReference, retries: Bool) async throws -> FileMetadata {
        let action = "looking up \(path.text) of \(reference)"
        var request = HubRequest(.head, try address(of: path, reference), action: action)
        // The size and the id are those of the bytes as they are stored.
        request.headers.add(name: "Accept-Encoding", value: "identity")
        request.headTimeout = session.environment.metadataTimeout
        let usesToken = session.hasReadToken
        var redirections = 0
        while true {
            let response = try await session.send(request, usesToken: usesToken, retries: retries)
            if let location = response.location, let target = request.address.following(location),
                target.hasSameOrigin(as: request.address)
            {
                // A renamed repository. A redirection to elsewhere is the file itself, described by this answer.
                redirections += 1
                guard redirections <= 10 else {
                    throw HubError.malformedAnswer(action: action, reason: "too many redirects")
                }
                request.address = target
                continue
            }
            guard response.status < 400 else {
                let subject = RequestSubject(
                    action: action,
                    repository: reference.repository,
                    revision: reference.revision,
                    path: path.text,
                    hasToken: usesToken
                )
                let error = await session.error(for: response, subject: subject)
                if case .fileNotFound = error, let commit = response.headers.first(name: "X-Repo-Commit"),
                    isCommitHash(commit)
                {
                    try cache.markMissing(path, commit: commit, of: reference.repository)
                    try cache.record(commit: commit, for: reference)
                }
                throw error
            }
            return try Self.metadata(in: response, action: action)
        }
    }

    private static func metadata(in response: HubResponse, action: String) throws -> FileMetadata {
        let headers = response.headers
        guard let commit = headers.first(name: "X-Repo-Commit"), isCommitHash(commit) else {
            throw HubError.malformedAnswer(
                action: action,
                reason:
                    "the header X-Repo-Commit is missing; check that HF_ENDPOINT is a Hub and no proxy removes headers"
            )
        }
        var etag = headers.first(name: "X-Linked-Etag") ?? headers.first(name: "ETag") ?? ""
        if etag.hasPrefix("W/") { etag.removeFirst(2) }
        etag = etag.filter { $0 != "\"" }
        // The id becomes a file name.
        let isName =
            !etag.hasPrefix(".")
            && etag.utf8.allSatisfy {
                ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9"))
                    || ($0 | 0x20 >= UInt8(ascii: "a") && $0 | 0x20 <= UInt8(ascii: "z"))
                    || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
            }
        guard !etag.isEmpty, etag.utf8.count <= 128, isName else {
            throw HubError.malformedAnswer(action: action, reason: "its ETag is \(quoted(etag)), expected a content id")
        }
        let length =
            headers.first(name: "X-Linked-Size")
            ?? (response.location == nil ? headers.first(name: "Content-Length") : nil)
        let size = length.flatMap { Int($0) }
        guard length == nil || size.map(RepositoryFile.isPossible(size:)) == true else {
            throw HubError.malformedAnswer(
                action: action,
                reason: "its size is \(quoted(length ?? "")), expected at most \(RepositoryFile.sizeLimit) bytes"
            )
        }
        let location = response.location.map { response.address.following($0) } ?? response.address
        guard let location else {
            throw HubError.malformedAnswer(action: action, reason: "it redirects to an invalid address")
        }
        return FileMetadata(commit: commit, etag: etag, size: size, location: location)
    }
}
