import EttinCorpus
import Foundation
import Synchronization
import Testing

@Suite("Prefetching", .timeLimit(.minutes(1)))
struct PrefetcherTests {
    private struct MadeUp: Error {}

    /// Counts up to a number, and remembers how far it got.
    private final class Counter: Sendable {
        let made = Mutex(0)
        func next(upTo end: Int) -> Int? {
            made.withLock { made in
                guard made < end else { return nil }
                made += 1
                return made
            }
        }
    }

    private func wait(until condition: () -> Bool) {
        while !condition() { Thread.sleep(forTimeInterval: 0.001) }
    }

    @Test("All elements come, in order, then nil for ever")
    func order() throws {
        let counter = Counter()
        let prefetcher = Prefetcher(capacity: 3) { counter.next(upTo: 1000) }
        for expected in 1...1000 { #expect(try prefetcher.next() == expected) }
        #expect(try prefetcher.next() == nil)
        #expect(try prefetcher.next() == nil)
    }

    @Test("Without a thread, elements are made when they are asked for, and an error ends them")
    func withoutThread() throws {
        let counter = Counter()
        let prefetcher = Prefetcher(withoutThread: 3) {
            guard let number = counter.next(upTo: 3) else { throw MadeUp() }
            return number
        }
        for expected in 1...3 { #expect(try prefetcher.next() == expected) }
        #expect(throws: MadeUp.self) { try prefetcher.next() }
        #expect(try prefetcher.next() == nil)
        let cancelled = Prefetcher(withoutThread: 3) { counter.next(upTo: .max) }
        cancelled.cancel()
        #expect(try cancelled.next() == nil)
    }

    @Test("No more elements are made than the queue holds, and one more when one is taken")
    func backPressure() throws {
        let counter = Counter()
        let prefetcher = Prefetcher(capacity: 4) { counter.next(upTo: .max) }
        wait { prefetcher.waitingCount == 4 }
        Thread.sleep(forTimeInterval: 0.05)
        #expect(counter.made.withLock { $0 } == 4)
        #expect(try prefetcher.next() == 1)
        wait { prefetcher.waitingCount == 4 }
        #expect(counter.made.withLock { $0 } == 5)
        #expect(prefetcher.starvedCount == 0)
    }

    @Test("An error comes after the elements before it, once")
    func errors() throws {
        let counter = Counter()
        let prefetcher = Prefetcher<Int>(capacity: 8) {
            guard let next = counter.next(upTo: 3) else { throw MadeUp() }
            return next
        }
        for expected in 1...3 { #expect(try prefetcher.next() == expected) }
        #expect(throws: MadeUp.self) { try prefetcher.next() }
        #expect(try prefetcher.next() == nil)
    }

    @Test("Cancelling wakes a consumer that waits and a maker that is held back")
    func cancellation() throws {
        let counter = Counter()
        let full = Prefetcher(capacity: 1) { counter.next(upTo: .max) }
        wait { full.waitingCount == 1 }
        full.cancel()
        #expect(try full.next() == nil)

        let gate = Mutex(false)
        let empty = Prefetcher<Int>(capacity: 1) {
            while !gate.withLock({ $0 }) { Thread.sleep(forTimeInterval: 0.001) }
            return nil
        }
        let canceller = Thread {
            while empty.starvedCount == 0 { Thread.sleep(forTimeInterval: 0.001) }
            empty.cancel()
        }
        canceller.start()
        #expect(try empty.next() == nil)
        gate.withLock { $0 = true }
    }

    @Test("Dropping the object ends the thread")
    func lifetime() {
        final class Token: Sendable {}
        var token: Token? = Token()
        weak let observed = token
        var prefetcher: Prefetcher<Int>? = Prefetcher(capacity: 2) { [token] in
            withExtendedLifetime(token) { 1 }
        }
        token = nil
        wait { prefetcher?.waitingCount == 2 }
        #expect(observed != nil)
        prefetcher = nil
        // The closure, and with it the token, lives as long as the thread.
        wait { observed == nil }
        #expect(prefetcher == nil && token == nil)
    }
}
