/// Batches in which no value occurs twice.
///
/// The original walks over all rows that are left for each batch and passes over those that share a value with it. Here
/// such a row waits for that value, and only the first of all that wait for the same one is looked at again: the result is
/// the same, and the time is near linear even where one value is in most rows.
///
/// > Source: sentence-transformers, `NoDuplicatesBatchSampler`.
final class NoDuplicatesDrawing: RowDrawing {
    private let rowCount: Int
    private let values: ValueHashes
    private let batchSize: Int
    private let dropsLast: Bool
    private let expectedCount: Int
    private let generator: SharedGenerator
    private let seed: UInt64

    /// Passes over the rows that were begun; the first one alone has the seed of the epoch.
    private var passCount = 0
    private var batchCount = 0
    private var isDone = false

    /// The rows of this pass, and how many of them were looked at.
    private var order: [Int32] = []
    private var position = 0
    private var taken: BatchValues
    /// The places in `order` that wait, by the value that they wait for.
    private var waiting: [UInt64: WaitingRows] = [:]
    /// The first place of each list of `waiting` whose value may be free.
    private var heads = MinHeap<WaitingHead>()
    /// Values of this batch for which rows wait.
    private var suspended: [UInt64] = []

    /// Extra passes to reach the number of batches that was promised.
    private static let mostExtraPasses = 2

    init(
        _ rowCount: Int,
        _ values: ValueHashes,
        _ batchSize: Int,
        dropsLast: Bool,
        expectedCount: Int,
        _ generator: SharedGenerator,
        seed: UInt64
    ) {
        self.rowCount = rowCount
        self.values = values
        self.batchSize = batchSize
        self.dropsLast = dropsLast
        self.expectedCount = expectedCount
        self.generator = generator
        self.seed = seed
        taken = BatchValues(capacity: min(batchSize, rowCount) * values.columnCount)
    }

    func next() -> [Int32]? {
        if isDone { return nil }
        if passCount == 0 {
            generator.reseed(seed)
            beginPass()
        }
        while true {
            while position < rowCount || !waiting.isEmpty {
                let batch = nextBatch()
                guard batch.count == batchSize || !dropsLast else { continue }
                batchCount += 1
                if passCount > 1, batchCount >= expectedCount { isDone = true }
                return batch
            }
            guard batchCount > 0, batchCount < expectedCount, passCount <= Self.mostExtraPasses else {
                isDone = true
                return nil
            }
            beginPass()
        }
    }

    private func beginPass() {
        passCount += 1
        order = generator.permutation(rowCount)
        position = 0
        heads = MinHeap()
    }

    private func nextBatch() -> [Int32] {
        taken.removeAll()
        var batch: [Int32] = []
        batch.reserveCapacity(min(batchSize, rowCount))
        while batch.count < batchSize, let head = heads.popFirst() {
            guard waiting[head.value]?.isListed == true, waiting[head.value]?.places.first == head.place else {
                continue
            }
            guard !taken.contains(head.value) else {
                suspend(head.value)
                continue
            }
            _ = waiting[head.value]?.places.popFirst()
            take(head.place, &batch)
            guard let first = waiting[head.value]?.places.first else {
                waiting[head.value] = nil
                continue
            }
            if taken.contains(head.value) {
                suspend(head.value)
            } else {
                heads.insert(WaitingHead(place: first, value: head.value))
            }
        }
        while batch.count < batchSize, position < rowCount {
            take(Int32(position), &batch)
            position += 1
        }
        for value in suspended {
            guard let first = waiting[value]?.places.first else { continue }
            waiting[value]?.isListed = true
            heads.insert(WaitingHead(place: first, value: value))
        }
        suspended = []
        return batch
    }

    /// Puts a row into the batch, or lets it wait for the first of its values that the batch has.
    private func take(_ place: Int32, _ batch: inout [Int32]) {
        let row = Int(order[Int(place)])
        let range = row * values.columnCount..<(row + 1) * values.columnCount
        for index in range where taken.contains(values.hashes[index]) {
            wait(place, for: values.hashes[index])
            return
        }
        for index in range { taken.insert(values.hashes[index]) }
        batch.append(Int32(row))
    }

    private func wait(_ place: Int32, for value: UInt64) {
        guard let first = waiting[value]?.places.first else {
            waiting[value] = WaitingRows(places: MinHeap([place]), isListed: false)
            suspended.append(value)
            return
        }
        if waiting[value]?.isListed == true, place < first { heads.insert(WaitingHead(place: place, value: value)) }
        waiting[value]?.places.insert(place)
    }

    private func suspend(_ value: UInt64) {
        waiting[value]?.isListed = false
        suspended.append(value)
    }
}

/// The places that wait for one value.
private struct WaitingRows {
    var places: MinHeap<Int32>
    /// Whether the first place is among the heads.
    var isListed: Bool
}

/// The first place of those that wait for a value.
private struct WaitingHead: Comparable {
    let place: Int32
    let value: UInt64

    static func < (left: WaitingHead, right: WaitingHead) -> Bool { left.place < right.place }
}

/// The values of a batch, emptied at once.
private struct BatchValues {
    private var keys: [UInt64]
    private var rounds: [UInt32]
    private var round: UInt32 = 1
    private let mask: Int

    init(capacity: Int) {
        var size = 16
        while size < 2 * capacity { size *= 2 }
        keys = Array(repeating: 0, count: size)
        rounds = Array(repeating: 0, count: size)
        mask = size - 1
    }

    mutating func removeAll() {
        round &+= 1
        guard round == 0 else { return }
        rounds = Array(repeating: 0, count: rounds.count)
        round = 1
    }

    private func slot(_ key: UInt64) -> Int {
        var slot = Int(truncatingIfNeeded: key) & mask
        while rounds[slot] == round, keys[slot] != key { slot = (slot + 1) & mask }
        return slot
    }

    func contains(_ key: UInt64) -> Bool { rounds[slot(key)] == round }

    mutating func insert(_ key: UInt64) {
        let slot = slot(key)
        keys[slot] = key
        rounds[slot] = round
    }
}

/// A binary heap, the smallest element first.
struct MinHeap<Element: Comparable> {
    private var elements: [Element] = []

    init(_ elements: [Element] = []) {
        for element in elements { insert(element) }
    }

    var isEmpty: Bool { elements.isEmpty }

    /// The smallest element.
    var first: Element? { elements.first }

    /// Complexity: O(log n).
    mutating func insert(_ element: Element) {
        elements.append(element)
        var child = elements.count - 1
        while child > 0, elements[child] < elements[(child - 1) / 2] {
            elements.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Complexity: O(log n).
    mutating func popFirst() -> Element? {
        guard let last = elements.popLast() else { return nil }
        guard let first = elements.first else { return last }
        elements[0] = last
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < elements.count {
                if elements[child] < elements[smallest] { smallest = child }
            }
            guard smallest != parent else { return first }
            elements.swapAt(parent, smallest)
            parent = smallest
        }
    }
}
