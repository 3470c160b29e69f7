import AsyncHTTPClient

/// Which proxy a request goes through.
public struct ProxySettings: Sendable, Hashable {
    /// A proxy server.
    struct Server: Sendable, Hashable {
        let host: String
        let port: Int
        let isSocks: Bool
        let user: String?
        let password: String?

        /// What a proxy that asks for user and password is told.
        var authorization: HTTPClient.Authorization? {
            user.map { .basic(username: $0, password: password ?? "") }
        }
    }

    private let servers: [String: Server]
    private let exceptions: [String]

    /// No proxy at all.
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

    /// How to reach an address.
    func route(to address: WebAddress) -> ProxyRoute {
        guard let server = server(for: address) else { return .direct }
        if server.isSocks { return .socks(server) }
        // Many proxies open tunnels to port 443 alone; what is not encrypted they pass on themselves.
        return address.scheme == "https" ? .tunnel(server) : .forwarding(server)
    }

    /// The proxy for an address; nil when it is to be reached directly.
    func server(for address: WebAddress) -> Server? {
        guard let server = servers[address.scheme] else { return nil }
        let host = address.host.lowercased()
        let isExcepted = exceptions.contains { exception in
            if exception == "*" { return true }
            let name = exception.hasPrefix(".") ? String(exception.dropFirst()) : exception
            return host == name || host.hasSuffix("." + name) || "\(host):\(address.port)" == name
        }
        return isExcepted ? nil : server
    }

    private static func server(_ text: String, name: String) throws -> Server {
        let written = text.contains("://") ? text : "http://" + text
        let isSocks = ["socks5://", "socks5h://", "socks://"].contains { written.hasPrefix($0) }
        let rest = isSocks ? "http://" + written.drop { $0 != ":" }.dropFirst(3) : written
        guard let address = WebAddress(rest), address.scheme == "http" else {
            throw HubError.invalidSetting(
                name: name,
                value: WebAddress.withoutSecrets(text),
                expected: "a proxy such as http://host:port or socks5://host:port"
            )
        }
        if isSocks, address.user != nil {
            throw HubError.invalidSetting(
                name: name,
                value: WebAddress.withoutSecrets(text),
                expected: "a socks proxy without user and password"
            )
        }
        return Server(
            host: address.host,
            port: address.port,
            isSocks: isSocks,
            user: address.user,
            password: address.password
        )
    }
}
