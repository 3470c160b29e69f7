import Synchronization

/// Something that a model computes in batches with others of its kind.
protocol BatchItem: Sendable {
    /// What it adds to a batch.
    var tokenCount: Int { get }
}

extension PreparedText: BatchItem {
    var tokenCount: Int { tokenIDs.count }
}

/// What one task has asked of a model and waits for.
///
/// It ends once: with all outputs, with an error, or cancelled.
final class BatchRequest<Item: BatchItem, Output: Sendable>: Sendable {
    /// What to compute, in the order of the request.
    let items: [Item]
    private let state: Mutex<State>

    private struct State {
        var outputs: [Output?]
        var missing: Int
        var continuation: CheckedContinuation<[Output], any Error>?
        var isOver = false
    }

    init(_ items: [Item]) {
        self.items = items
        state = Mutex(State(outputs: Array(repeating: nil, count: items.count), missing: items.count))
    }

    /// Whether nobody waits any longer.
    var isOver: Bool { state.withLock(\.isOver) }

    /// Takes the continuation of the task that waits.
    ///
    /// - Returns: Whether there is something to compute; if not, the task goes on already.
    func wait(_ continuation: CheckedContinuation<[Output], any Error>) -> Bool {
        let isOver = state.withLock { state in
            if !state.isOver { state.continuation = continuation }
            return state.isOver
        }
        if isOver { continuation.resume(throwing: CancellationError()) }
        return !isOver
    }

    /// Takes outputs; with the last of them the task goes on.
    func take(_ outputs: [(index: Int, output: Output)]) {
        let (continuation, all) = state.withLock { state -> (CheckedContinuation<[Output], any Error>?, [Output]) in
            guard !state.isOver else { return (nil, []) }
            for (index, output) in outputs {
                if state.outputs[index] == nil { state.missing -= 1 }
                state.outputs[index] = output
            }
            guard state.missing == 0 else { return (nil, []) }
            state.isOver = true
            return (state.continuation.take(), state.outputs.compactMap(\.self))
        }
        continuation?.resume(returning: all)
    }

    /// Ends the request with an error.
    func fail(_ error: any Error) {
        let continuation = state.withLock { state -> CheckedContinuation<[Output], any Error>? in
            state.isOver = true
            return state.continuation.take()
        }
        continuation?.resume(throwing: error)
    }

    /// Ends the request because its task is cancelled, from any thread.
    func cancel() { fail(CancellationError()) }
}

extension [PreparedText] {
    /// What all of them add to a batch.
    var tokenCount: Int { reduce(0) { $0 + $1.tokenCount } }
}
