import EttinFiles
import Foundation

/// Makes elements ahead of their use, on a thread of its own.
///
/// At most `capacity` elements wait: then the thread pauses until one is taken. An error is given to the consumer after
/// the elements that were made before it, and ends the sequence. The thread stops at ``cancel()`` or with the object.
/// Where the system refuses a thread, elements are made when they are asked for.
package final class Prefetcher<Element: Sendable>: Sendable {
    private let queue: PrefetchQueue<Element>

    /// Starts a thread.
    ///
    /// - Parameters:
    ///   - capacity: Maximum number of elements that wait; at least 1.
    ///   - make: Makes the next element, nil at the end. It is called on the thread only, one call after the other.
    package convenience init(capacity: Int, make: sending @escaping () throws -> Element?) {
        self.init(capacity: capacity, work: PrefetchWork(make: make)) { DetachedThread.start($0) == 0 }
    }

    /// As the public initialiser, where the system refuses a thread.
    package convenience init(withoutThread capacity: Int, make: @escaping @Sendable () throws -> Element?) {
        self.init(capacity: capacity, work: PrefetchWork(make: make)) { _ in false }
    }

    private init(
        capacity: Int,
        work: PrefetchWork<Element>,
        startThread: (_ body: @escaping @Sendable () -> Void) -> Bool
    ) {
        precondition(capacity >= 1, "Prefetcher: a queue of \(capacity) elements")
        let queue = PrefetchQueue<Element>(capacity: capacity)
        self.queue = queue
        // The thread holds the queue and not this object, so that dropping the object ends the thread.
        if !startThread({ queue.fill(with: work.make) }) { queue.makeOnDemand(with: work.make) }
    }

    deinit { queue.cancel() }

    /// Takes the next element, waiting for it if need be.
    ///
    /// - Returns: The element; nil at the end and after ``cancel()``.
    /// - Throws: The error that making it ended with.
    package func next() throws -> Element? { try queue.take() }

    /// Stops making elements and throws away those that wait.
    ///
    /// Whoever waits for an element gets nil.
    package func cancel() { queue.cancel() }

    /// The number of elements that wait.
    package var waitingCount: Int { queue.waitingCount }

    /// How often the consumer had to wait for an element: above a few, making them is the bottleneck.
    package var starvedCount: Int { queue.starvedCount }
}

/// What the thread runs.
///
/// Unchecked, because the closure is called by the one thread that it is sent to, or with the queue locked.
private struct PrefetchWork<Element>: @unchecked Sendable {
    let make: () throws -> Element?
}

/// A bounded queue between one maker and its consumers.
///
/// Unchecked, because all mutable state is read and written with `condition` locked.
private final class PrefetchQueue<Element: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private let capacity: Int
    private var elements: [Element] = []
    private var end: Result<Void, any Error>?
    private var isCancelled = false
    private var starved = 0
    /// What makes elements where there is no thread that does.
    private var make: (() throws -> Element?)?

    init(capacity: Int) { self.capacity = capacity }

    var waitingCount: Int { condition.withLock { elements.count } }
    var starvedCount: Int { condition.withLock { starved } }

    func fill(with make: () throws -> Element?) {
        do {
            while waitForRoom() {
                guard let element = try make() else { break }
                add(element)
            }
            finish(.success(()))
        } catch {
            finish(.failure(error))
        }
    }

    func makeOnDemand(with make: @escaping () throws -> Element?) {
        condition.withLock { self.make = make }
    }

    func take() throws -> Element? {
        condition.lock()
        defer { condition.unlock() }
        if let make {
            if isCancelled || end != nil { return nil }
            starved += 1
            do {
                if let element = try make() { return element }
                end = .success(())
                return nil
            } catch {
                end = .success(())
                throw error
            }
        }
        if elements.isEmpty, end == nil, !isCancelled { starved += 1 }
        while elements.isEmpty, end == nil, !isCancelled { condition.wait() }
        if isCancelled { return nil }
        if elements.isEmpty {
            // The error is thrown once; then the sequence is at its end.
            let result = end
            end = .success(())
            try result?.get()
            return nil
        }
        defer { condition.broadcast() }
        return elements.removeFirst()
    }

    func cancel() {
        condition.withLock {
            isCancelled = true
            elements = []
            condition.broadcast()
        }
    }

    private func waitForRoom() -> Bool {
        condition.withLock {
            while elements.count >= capacity, !isCancelled { condition.wait() }
            return !isCancelled
        }
    }

    private func add(_ element: Element) {
        condition.withLock {
            if !isCancelled { elements.append(element) }
            condition.broadcast()
        }
    }

    private func finish(_ result: Result<Void, any Error>) {
        condition.withLock {
            end = result
            condition.broadcast()
        }
    }
}
