/// The requests that wait for a model, and the batches made of them.
///
/// Requests share the model by tokens: the next item is always one of the request that has had the fewest so far, where
/// one that comes late begins at what others have had. A request of a million texts so leaves every other its part of
/// each batch, and alone it gets whole batches, longest texts first.
///
/// > Source: start-time fair queueing; Goyal, Vin, Cheng, SIGCOMM 1996.
struct RequestQueue<Item: BatchItem, Options: Hashable & Sendable, Output: Sendable> {
    typealias Request = BatchRequest<Item, Output>

    /// Items to compute together, with the same options.
    struct Batch {
        let options: Options
        /// Each item as its request and its index in that.
        fileprivate(set) var members: [(request: Request, index: Int)] = []

        /// What to compute.
        var items: [Item] { members.map { $0.request.items[$0.index] } }

        /// The requests that have a part in it, each once.
        var requests: [Request] {
            var seen: Set<ObjectIdentifier> = []
            return members.map(\.request).filter { seen.insert(ObjectIdentifier($0)).inserted }
        }
    }

    private struct Entry {
        let request: Request
        let options: Options
        /// The items that are left, longest last.
        var rest: [Int]
        /// How many tokens it has had, counted from the start of the queue.
        var served: Int
    }

    private var entries: [Entry] = []
    /// The most that a request has had, where new ones begin: were it less, a stream of them would let no other pass.
    private var served = 0

    /// Whether nothing waits.
    var isEmpty: Bool { entries.isEmpty }

    /// Adds a request behind the others.
    mutating func add(_ request: Request, options: Options) {
        // Equal lengths keep their order, so that batches do not depend on how the sort breaks ties.
        let lengths = request.items.map(\.tokenCount)
        let order = lengths.indices.sorted { (lengths[$0], $1) < (lengths[$1], $0) }
        entries.append(Entry(request: request, options: options, rest: order, served: served))
    }

    /// Takes the items of the next batch from the queue.
    ///
    /// - Parameter maxTokens: Maximum number of tokens; a longer item is a batch of its own.
    /// - Returns: At least one item; nil when nothing waits.
    mutating func next(maxTokens: Int) -> Batch? {
        entries.removeAll { $0.rest.isEmpty || $0.request.isOver }
        guard let first = leastServed(where: { _ in true }) else { return nil }
        var batch = Batch(options: entries[first].options)
        var tokens = 0
        while let entry = leastServed(where: { !$0.rest.isEmpty && $0.options == batch.options }),
            let index = entries[entry].rest.last
        {
            let count = max(1, entries[entry].request.items[index].tokenCount)
            guard batch.members.isEmpty || tokens + count <= maxTokens else { break }
            batch.members.append((entries[entry].request, index))
            entries[entry].rest.removeLast()
            // An item larger than a batch counts as one: else those that come later would wait for as much again.
            entries[entry].served += min(count, maxTokens)
            served = max(served, entries[entry].served)
            tokens += count
        }
        return batch
    }

    private func leastServed(where isEligible: (Entry) -> Bool) -> Int? {
        entries.indices.filter { isEligible(entries[$0]) }.min { entries[$0].served < entries[$1].served }
    }
}
