/// Proxies for requests.
public struct ProxySettings: Sendable, Hashable {
    /// A proxy server.
    struct Server: Sendable, Hashable {
        /// How a proxy is spoken to.
        enum Kind: Sendable, Hashable {
            /// In HTTP. Of encrypted requests it is asked for a tunnel; the others it is given whole.
            case http
            /// The same over TLS.
            case https
            case socks5
        }

        let kind: Kind
        let host: String
        let port: Int
        let user: String?
        let password: String?
    }

    private let servers: [String: Server]
    private let exceptions: [String]

    /// No proxies.
    public static let none = ProxySettings()

    private init() {
        servers = [:]
        exceptions = []
    }

    /// Reads `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`; lower case wins over upper case.
    ///
    /// - Parameter variables: The environment.
    /// - Throws: `HubError.invalidSetting`; the value is shown without user and password.
    public init(_ variables: [String: String]) throws {
        func value(_ name: String) -> (name: String, text: String)? {
            for name in [name, name.uppercased()] {
                if let text = variables[name], !text.isEmpty { return (name, text) }
            }
            return nil
        }
        var servers: [String: Server] = [:]
        for scheme in ["http", "https"] {
            guard let (name, text) = value("\(scheme)_proxy") ?? value("all_proxy") else { continue }
            servers[scheme] = try Self.server(text, name: name)
        }
        self.servers = servers
        exceptions = (value("no_proxy")?.text ?? "").split(separator: ",").map {
            String($0.filter { $0 != " " }).lowercased()
        }
    }

    /// The proxy for an address; nil when it is to be reached directly.
    func server(for address: WebAddress) -> Server? {
        guard let server = servers[address.scheme] else { return nil }
        let host = address.host.lowercased().filter { $0 != "[" && $0 != "]" }
        let isExcepted = exceptions.contains { exception in
            if exception == "*" { return true }
            let name = exception.hasPrefix(".") ? String(exception.dropFirst()) : exception
            return host == name || host.hasSuffix("." + name) || "\(host):\(address.port)" == name
        }
        return isExcepted ? nil : server
    }

    private static func server(_ text: String, name: String) throws -> Server {
        let parts = text.split(separator: "://", maxSplits: 1)
        let scheme = parts.count == 2 ? parts[0].lowercased() : "http"
        let kinds: [String: Server.Kind] = [
            "http": .http, "https": .https, "socks": .socks5, "socks5": .socks5, "socks5h": .socks5,
        ]
        guard let kind = kinds[scheme], let address = WebAddress("http://" + (parts.last ?? "")) else {
            throw HubError.invalidSetting(
                name: name,
                value: WebAddress.withoutSecrets(text),
                expected: "a proxy URL such as http://host:port or socks5://host:port"
            )
        }
        let usualPort = kind == .http ? 80 : kind == .https ? 443 : 1080
        return Server(
            kind: kind,
            host: address.host,
            port: address.writtenPort ?? usualPort,
            user: address.user,
            password: address.password
        )
    }
}
