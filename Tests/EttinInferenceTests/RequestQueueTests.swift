import Dispatch
import Testing

@testable import EttinInference

/// Batches of what several requests ask for.
@Suite struct RequestQueueTests {
    struct Item: BatchItem {
        let tokenCount: Int
        var fails = false
    }

    typealias Queue = RequestQueue<Item, String, Int>

    /// A queue that expectations may change.
    private final class Waiting {
        private var queue = Queue()
        var isEmpty: Bool { queue.isEmpty }

        func add(_ request: Queue.Request, options: String = "") { queue.add(request, options: options) }

        func next(_ maxTokens: Int = 100) -> Queue.Batch? { queue.next(maxTokens: maxTokens) }

        func nextLengths(_ maxTokens: Int) -> [Int] { next(maxTokens)?.items.map(\.tokenCount) ?? [] }
    }

    private func request(_ lengths: [Int]) -> Queue.Request {
        Queue.Request(lengths.map { Item(tokenCount: $0) })
    }

    @Test func aRequestAloneIsBatchedLongestFirst() {
        let queue = Waiting()
        queue.add(request([3, 9, 1, 5, 20, 5]))
        #expect(queue.nextLengths(12) == [20])
        #expect(queue.nextLengths(12) == [9])
        let batch = queue.next(12)
        #expect(batch?.items.map(\.tokenCount) == [5, 5] && batch?.members.map(\.index) == [3, 5])
        #expect(queue.nextLengths(12) == [3, 1])
        #expect(queue.nextLengths(12) == [])
        #expect(queue.isEmpty)
    }

    @Test func aHugeRequestDelaysNoSmallOne() throws {
        let queue = Waiting()
        queue.add(request(Array(repeating: 10, count: 1000)))
        for _ in 0..<5 { #expect(queue.nextLengths(100).count == 10) }
        let small = request([10, 10])
        queue.add(small)
        let shared = try #require(queue.next())
        #expect(shared.members.count == 10 && shared.members.filter { $0.request === small }.count == 2)
        // Nor does a stream of small ones that would fill every batch keep the huge one waiting.
        var count = 0
        for _ in 0..<20 {
            for _ in 0..<10 { queue.add(request([10])) }
            let batch = try #require(queue.next())
            if batch.members.contains(where: { $0.request.items.count == 1000 }) { count += 1 }
        }
        #expect(count >= 10)
    }

    @Test func anItemLargerThanABatchCountsAsOneBatch() throws {
        let queue = Waiting()
        let huge = request([1_000_000])
        let many = request(Array(repeating: 100, count: 20_000))
        queue.add(huge)
        queue.add(many)
        #expect(queue.nextLengths(8192) == [1_000_000])
        let late = request([10])
        queue.add(late)
        let next = try (0..<3).map { _ in try #require(queue.next(8192)) }
        #expect(next.contains { $0.members.contains { $0.request === late } })
    }

    @Test func optionsAreNotMixedAndCancelledRequestsLeave() throws {
        let queue = Waiting()
        let requests = (0..<4).map { _ in request([1, 1]) }
        for (index, request) in requests.enumerated() { queue.add(request, options: index < 2 ? "a" : "b") }
        requests[1].cancel()
        requests[3].cancel()
        let first = try #require(queue.next())
        #expect(first.options == "a" && first.requests.map(ObjectIdentifier.init) == [ObjectIdentifier(requests[0])])
        let second = try #require(queue.next())
        #expect(second.options == "b" && second.requests.map(ObjectIdentifier.init) == [ObjectIdentifier(requests[2])])
        #expect(queue.nextLengths(100) == [])
    }

    /// Adds lengths up, and fails for a batch with a bad item.
    private actor Summer: BatchingActor {
        var scheduler: BatchScheduler<Item, String, Int>
        private(set) var batches: [[Int]] = []
        private let gate: Gate?
        private let thread: ModelThread
        nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

        init(gate: Gate? = nil) throws {
            self.gate = gate
            thread = try ModelThread()
            scheduler = try BatchScheduler(maxBatchTokens: 1000)
        }

        func compute(_ items: [Item], _ options: String) throws -> [Int] {
            batches.append(items.map(\.tokenCount))
            if batches.count == 1 { gate?.pass() }
            if let bad = items.firstIndex(where: \.fails) {
                throw InferenceError.unsuitableText(number: bad + 1, found: "fails", expected: "none that does")
            }
            return items.map(\.tokenCount)
        }
    }

    /// Holds the first batch of a model up.
    private final class Gate: Sendable {
        private let arrivals = AsyncStream.makeStream(of: Void.self)
        private let isOpen = DispatchSemaphore(value: 0)

        /// Blocks the model's thread until the gate is opened.
        func pass() {
            arrivals.continuation.yield()
            isOpen.wait()
        }

        /// Waits for the model to be held.
        func arrival() async {
            for await _ in arrivals.stream { return }
        }

        func open() { isOpen.signal() }
    }

    private static func items(_ lengths: [Int]) -> [Item] { lengths.map { Item(tokenCount: $0) } }

    @Test func anErrorIsOfTheRequestItBelongsTo() async throws {
        let gate = Gate()
        let summer = try Summer(gate: gate)
        let first = Task { try await summer.outputs(of: Self.items([7]), "") }
        await gate.arrival()
        // All of these wait for the model together.
        let requests = [
            Self.items([1, 2]), Self.items([900, 3]) + [Item(tokenCount: 4, fails: true)], Self.items([5]), [],
        ]
        let tasks = requests.map { items in Task { try await summer.outputs(of: items, "") } }
        // Enough to be behind each other on the actor's thread; where it is not, nothing fails.
        try await Task.sleep(for: .milliseconds(50))
        gate.open()
        #expect(try await first.value == [7])
        #expect(try await tasks[0].value == [1, 2])
        #expect(try await tasks[2].value == [5])
        #expect(try await tasks[3].value == [])
        let result = await tasks[1].result
        #expect {
            try result.get()
        } throws: {
            "\($0)" == "text 3 fails; expected none that does"
        }
    }

    @Test(.timeLimit(.minutes(1))) func aCancelledRequestThrowsWhileTheModelComputesAndIsInNoFurtherBatch() async throws
    {
        let gate = Gate()
        let summer = try Summer(gate: gate)
        let huge = Task { try await summer.outputs(of: Self.items(Array(repeating: 100, count: 30)), "") }
        await gate.arrival()
        // One that has not reached the actor, whose thread is held, throws at once too.
        let late = Task { try await summer.outputs(of: Self.items([50]), "") }
        late.cancel()
        await #expect(throws: CancellationError.self) { try await late.value }
        huge.cancel()
        await #expect(throws: CancellationError.self) { try await huge.value }
        gate.open()
        #expect(try await summer.outputs(of: Self.items([1, 2]), "") == [1, 2])
        #expect(await summer.batches == [Array(repeating: 100, count: 10), [2, 1]])
    }

    @Test func itemsOfAFailedBatchAreComputedOneAtATimeAndNoOthers() async throws {
        let summer = try Summer()
        var items = Self.items(Array(repeating: 100, count: 25))
        items[24].fails = true
        let request = items
        await #expect {
            try await summer.outputs(of: request, "")
        } throws: {
            "\($0)" == "text 25 fails; expected none that does"
        }
        let sizes = await summer.batches.map(\.count)
        #expect(sizes == [10, 10, 5, 1, 1, 1, 1, 1])
    }
}
