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
        // Nor does a stream of small ones keep the huge one waiting.
        for _ in 0..<20 {
            for _ in 0..<10 { queue.add(request([10])) }
            let batch = try #require(queue.next())
            #expect(batch.members.contains { $0.request.items.count == 1000 })
        }
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
        private(set) var batchSizes: [Int] = []
        private let thread: ModelThread
        nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

        init() throws {
            thread = try ModelThread()
            scheduler = try BatchScheduler(maxBatchTokens: 1000)
        }

        func compute(_ items: [Item], _ options: String) throws -> [Int] {
            batchSizes.append(items.count)
            if let bad = items.firstIndex(where: \.fails) {
                throw InferenceError.unsuitableText(number: bad + 1, found: "fails", expected: "none that does")
            }
            return items.map(\.tokenCount)
        }

        /// Begins requests in one turn, so that they are in the first batch together.
        func sums(_ requests: [[Item]]) async -> [Result<[Int], any Error>] {
            let tasks = requests.map { items in Task { try await self.outputs(of: items, "") } }
            var results: [Result<[Int], any Error>] = []
            for task in tasks { results.append(await task.result) }
            return results
        }
    }

    @Test func anErrorIsOfTheRequestItBelongsTo() async throws {
        let summer = try Summer()
        let requests = [
            [Item(tokenCount: 1), Item(tokenCount: 2)], [Item(tokenCount: 3), Item(tokenCount: 4, fails: true)],
            [Item(tokenCount: 5)], [],
        ]
        let results = await summer.sums(requests)
        #expect(try results[0].get() == [1, 2] && results[2].get() == [5] && results[3].get() == [])
        #expect {
            try results[1].get()
        } throws: {
            "\($0)" == "text 2 fails; expected none that does"
        }
        #expect(await summer.batchSizes.first == 5)
    }
}
