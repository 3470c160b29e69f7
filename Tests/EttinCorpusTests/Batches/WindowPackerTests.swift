import EttinCorpus
import Testing

@Suite("Window packer")
struct WindowPackerTests {
    private static func lengths(_ count: Int, upTo longest: Int, seed: UInt64 = 1) -> [Int] {
        var generator = NumPyGenerator(seed: seed)
        return (0..<count).map { _ in generator.integer(in: 1..<longest + 1) }
    }

    private static func bins(_ lengths: [Int], tokens: Int, window: Int) throws -> [[Int]] {
        try WindowPacker.bins(
            lengths.enumerated().map { (item: $0.offset, tokens: $0.element) },
            tokensPerBin: tokens,
            window: window
        )
    }

    @Test("Every item comes once, bins keep to the budget and the order", arguments: [1, 2, 16, 300, 5000])
    func complete(window: Int) throws {
        let lengths = Self.lengths(2000, upTo: 500)
        let bins = try Self.bins(lengths, tokens: 1024, window: window)
        #expect(bins.flatMap { $0 }.sorted() == Array(lengths.indices))
        #expect(bins.allSatisfy { $0.reduce(0) { $0 + lengths[$1] } <= 1024 && $0 == $0.sorted() })
    }

    @Test("No item waits for more bins than the window has items, or leaves a window of earlier ones behind")
    func bounded() throws {
        let window = 32
        let lengths = Self.lengths(3000, upTo: 1000, seed: 2)
        var packer = WindowPacker<Int>(tokensPerBin: 1024, window: window)
        // The number of bins that were emitted before each waiting item came.
        var waiting: [Int: Int] = [:]
        var bins = 0
        func check(_ bin: [Int]) {
            bins += 1
            for item in bin {
                #expect(bins - (waiting.removeValue(forKey: item) ?? .min) <= window)
                #expect(waiting.keys.count { $0 < item } < window)
            }
        }
        for (item, length) in lengths.enumerated() {
            waiting[item] = bins
            if let bin = try packer.append(item, tokens: length) { check(bin) }
            #expect(packer.waitingCount == waiting.count && waiting.count < window)
        }
        while let bin = packer.next() { check(bin) }
        #expect(waiting.isEmpty)
    }

    @Test("A wide window fills bins nearly to the last token")
    func efficiency() throws {
        let lengths = Self.lengths(20_000, upTo: 1024, seed: 3)
        let bins = try Self.bins(lengths, tokens: 8192, window: 256)
        let efficiency = Double(lengths.reduce(0, +)) / Double(bins.count * 8192)
        #expect(efficiency > 0.995)
    }

    @Test("A window of one keeps the order and wastes what the next item does not fit")
    func noWindow() throws {
        #expect(try Self.bins([3, 4, 2, 9, 1], tokens: 10, window: 1) == [[0], [1], [2], [3], [4]])
        #expect(try Self.bins([3, 4, 2, 9, 1], tokens: 10, window: 9) == [[0, 1, 2, 4], [3]])
    }

    @Test("Items of equal length come in their order; empty ones take no room")
    func equals() throws {
        #expect(try Self.bins([5, 5, 5, 5], tokens: 10, window: 4) == [[0, 1], [2, 3]])
        #expect(try Self.bins([0, 10, 0], tokens: 10, window: 3) == [[0, 1, 2]])
        #expect(try Self.bins([], tokens: 10, window: 3).isEmpty)
    }

    @Test("An item longer than a bin is refused")
    func tooLong() {
        let error = #expect(throws: CorpusError.self) { try Self.bins([11], tokens: 10, window: 3) }
        #expect(error?.description.contains("are 10, too few for a sequence of 11") == true)
    }
}
