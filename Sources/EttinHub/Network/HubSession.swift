import EttinFiles
import EttinJSON

/// Sends requests to the Hub: with the token where it belongs, again after failures, and with errors in words.
final class HubSession: Sendable {
    let environment: HubEnvironment
    let endpoint: WebAddress
    let policy: RetryPolicy
    let onEvent: @Sendable (HubEvent) -> Void
    private let transport: HubTransport

    init(
        environment: HubEnvironment,
        policy: RetryPolicy,
        onEvent: @escaping @Sendable (HubEvent) -> Void
    ) throws {
        guard let endpoint = WebAddress(environment.endpoint) else {
            throw HubError.invalidSetting(
                name: "HF_ENDPOINT",
                value: WebAddress.withoutSecrets(environment.endpoint),
                expected: "a URL such as https://huggingface.co"
            )
        }
        self.environment = environment
        self.endpoint = endpoint
        self.policy = policy
        self.onEvent = onEvent
        transport = HubTransport(environment: environment)
    }

    /// An address below the endpoint; the path is already encoded.
    func address(_ path: String) throws -> WebAddress {
        guard let address = WebAddress(environment.endpoint + path) else {
            throw HubError.malformedAnswer(action: "addressing the Hub", reason: "\(quoted(path)) is not a valid path")
        }
        return address
    }

    /// Whether the token goes along with requests that only read.
    var hasReadToken: Bool { environment.token != nil && environment.sendsTokenForReads }

    // MARK: - Sending

    /// Sends a request once.
    ///
    /// The token goes only to the endpoint's own server.
    func sendOnce(_ request: HubRequest, usesToken: Bool) async throws -> HubResponse {
        if let setting = environment.offlineSetting {
            throw HubError.networkForbidden(setting: setting, action: request.action)
        }
        var request = request
        request.headers.replaceOrAdd(name: "User-Agent", value: "ettin-swift")
        if usesToken, let token = environment.token, request.address.hasSameOrigin(as: endpoint) {
            request.headers.replaceOrAdd(name: "Authorization", value: "Bearer \(token.secret)")
        }
        return try await transport.send(request)
    }

    /// Sends a request until it is answered with something else than a passing failure.
    ///
    /// - Parameters:
    ///   - request: The request; it must be harmless to send twice.
    ///   - usesToken: Whether the token goes along, to the endpoint's own server.
    ///   - retries: Whether passing failures are waited out.
    /// - Returns: The answer, whatever its status.
    /// - Throws: `HubError` when there is none.
    func send(_ request: HubRequest, usesToken: Bool, retries: Bool = true) async throws -> HubResponse {
        var attempts = RetryCounter(policy: policy)
        while true {
            do {
                let response = try await sendOnce(request, usesToken: usesToken)
                guard retries, RetryPolicy.isTransient(response.status),
                    let delay = attempts.next(requested: RetryPolicy.requestedDelay(response.headers))
                else { return response }
                try await wait(delay, before: request.action, because: "HTTP status \(response.status)")
            } catch let failure as ConnectionFailure {
                guard retries, let delay = attempts.next(after: failure) else { throw failure.hubError }
                try await wait(delay, before: request.action, because: failure.reason)
            }
        }
    }

    func wait(_ delay: Duration, before action: String, because reason: String) async throws {
        onEvent(.retrying(action: action, reason: reason, delay: delay))
        try await Task.sleep(for: delay)
    }

    // MARK: - JSON

    /// Sends a request and reads the answer as JSON.
    func json(_ request: HubRequest, for subject: RequestSubject, usesToken: Bool) async throws -> JSONValue {
        try await page(request, for: subject, usesToken: usesToken).value
    }

    /// Sends a request and reads the answer as JSON, with the address of the page behind it if there is one.
    func page(
        _ request: HubRequest,
        for subject: RequestSubject,
        usesToken: Bool,
        retries: Bool = true
    ) async throws -> (value: JSONValue, next: WebAddress?) {
        var request = request
        var response = try await send(request, usesToken: usesToken, retries: retries)
        // Renamed repositories answer with a redirection.
        for _ in 0..<5 {
            guard let location = response.location else { break }
            guard let next = request.address.following(location) else {
                throw HubError.malformedAnswer(
                    action: request.action,
                    reason: "it redirects to \(quoted(WebAddress.withoutSecrets(location)))"
                )
            }
            request.address = next
            response = try await send(request, usesToken: usesToken, retries: retries)
        }
        if response.location != nil {
            throw HubError.malformedAnswer(action: request.action, reason: "too many redirects")
        }
        guard response.status < 300 else { throw await error(for: response, subject: subject) }
        do {
            let bytes = try await response.bytes(limit: 1 << 28, action: request.action)
            return (try JSONValue(parsing: bytes), nextPage(response))
        } catch let error as JSONError {
            throw HubError.malformedAnswer(action: request.action, reason: error.description)
        } catch let failure as ConnectionFailure {
            throw failure.hubError
        }
    }

    /// The address in `Link: <…>; rel="next"`.
    private func nextPage(_ response: HubResponse) -> WebAddress? {
        for link in response.headers["Link"].flatMap({ $0.split(separator: ",") }) where link.contains("rel=\"next\"") {
            guard let start = link.firstIndex(of: "<"), let end = link.firstIndex(of: ">"), start < end else {
                continue
            }
            return response.address.following(String(link[link.index(after: start)..<end]))
        }
        return nil
    }
}

/// Counts the attempts at one request.
struct RetryCounter {
    let policy: RetryPolicy
    private var failures = 0
    private var refusals = 0

    init(policy: RetryPolicy) {
        self.policy = policy
    }

    /// Starts anew, because data has arrived.
    mutating func reset() {
        failures = 0
        refusals = 0
    }

    /// The wait before the next attempt; nil when there is none.
    mutating func next(requested: Duration?) -> Duration? {
        guard failures < policy.maximumRetries else { return nil }
        failures += 1
        return policy.delay(retry: failures - 1, requested: requested)
    }

    /// The wait before the next attempt after a failed connection; nil when there is none.
    mutating func next(after failure: ConnectionFailure) -> Duration? {
        guard !failure.isPermanent else { return nil }
        if failure.isRefusal {
            guard refusals < policy.maximumConnectionRetries else { return nil }
            refusals += 1
        }
        return next(requested: nil)
    }
}
