import EttinJSON

/// What a request is about, for the errors it can meet.
struct RequestSubject: Sendable {
    let action: String
    var repository: HubRepository?
    var revision = HubReference.defaultRevision
    var path: String?
    /// Whether the token was sent.
    var hasToken: Bool
}

extension HubSession {
    /// Says in words what an answer with an error status means.
    func error(for response: HubResponse, subject: RequestSubject) async -> HubError {
        let message = await message(in: response)
        let code = response.headers.first(name: "X-Error-Code")
        if let repository = subject.repository {
            switch code {
            case "RepoNotFound": return .repositoryNotFound(repository, hasToken: subject.hasToken)
            case "RevisionNotFound": return .revisionNotFound(repository, revision: subject.revision)
            case "EntryNotFound":
                return .fileNotFound(repository, revision: subject.revision, path: subject.path ?? "")
            case "GatedRepo":
                let page = "\(environment.endpoint)/\(repository.kind.addressPrefix)\(repository.id)"
                return .gated(repository, page: page, hasToken: subject.hasToken)
            default: break
            }
        }
        switch response.status {
        case 401 where message.contains("Invalid credentials") || message.contains("Invalid username"):
            return .invalidToken(host: response.address.displayedHost)
        case 401 where response.address.hasSameOrigin(as: endpoint):
            // The Hub does not tell a private repository from one that does not exist.
            guard let repository = subject.repository else { return .invalidToken(host: endpoint.displayedHost) }
            return .repositoryNotFound(repository, hasToken: subject.hasToken)
        case 403 where response.address.hasSameOrigin(as: endpoint):
            return .forbidden(action: subject.action, message: message)
        default:
            return .rejected(action: subject.action, status: response.status, message: message)
        }
    }

    /// What the server says itself, in a header or in the `error` of a JSON body.
    private func message(in response: HubResponse) async -> String {
        if let text = response.headers.first(name: "X-Error-Message"), !text.isEmpty { return withoutToken(text) }
        guard let bytes = try? await response.bytes(limit: 1 << 16, action: ""),
            let body = try? JSONValue(parsing: bytes)
        else { return "" }
        let error = body["error"] ?? body["message"]
        return withoutToken(error?.stringValue ?? error?["message"]?.stringValue ?? "")
    }

    /// A server that repeats the token does not make us print it.
    private func withoutToken(_ text: String) -> String {
        guard let secret = environment.token?.secret else { return cleaned(text) }
        return cleaned(text.split(separator: secret, omittingEmptySubsequences: false).joined(separator: "<token>"))
    }
}
