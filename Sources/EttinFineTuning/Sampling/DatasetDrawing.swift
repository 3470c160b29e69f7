/// A batch before it has an owner.
struct DrawnBatch {
    let dataset: Int
    let rows: [Int32]
}

/// Draws the batches of all data sets in one epoch.
protocol BatchDrawing: AnyObject {
    /// The next batch; nil when there is none.
    func next() -> DrawnBatch?
}

/// The batches of one data set.
final class SingleDrawing: BatchDrawing {
    private let rows: any RowDrawing

    init(_ rows: any RowDrawing) { self.rows = rows }

    func next() -> DrawnBatch? { rows.next().map { DrawnBatch(dataset: 0, rows: $0) } }
}

/// All batches of all data sets in random order; each data set comes as often as it has batches.
///
/// > Source: sentence-transformers, `ProportionalBatchSampler`.
final class ProportionalDrawing: BatchDrawing {
    private let parts: [any RowDrawing]
    private let counts: [Int]
    private let generator: SharedGenerator
    private let seed: UInt64
    private var order: [Int32]?
    private var position = 0

    init(_ parts: [any RowDrawing], counts: [Int], generator: SharedGenerator, seed: UInt64) {
        self.parts = parts
        self.counts = counts
        self.generator = generator
        self.seed = seed
    }

    func next() -> DrawnBatch? {
        let order = order ?? begin()
        while position < order.count {
            let dataset = Int(order[position])
            position += 1
            // One that has fewer batches than it said is passed over.
            if let rows = parts[dataset].next() { return DrawnBatch(dataset: dataset, rows: rows) }
        }
        return nil
    }

    private func begin() -> [Int32] {
        generator.reseed(seed)
        let datasets = counts.indices.flatMap { Array(repeating: Int32($0), count: counts[$0]) }
        let drawn = generator.permutation(datasets.count).map { datasets[Int($0)] }
        order = drawn
        return drawn
    }
}

/// One batch of each data set in turn, until one has no more.
///
/// > Source: sentence-transformers, `RoundRobinBatchSampler`.
final class RoundRobinDrawing: BatchDrawing {
    private let parts: [any RowDrawing]
    private let generator: SharedGenerator
    private let seed: UInt64
    private var isStarted = false
    /// The batches of this round, the next one at the end.
    private var round: [DrawnBatch] = []

    init(_ parts: [any RowDrawing], generator: SharedGenerator, seed: UInt64) {
        self.parts = parts
        self.generator = generator
        self.seed = seed
    }

    func next() -> DrawnBatch? {
        if !isStarted {
            isStarted = true
            generator.reseed(seed)
        }
        if round.isEmpty {
            var drawn: [DrawnBatch] = []
            for (dataset, part) in parts.enumerated() {
                guard let rows = part.next() else { return nil }
                drawn.append(DrawnBatch(dataset: dataset, rows: rows))
            }
            round = drawn.reversed()
        }
        return round.popLast()
    }
}
