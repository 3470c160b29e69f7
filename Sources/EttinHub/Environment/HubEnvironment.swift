import EttinFiles
import Foundation

/// Settings for the Hub from environment variables.
///
/// They are read from a dictionary, usually `ProcessInfo.processInfo.environment`. Variables and defaults are those of
/// `huggingface_hub`.
public struct HubEnvironment: Sendable {
    /// URL of the Hub or a mirror, without a trailing slash (`HF_ENDPOINT`).
    public var endpoint: String
    /// Folder of the download cache (`HF_HUB_CACHE`, default `HF_HOME/hub`).
    public var cacheFolder: String
    /// Access token (`HF_TOKEN`, default: from the token file).
    public var token: HubToken?
    /// Whether read requests send the token (`HF_HUB_DISABLE_IMPLICIT_TOKEN`).
    public var sendsTokenForReads: Bool
    /// The variable that enables offline mode, if any (`HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE`).
    public var offlineSetting: String?
    /// Timeout for connections and file metadata (`HF_HUB_ETAG_TIMEOUT`, default 10 s).
    public var metadataTimeout: Duration
    /// Timeout for transfers without progress (`HF_HUB_DOWNLOAD_TIMEOUT`, default 10 s).
    public var transferTimeout: Duration
    /// Whether progress bars are disabled (`HF_HUB_DISABLE_PROGRESS_BARS`).
    package var disablesProgressBars: Bool
    /// The proxies (`http_proxy`, `https_proxy`, `all_proxy`, `no_proxy`, in either case).
    public var proxies: ProxySettings
    /// Whether the cache may use symbolic links (`HF_HUB_DISABLE_SYMLINKS`).
    public var usesLinks: Bool
    /// Certificate file to trust instead of the system's (`SSL_CERT_FILE`).
    public var certificateFile: String?

    /// Reads environment variables.
    ///
    /// - Parameter variables: The environment.
    /// - Throws: `HubError.invalidSetting` for a value that cannot be used, `HubError.file` when there is a token file
    ///   that cannot be read.
    public init(_ variables: [String: String]) throws {
        let reader = VariableReader(variables: variables)
        let userCache = reader.path("XDG_CACHE_HOME") ?? reader.expanded("~/.cache")
        let home = reader.path("HF_HOME") ?? userCache + "/huggingface"
        cacheFolder = reader.path("HF_HUB_CACHE") ?? reader.path("HUGGINGFACE_HUB_CACHE") ?? home + "/hub"
        endpoint = try reader.endpoint("HF_ENDPOINT") ?? "https://huggingface.co"
        token =
            try reader.token("HF_TOKEN") ?? reader.token("HUGGING_FACE_HUB_TOKEN")
            ?? reader.token(inFile: reader.path("HF_TOKEN_PATH") ?? home + "/token")
        sendsTokenForReads = !reader.flag("HF_HUB_DISABLE_IMPLICIT_TOKEN")
        // The first that is set decides, even when it says no.
        let offline = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].first { reader.text($0) != nil }
        offlineSetting = offline.flatMap { reader.flag($0) ? $0 : nil }
        metadataTimeout = try reader.seconds("HF_HUB_ETAG_TIMEOUT") ?? .seconds(10)
        transferTimeout = try reader.seconds("HF_HUB_DOWNLOAD_TIMEOUT") ?? .seconds(10)
        disablesProgressBars = reader.flag("HF_HUB_DISABLE_PROGRESS_BARS")
        proxies = try ProxySettings(variables)
        usesLinks = !reader.flag("HF_HUB_DISABLE_SYMLINKS")
        certificateFile = reader.path("SSL_CERT_FILE")
    }
}

/// An access token.
///
/// Its descriptions and mirror do not reveal it.
public struct HubToken: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let secret: String

    /// Wraps a token.
    ///
    /// - Parameter secret: The token, printable ASCII without spaces.
    /// - Throws: `HubError.invalidSetting`, without the text, when it cannot be a token.
    public init(_ secret: String) throws {
        try self.init(secret, name: "HF_TOKEN")
    }

    init(_ secret: String, name: String) throws {
        guard !secret.isEmpty, secret.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw HubError.invalidSetting(
                name: name,
                value: "<not shown>",
                expected: "a token: printable ASCII characters without spaces"
            )
        }
        self.secret = secret
    }

    /// A placeholder for the secret.
    public var description: String { "<token>" }
    /// A placeholder for the secret.
    public var debugDescription: String { "<token>" }
    /// A mirror without the secret.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Reads variables of one kind or another; an empty value counts as unset.
private struct VariableReader {
    let variables: [String: String]

    func text(_ name: String) -> String? {
        variables[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    func flag(_ name: String) -> Bool {
        ["1", "ON", "YES", "TRUE"].contains(text(name)?.uppercased())
    }

    func path(_ name: String) -> String? {
        text(name).map(expanded)
    }

    func seconds(_ name: String) throws -> Duration? {
        guard let value = text(name) else { return nil }
        guard let seconds = Int(value), seconds >= 0, seconds <= 1_000_000 else {
            throw HubError.invalidSetting(name: name, value: value, expected: "a whole number of seconds")
        }
        return seconds == 0 ? nil : .seconds(seconds)
    }

    func endpoint(_ name: String) throws -> String? {
        guard var value = text(name) else { return nil }
        while value.hasSuffix("/") { value.removeLast() }
        guard let address = WebAddress(value), address.query == nil, address.user == nil else {
            throw HubError.invalidSetting(
                name: name,
                value: WebAddress.withoutSecrets(value),
                expected: "a URL such as https://huggingface.co"
            )
        }
        return value
    }

    func token(_ name: String) throws -> HubToken? {
        guard let value = text(name)?.trimmingCharacters(in: .whitespacesAndNewlines), !value.isEmpty else {
            return nil
        }
        return try HubToken(value, name: name)
    }

    func token(inFile path: String) throws -> HubToken? {
        guard FilePath.kind(of: path) != .absent else { return nil }
        let bytes = try HubError.translating { try OpenFile.contents(of: path, limit: 1 << 16) }
        let text = String(decoding: bytes, as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        return text.isEmpty ? nil : try HubToken(text, name: "the token file")
    }

    /// Replaces a leading `~` and `$NAME` or `${NAME}`, as Python's path functions do.
    func expanded(_ path: String) -> String {
        var result = ""
        var rest = path[...]
        if rest == "~" || rest.hasPrefix("~/"), let home = text("HOME") {
            result = home
            rest = rest.dropFirst()
        }
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            let isBraced = rest.first == "{"
            let body = isBraced ? rest.dropFirst() : rest
            let name = body.prefix { $0 == "_" || ($0.isASCII && ($0.isLetter || $0.isNumber)) }
            let isClosed = !isBraced || body.dropFirst(name.count).first == "}"
            if isClosed, let value = variables[String(name)] {
                result += value
                rest = body.dropFirst(name.count + (isBraced ? 1 : 0))
            } else {
                result += "$"
            }
        }
        return result + rest
    }
}
