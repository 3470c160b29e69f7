import EttinFiles
import Synchronization

/// Sends single requests, directly or through the proxy that is set for the address.
///
/// It follows no redirection.
final class HubTransport: Sendable {
    private let environment: HubEnvironment
    private let network = Mutex<NetworkThread?>(nil)

    init(environment: HubEnvironment) {
        self.environment = environment
    }

    /// Sends a request once.
    ///
    /// - Throws: `ConnectionFailure` when there is no complete head of an answer.
    func send(_ request: HubRequest) async throws -> HubResponse {
        let host = request.address.displayedHost
        let network = try thread(for: host)
        let proxy = environment.proxies.server(for: request.address)
        let content = try RequestContent(request.body)
        let transfer = Transfer(request, content: content, through: proxy, on: network.loop)
        // From here on, the transfer is given up when nobody wants the answer any more.
        let body = ResponseBody(transfer, network)
        let head = try await transfer.start()
        if head.status == 407, proxy != nil { throw ConnectionFailure.proxyAsksForUser(host: host) }
        return HubResponse(status: head.status, headers: head.headers, body: body, address: request.address)
    }

    private func thread(for host: String) throws -> NetworkThread {
        try network.withLock { network in
            if let network { return network }
            if let file = environment.certificateFile, FilePath.kind(of: file) == .absent {
                throw HubError.invalidSetting(name: "SSL_CERT_FILE", value: file, expected: "a certificate file (PEM)")
            }
            let settings = TransferSettings(
                connectTimeout: environment.metadataTimeout,
                stallTimeout: environment.transferTimeout,
                certificateFile: environment.certificateFile
            )
            let thread = try NetworkThread(settings: settings, host: host)
            network = thread
            return thread
        }
    }
}
