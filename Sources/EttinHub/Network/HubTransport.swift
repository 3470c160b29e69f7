import AsyncHTTPClient
import EttinFiles
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Sends single requests, directly or through the proxy that is set for the address.
///
/// It follows no redirection.
final class HubTransport: Sendable {
    private let environment: HubEnvironment
    /// One client for each way.
    private let clients = Mutex<[ProxyRoute: HTTPClient]>([:])

    init(environment: HubEnvironment) {
        self.environment = environment
    }

    deinit {
        for client in clients.withLock({ $0 }).values {
            // Nothing is in flight: every request holds this object.
            client.shutdown { _ in }
        }
    }

    /// Sends a request once.
    ///
    /// - Throws: `ConnectionFailure` when there is no complete head of an answer.
    func send(_ request: HubRequest) async throws -> HubResponse {
        let route = environment.proxies.route(to: request.address)
        let client = try client(for: route)
        let timeout = request.headTimeout ?? .seconds(86400)
        var httpRequest = try request.http()
        if case .forwarding(let proxy) = route { ForwardedRequests.address(&httpRequest, request.address, proxy) }
        do {
            let response = try await client.execute(httpRequest, timeout: TimeAmount(timeout))
            if case .forwarding = route, response.status == .proxyAuthenticationRequired {
                throw HTTPClientError.proxyAuthenticationRequired
            }
            return HubResponse(
                status: Int(response.status.code),
                headers: response.headers,
                body: response.body,
                address: request.address
            )
        } catch {
            throw try ConnectionFailure.wrap(error, host: request.address.displayedHost)
        }
    }

    private func client(for route: ProxyRoute) throws -> HTTPClient {
        try clients.withLock { clients in
            if let client = clients[route] { return client }
            let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: try configuration(route))
            clients[route] = client
            return client
        }
    }

    private func configuration(_ route: ProxyRoute) throws -> HTTPClient.Configuration {
        var tls = TLSConfiguration.makeClientConfiguration()
        if let file = environment.certificateFile {
            guard FilePath.kind(of: file) != .absent else {
                throw HubError.invalidSetting(name: "SSL_CERT_FILE", value: file, expected: "a file of certificates")
            }
            tls.trustRoots = .file(file)
        }
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls,
            redirectConfiguration: .disallow,
            timeout: .init(
                connect: TimeAmount(environment.metadataTimeout),
                read: TimeAmount(environment.transferTimeout),
                write: TimeAmount(environment.transferTimeout)
            )
        )
        // Each transfer has its own connection, so that a slow one holds up no other; retries are ours.
        configuration.httpVersion = .http1Only
        configuration.connectionPool.retryConnectionEstablishment = false
        switch route {
        case .direct: break
        case .socks(let proxy): configuration.proxy = .socksServer(host: proxy.host, port: proxy.port)
        case .tunnel(let proxy):
            configuration.proxy = .server(host: proxy.host, port: proxy.port, authorization: proxy.authorization)
        case .forwarding: configuration.http1_1ConnectionDebugInitializer = ForwardedRequests.prepare
        }
        return configuration
    }
}

/// No answer, or only a part of one, with the reason in words.
struct ConnectionFailure: Error {
    let host: String
    let reason: String
    /// Whether a connection could not even be opened.
    let isRefusal: Bool
    /// Whether trying again can help; it does not with a certificate that is not trusted.
    let isPermanent: Bool

    var hubError: HubError { .unreachable(host: host, reason: reason) }

    /// Puts a failure of the network into words; cancellation and our own errors are passed on.
    static func wrap(_ error: any Error, host: String) throws -> ConnectionFailure {
        func failure(_ reason: String, isRefusal: Bool = false, isPermanent: Bool = false) -> ConnectionFailure {
            ConnectionFailure(host: host, reason: reason, isRefusal: isRefusal, isPermanent: isPermanent)
        }
        switch error {
        case is CancellationError, is HubError, is ReaderFailure: throw error
        case let error as HTTPClientError:
            if error == .cancelled, Task.isCancelled { throw CancellationError() }
            if error == .connectTimeout { return failure("no connection in time", isRefusal: true) }
            if error == .readTimeout || error == .deadlineExceeded { return failure("no answer in time") }
            if error == .writeTimeout { return failure("sending came to a halt") }
            if error == .remoteConnectionClosed { return failure("the connection was closed") }
            if error == .invalidProxyResponse {
                return failure("the proxy does not connect to it", isRefusal: true)
            }
            if error == .proxyAuthenticationRequired {
                return failure("the proxy asks for user and password", isRefusal: true, isPermanent: true)
            }
            return failure(cleaned(error.description))
        case let error as NIOConnectionError:
            if let connection = error.connectionErrors.first { return try wrap(connection.error, host: host) }
            return failure("its address cannot be found", isRefusal: true)
        case let error as NIOSSLError:
            guard case .handshakeFailed(let cause) = error else { return failure("the TLS connection broke off") }
            return failure(
                "TLS is not possible (\(cleaned(String(describing: cause)))); for a certificate of your own network, "
                    + "set SSL_CERT_FILE",
                isRefusal: true,
                isPermanent: true
            )
        case let error as IOError:
            let isRefusal = [ECONNREFUSED, EHOSTUNREACH, ENETUNREACH].contains(error.errnoCode)
            let reason = String(cString: strerror(error.errnoCode))
            return failure(
                isRefusal ? "no connection (\(reason))" : "the connection broke (\(reason))",
                isRefusal: isRefusal
            )
        case HTTPParserError.invalidEOFState: return failure("the connection was cut")
        default: return failure(cleaned(String(describing: error)))
        }
    }
}
