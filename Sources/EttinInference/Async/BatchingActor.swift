/// An actor whose model computes what several tasks ask for in common batches.
protocol BatchingActor: Actor {
    /// What is computed.
    associatedtype Item: BatchItem
    /// What items of one batch have in common.
    associatedtype Options: Hashable & Sendable
    /// What an item becomes.
    associatedtype Output: Sendable

    /// The requests that wait.
    var scheduler: BatchScheduler<Item, Options, Output> { get set }

    /// Computes a batch.
    ///
    /// - Returns: One output for each item, in order.
    func compute(_ items: [Item], _ options: Options) throws -> [Output]
}

/// What a ``BatchingActor`` keeps about its requests.
struct BatchScheduler<Item: BatchItem, Options: Hashable & Sendable, Output: Sendable> {
    /// Maximum number of tokens per batch.
    let maxBatchTokens: Int
    fileprivate var queue = RequestQueue<Item, Options, Output>()
    fileprivate var isRunning = false

    /// Creates a scheduler without requests.
    ///
    /// - Throws: ``InferenceError/invalidOption(name:found:expected:)`` for a budget below 1.
    init(maxBatchTokens: Int) throws {
        try check("max-batch-tokens", maxBatchTokens, in: 1...Int.max)
        self.maxBatchTokens = maxBatchTokens
    }

    /// Whether nothing waits.
    var isIdle: Bool { queue.isEmpty }
}

extension BatchingActor {
    /// Computes items in batches with those of other tasks.
    ///
    /// A task that is cancelled throws at once; its items take part in no further batch.
    ///
    /// - Returns: One output for each item, in order.
    /// - Throws: What ``compute(_:_:)`` throws for these items alone; `CancellationError`.
    nonisolated func outputs(of items: [Item], _ options: Options) async throws -> [Output] {
        try Task.checkCancellation()
        guard !items.isEmpty else { return [] }
        let request = BatchRequest<Item, Output>(items)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard request.wait(continuation) else { return }
                // Apart from this task, which so throws when it is cancelled, even while the model computes.
                Task { await self.enqueue(request, options) }
            }
        } onCancel: {
            request.cancel()
        }
    }

    private func enqueue(_ request: BatchRequest<Item, Output>, _ options: Options) {
        scheduler.queue.add(request, options: options)
        guard !scheduler.isRunning else { return }
        scheduler.isRunning = true
        // A task of its own, so that what comes at the same time is in the first batch too.
        Task { await self.computeBatches() }
    }

    private func computeBatches() async {
        while let batch = scheduler.queue.next(maxTokens: scheduler.maxBatchTokens) {
            do {
                let outputs = try compute(batch.items, batch.options)
                var shares: [ObjectIdentifier: [(index: Int, output: Output)]] = [:]
                for (member, output) in zip(batch.members, outputs) {
                    shares[ObjectIdentifier(member.request), default: []].append((member.index, output))
                }
                for request in batch.requests { request.take(shares[ObjectIdentifier(request)] ?? []) }
            } catch {
                await computeApart(batch, after: error)
            }
            // Lets in what has come meanwhile, so that the next batch is made of it too.
            await Task.yield()
        }
        scheduler.isRunning = false
    }

    /// Computes a batch that failed in smaller parts, to see which request and item the error belongs to.
    private func computeApart(_ batch: RequestQueue<Item, Options, Output>.Batch, after error: any Error) async {
        let requests = batch.requests
        for request in requests where !request.isOver {
            let indices = batch.members.filter { $0.request === request }.map(\.index)
            // All of a batch of one request has just failed.
            let failure = requests.count > 1 ? attempt(indices, of: request, batch.options) : error
            if let failure, indices.count == 1 { request.fail(failure, at: indices[0]) }
            for index in failure == nil ? [] : indices where !request.isOver {
                await Task.yield()
                if let failure = attempt([index], of: request, batch.options) { request.fail(failure, at: index) }
            }
            await Task.yield()
        }
    }

    /// Computes some items of a request; gives the error if there is one.
    private func attempt(
        _ indices: [Int],
        of request: BatchRequest<Item, Output>,
        _ options: Options
    ) -> (any Error)? {
        do {
            request.take(zip(indices, try compute(indices.map { request.items[$0] }, options)).map { ($0, $1) })
            return nil
        } catch {
            return error
        }
    }
}

extension BatchRequest {
    /// Ends the request with the error of an item that was computed alone.
    fileprivate func fail(_ error: any Error, at index: Int) {
        fail((error as? InferenceError)?.renumbered { $0 + index } ?? error)
    }
}

/// Prepares texts part by part, so that a cancelled task stops among them.
///
/// - Parameters:
///   - texts: Texts of a request.
///   - prepare: Prepares some of them.
/// - Returns: One item for each text, in order.
/// - Throws: What `prepare` throws, with texts counted over the whole request; `CancellationError`.
func preparedInParts<Text, Item>(
    _ texts: some Collection<Text>,
    _ prepare: ([Text]) throws -> [Item]
) throws -> [Item] {
    var items: [Item] = []
    items.reserveCapacity(texts.count)
    var rest = texts[...]
    while !rest.isEmpty {
        try Task.checkCancellation()
        // Enough for all threads to have work.
        let part = Array(rest.prefix(1024))
        let offset = texts.count - rest.count
        items += try InferenceError.numbering({ $0 + offset }) { try prepare(part) }
        rest = rest.dropFirst(part.count)
    }
    return items
}
