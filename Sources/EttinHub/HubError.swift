import EttinFiles

/// Why a download, upload or query failed.
///
/// Each description says what to do about it.
/// No case carries a token or a signed address: text from servers is truncated and cleaned before it is quoted.
public enum HubError: Error, Sendable, Hashable {
    /// A text is neither a folder nor a repository name.
    case invalidReference(String, reason: String)
    /// An environment variable has an invalid value.
    case invalidSetting(name: String, value: String, expected: String)
    /// The repository does not exist, or is private and the token, if any, has no access to it.
    case repositoryNotFound(HubRepository, hasToken: Bool)
    /// The repository is gated and this user has no access to it yet.
    case gated(HubRepository, page: String, hasToken: Bool)
    /// The repository exists without this branch, tag or commit.
    case revisionNotFound(HubRepository, revision: String)
    /// The repository has no such file at this revision.
    case fileNotFound(HubRepository, revision: String, path: String)
    /// The server rejected the token.
    case invalidToken(host: String)
    /// The token is valid but lacks a permission.
    case forbidden(action: String, message: String)
    /// Offline mode is on and the cache does not have what is needed.
    case offline(setting: String, missing: String)
    /// Offline mode is on and this needs the network.
    case networkForbidden(setting: String, action: String)
    /// The cache does not have a repository, or not this revision of it.
    case notCached(String, folder: String)
    /// No connection could be made, or it broke and retries failed.
    case unreachable(host: String, reason: String)
    /// The server answered with an error status that none of the other cases describes.
    case rejected(action: String, status: Int, message: String)
    /// The server's response does not follow the Hub's protocol.
    case malformedAnswer(action: String, reason: String)
    /// A downloaded file does not have the announced size or checksum.
    case corruptDownload(path: String, expected: String, found: String)
    /// A repository contains a file whose path leads outside its folder.
    case unsafePath(String, HubRepository)
    /// A local file cannot be read or written.
    case file(path: String, reason: String)
    /// A repository lacks weights or a configuration.
    case notAModel(HubRepository, revision: String, missing: String)
    /// A dataset has no such configuration or split.
    case datasetChoice(HubRepository, asked: String, available: [String])
    /// An upload would break a limit of the Hub or of this library.
    case uploadRefused(reason: String)
}

extension HubError: CustomStringConvertible {
    /// What went wrong and how to fix it, in one line.
    public var description: String {
        switch self {
        case .invalidReference(let text, let reason):
            "\(quoted(text)) is not a model or dataset name: \(reason)"
        case .invalidSetting(let name, let value, let expected):
            "environment variable \(name) is \(quoted(value)), expected \(expected)"
        case .repositoryNotFound(let repository, let hasToken):
            "\(repository) was not found on the Hub, or it is private"
                + (hasToken
                    ? " and your token has no access to it: check the name and the token's permissions"
                    : ": check the name, or set HF_TOKEN if it is private")
        case .gated(let repository, let page, let hasToken):
            "\(repository) is gated: "
                + (hasToken
                    ? "request access at \(page) with the account your token belongs to"
                    : "request access at \(page), then set HF_TOKEN to a token of that account")
        case .revisionNotFound(let repository, let revision):
            "\(repository) has no revision \(quoted(revision)); `ettin revisions \(repository.id)"
                + (repository.kind == .model ? "`" : " --kind \(repository.kind.rawValue)`") + " lists its revisions"
        case .fileNotFound(let repository, let revision, let path):
            "\(repository) has no file \(quoted(path)) at revision \(quoted(revision))"
        case .invalidToken(let host):
            "\(host) rejected the token: update HF_TOKEN or the token file, or remove it to access public files only"
        case .forbidden(let action, let message):
            "the token lacks the permission for \(action): use one that has it\(suffix(message))"
        case .offline(let setting, let missing):
            "\(missing) is not in the cache, and \(setting) disables the network: unset it to download"
        case .networkForbidden(let setting, let action):
            "\(action) needs the network, which \(setting) disables: unset it"
        case .notCached(let what, let folder):
            "\(what) is not in the cache \(quoted(folder)); `ettin cache ls` lists its contents"
        case .unreachable(let host, let reason):
            "\(host) cannot be reached: \(reason); check the network, HF_ENDPOINT and the proxy settings"
        case .rejected(let action, let status, let message):
            "\(action) failed with HTTP status \(status)\(suffix(message))"
        case .malformedAnswer(let action, let reason):
            "\(action): unexpected response from the server: \(reason)"
        case .corruptDownload(let path, let expected, let found):
            "\(quoted(path)) was corrupted in transit: expected \(expected), got \(found); it was discarded, try again"
        case .unsafePath(let path, let repository):
            "\(repository) contains the file \(quoted(path)), whose path leads outside the repository's folder; refused"
        case .file(let path, let reason):
            "\(quoted(path)): \(reason)"
        case .notAModel(let repository, let revision, let missing):
            "\(repository) at \(quoted(revision)) cannot be loaded as a model: it has no \(missing)"
        case .datasetChoice(let repository, let asked, let available):
            "\(repository) has no \(asked); available: \(available.map { quoted($0) }.joined(separator: ", "))"
        case .uploadRefused(let reason):
            "nothing was uploaded: \(reason)"
        }
    }

    private func suffix(_ message: String) -> String {
        message.isEmpty ? "" : ": \(message)"
    }
}

/// Text from a server without control characters, at most 200 characters long.
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
