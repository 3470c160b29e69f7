/// A client for the Hugging Face Hub that downloads through the local cache.
///
/// ```swift
/// let hub = try HubClient(environment: HubEnvironment(ProcessInfo.processInfo.environment))
/// let folder = try await hub.modelFolder(ModelReference("jhu-clsp/ettin-encoder-17m", revision: "step599525"))
/// ```
public final class HubClient: Sendable {
    let session: HubSession
    /// The cache for downloads.
    public let cache: HubCache
    /// Maximum number of concurrent file transfers.
    let parallelTransfers: Int

    /// Creates a client without contacting the Hub.
    ///
    /// - Parameters:
    ///   - environment: Endpoint, token, cache and network settings.
    ///   - retryPolicy: How failed requests are retried.
    ///   - parallelTransfers: Maximum number of concurrent file transfers.
    ///   - onEvent: Called with progress and retries, from any thread.
    /// - Throws: `HubError.invalidSetting` when the endpoint is not a valid URL.
    public init(
        environment: HubEnvironment,
        retryPolicy: RetryPolicy = RetryPolicy(),
        parallelTransfers: Int = 8,
        onEvent: @escaping @Sendable (HubEvent) -> Void = { _ in }
    ) throws {
        session = try HubSession(environment: environment, policy: retryPolicy, onEvent: onEvent)
        cache = HubCache(folder: environment.cacheFolder, usesLinks: environment.usesLinks)
        self.parallelTransfers = max(1, parallelTransfers)
    }

    /// Runs a task for each value, with limited concurrency, and stops at the first error.
    func concurrently<Value: Sendable>(
        _ values: [Value],
        _ body: @escaping @Sendable (Value) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var rest = values[...]
            for value in rest.prefix(parallelTransfers) { group.addTask { try await body(value) } }
            rest = rest.dropFirst(parallelTransfers)
            while try await group.next() != nil {
                if let value = rest.popFirst() { group.addTask { try await body(value) } }
            }
        }
    }
}
