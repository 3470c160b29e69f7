import EttinFiles

/// Why something could not be had from, or given to, the Hub.
///
/// Each text says what to do about it.
/// No case carries a token or a signed address: what comes from servers is cut short and cleaned before it is quoted.
public enum HubError: Error, Sendable, Hashable {
    /// A text is not a reference to a folder or repository.
    case invalidReference(String, reason: String)
    /// An environment variable has a value that cannot be used.
    case invalidSetting(name: String, value: String, expected: String)
    /// The repository is missing, or private and the token (if any) does not open it.
    case repositoryNotFound(HubRepository, hasToken: Bool)
    /// The repository exists and its owners have not let this user in.
    case gated(HubRepository, page: String, hasToken: Bool)
    /// The repository exists without this branch, tag or commit.
    case revisionNotFound(HubRepository, revision: String)
    /// The repository has no such file at this revision.
    case fileNotFound(HubRepository, revision: String, path: String)
    /// The server does not accept the token.
    case invalidToken(host: String)
    /// The token is valid and does not permit this.
    case forbidden(action: String, message: String)
    /// The network is switched off by the environment, and the cache does not hold what is needed.
    case offline(setting: String, missing: String)
    /// The network is switched off by the environment, and this cannot do without.
    case networkForbidden(setting: String, action: String)
    /// The cache does not hold a repository, or not this revision of it.
    case notCached(String, folder: String)
    /// No connection, or it broke and did not come back.
    case unreachable(host: String, reason: String)
    /// The server answered with an error that is not one of the others.
    case rejected(action: String, status: Int, message: String)
    /// The server answered with something that is not the protocol.
    case malformedAnswer(action: String, reason: String)
    /// A download is complete and its content is not what the server announced.
    case corruptDownload(path: String, expected: String, found: String)
    /// A repository names a file that would be written outside its folder.
    case unsafePath(String, HubRepository)
    /// A local file cannot be read or written.
    case file(path: String, reason: String)
    /// A repository has no weights or configuration among its files.
    case notAModel(HubRepository, revision: String, missing: String)
    /// A data set has no such configuration or split.
    case datasetChoice(HubRepository, asked: String, available: [String])
    /// What is to be uploaded breaks a limit of the Hub or of this library.
    case uploadRefused(reason: String)
}

extension HubError: CustomStringConvertible {
    /// What went wrong and what to do about it, in one line.
    public var description: String {
        switch self {
        case .invalidReference(let text, let reason):
            "\(quoted(text)) is not a reference to a model or data set: \(reason)"
        case .invalidSetting(let name, let value, let expected):
            "environment variable \(name) is \(quoted(value)), expected \(expected)"
        case .repositoryNotFound(let repository, let hasToken):
            "\(repository) does not exist on the Hub, or it is private"
                + (hasToken
                    ? " and the token does not open it: check the name and the token's permissions"
                    : ": check the name, or set HF_TOKEN if it is private")
        case .gated(let repository, let page, let hasToken):
            "\(repository) is gated: "
                + (hasToken
                    ? "ask for access at \(page) with the account of your token"
                    : "ask for access at \(page), then set HF_TOKEN to a token of that account")
        case .revisionNotFound(let repository, let revision):
            "\(repository) has no revision \(quoted(revision)); `ettin revisions \(repository.id)"
                + (repository.kind == .model ? "`" : " --kind \(repository.kind.rawValue)`") + " lists those there are"
        case .fileNotFound(let repository, let revision, let path):
            "\(repository) has no file \(quoted(path)) at revision \(quoted(revision))"
        case .invalidToken(let host):
            "\(host) does not accept the token: replace HF_TOKEN or the token file, or unset them to read public files"
        case .forbidden(let action, let message):
            "\(action) is not permitted to this token: use one with the needed permission\(suffix(message))"
        case .offline(let setting, let missing):
            "\(missing) is not in the cache, and \(setting) forbids the network: unset it once to download"
        case .networkForbidden(let setting, let action):
            "\(action) needs the network, which \(setting) forbids: unset it"
        case .notCached(let what, let folder):
            "\(what) is not in the cache \(quoted(folder)); `ettin cache ls` lists what is"
        case .unreachable(let host, let reason):
            "\(host) cannot be reached: \(reason); check the network and, if you use them, HF_ENDPOINT and the proxies"
        case .rejected(let action, let status, let message):
            "\(action) failed with HTTP status \(status)\(suffix(message))"
        case .malformedAnswer(let action, let reason):
            "\(action): the server's answer is not the Hub's protocol: \(reason)"
        case .corruptDownload(let path, let expected, let found):
            "\(quoted(path)) arrived damaged: expected \(expected), found \(found); nothing was kept, try again"
        case .unsafePath(let path, let repository):
            "\(repository) names the file \(quoted(path)), which does not stay inside its folder; it is refused"
        case .file(let path, let reason):
            "\(quoted(path)): \(reason)"
        case .notAModel(let repository, let revision, let missing):
            "\(repository) at \(quoted(revision)) cannot be used as a model: it has no \(missing)"
        case .datasetChoice(let repository, let asked, let available):
            "\(repository) has no \(asked); it has \(available.map { quoted($0) }.joined(separator: ", "))"
        case .uploadRefused(let reason):
            "nothing was uploaded: \(reason)"
        }
    }

    private func suffix(_ message: String) -> String {
        message.isEmpty ? "" : ": \(message)"
    }
}

/// Foreign text without control characters, at most 200 characters.
func cleaned(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        if result.count == 200 {
            result.append("…")
            break
        }
        let isControl = scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
        result.append(isControl ? "\u{FFFD}" : scalar)
    }
    return String(result)
}
