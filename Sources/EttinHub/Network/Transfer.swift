import Synchronization

/// A request under way, as the network's thread and the task that waits for the answer share it.
///
/// Bytes that nobody has asked for yet are kept up to a limit; then the connection is paused.
final class Transfer: Sendable {
    /// The head of an answer.
    struct Head: Sendable {
        var status = 0
        var headers = HeaderFields()
    }

    private typealias HeadWaiter = CheckedContinuation<Head, any Error>
    private typealias BytesWaiter = CheckedContinuation<[UInt8]?, any Error>

    private struct State {
        var bytes: [UInt8] = []
        /// How it has ended.
        var outcome: Result<Void, any Error>?
        var isPaused = false
        var headWaiter: HeadWaiter?
        var bytesWaiter: BytesWaiter?
    }

    /// How many bytes wait at most.
    private static let waitingLimit = 1 << 19

    let request: HubRequest
    let content: RequestContent?
    let route: ProxySettings.Server?
    private let loop: NetworkLoop
    private let state = Mutex(State())

    init(_ request: HubRequest, content: RequestContent?, through route: ProxySettings.Server?, on loop: NetworkLoop) {
        self.request = request
        self.content = content
        self.route = route
        self.loop = loop
    }

    // MARK: - The waiting task

    /// Sends the request and waits for the head of the answer.
    func start() async throws -> Head {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isCancelled = state.withLock { state in
                    if state.outcome == nil { state.headWaiter = continuation }
                    return state.outcome != nil
                }
                // Only cancellation ends a transfer that has not begun.
                if isCancelled { return continuation.resume(throwing: CancellationError()) }
                loop.post(.start(self))
            }
        } onCancel: {
            cancel()
        }
    }

    /// The next bytes; nil at the end.
    func nextBytes() async throws -> [UInt8]? {
        if let ready = take() { return try ready.get() }
        return try await withCheckedThrowingContinuation { continuation in
            if let ready = take(orWait: continuation) { continuation.resume(with: ready) }
        }
    }

    /// Ends the transfer, if it has not ended.
    func cancel() {
        guard end(.failure(CancellationError())) else { return }
        loop.post(.cancel(self))
    }

    /// What there is to hand out; when there is nothing yet, who waits is remembered.
    private func take(orWait waiter: BytesWaiter? = nil) -> Result<[UInt8]?, any Error>? {
        let (ready, isToResume) = state.withLock { state -> (Result<[UInt8]?, any Error>?, Bool) in
            guard state.bytes.isEmpty else {
                defer { (state.bytes, state.isPaused) = ([], false) }
                return (.success(state.bytes), state.isPaused)
            }
            if state.outcome == nil { state.bytesWaiter = waiter }
            return (state.outcome.map { $0.map { nil } }, false)
        }
        if isToResume { loop.post(.resume(self)) }
        return ready
    }

    // MARK: - The network's thread

    /// Whether nobody waits for it any more.
    var hasEnded: Bool { state.withLock { $0.outcome != nil } }

    /// Whether there is room for more bytes; when not, the transfer counts as paused until they are taken.
    func hasRoom() -> Bool {
        state.withLock { state in
            state.isPaused = state.bytes.count >= Self.waitingLimit
            return !state.isPaused
        }
    }

    func publish(_ head: Head) {
        let waiter = state.withLock { state in
            defer { state.headWaiter = nil }
            return state.headWaiter
        }
        waiter?.resume(returning: head)
    }

    func publish(_ bytes: [UInt8]) {
        let waiter = state.withLock { state -> BytesWaiter? in
            guard state.outcome == nil else { return nil }
            guard let waiter = state.bytesWaiter else {
                if state.bytes.isEmpty { state.bytes = bytes } else { state.bytes += bytes }
                return nil
            }
            state.bytesWaiter = nil
            return waiter
        }
        waiter?.resume(returning: bytes)
    }

    /// Records how it ended, unless it has ended already.
    ///
    /// - Returns: Whether it had not.
    @discardableResult
    func end(_ outcome: Result<Void, any Error>) -> Bool {
        let waiters = state.withLock { state -> (head: HeadWaiter?, bytes: BytesWaiter?)? in
            guard state.outcome == nil else { return nil }
            state.outcome = outcome
            defer { (state.headWaiter, state.bytesWaiter) = (nil, nil) }
            return (state.headWaiter, state.bytesWaiter)
        }
        guard let waiters else { return false }
        if case .failure(let error) = outcome {
            waiters.head?.resume(throwing: error)
            waiters.bytes?.resume(throwing: error)
        } else {
            waiters.bytes?.resume(returning: nil)
        }
        return true
    }
}
