/// The Hub: repositories by name, through the cache.
///
/// ```swift
/// let hub = try HubClient(environment: HubEnvironment(ProcessInfo.processInfo.environment))
/// let folder = try await hub.modelFolder(ModelReference("jhu-clsp/ettin-encoder-17m", revision: "step599525"))
/// ```
public final class HubClient: Sendable {
    let session: HubSession
    /// The cache that downloads go to.
    public let cache: HubCache
    /// How many files are transferred at once.
    let parallelTransfers: Int

    /// Creates a client; nothing is sent yet.
    ///
    /// - Parameters:
    ///   - environment: Addresses, token, cache and network settings.
    ///   - retryPolicy: How failures are waited out.
    ///   - parallelTransfers: How many files are transferred at once.
    ///   - onEvent: Told of progress and retries, from any thread.
    /// - Throws: `HubError.invalidSetting` when the endpoint is not an address.
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

    /// Runs a task for each value, a bounded number at once, and stops at the first error.
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
