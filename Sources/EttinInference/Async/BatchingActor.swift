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
    func outputs(of items: [Item], _ options: Options) async throws -> [Output] {
        try Task.checkCancellation()
        guard !items.isEmpty else { return [] }
        let request = BatchRequest<Item, Output>(items)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard request.wait(continuation) else { return }
                scheduler.queue.add(request, options: options)
                guard !scheduler.isRunning else { return }
                scheduler.isRunning = true
                Task { await self.computeBatches() }
            }
        } onCancel: {
            request.cancel()
        }
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
                for request in batch.requests { computeAlone(request, batch.options) }
            }
            // Lets in what has come meanwhile, so that the next batch is made of it too.
            await Task.yield()
        }
        scheduler.isRunning = false
    }

    /// Computes a whole request apart from all others, to see which one an error belongs to.
    private func computeAlone(_ request: BatchRequest<Item, Output>, _ options: Options) {
        guard !request.isOver else { return }
        do {
            let outputs = try compute(request.items, options)
            request.take(outputs.enumerated().map { ($0, $1) })
        } catch {
            request.fail(error)
        }
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
