import EttinCorpus

/// The generator that all samplers of a run share, as those of the original do.
///
/// What one of them draws and when decides what the others draw afterwards.
final class SharedGenerator {
    private var generator: TorchGenerator

    init(seed: UInt64) { generator = TorchGenerator(seed: seed) }

    func reseed(_ seed: UInt64) { generator.reseed(seed) }

    func permutation(_ count: Int) -> [Int32] { generator.permutation(count, as: Int32.self) }
}

/// Draws the batches of one data set in one epoch; nothing is drawn before the first batch is asked for.
protocol RowDrawing: AnyObject {
    /// The rows of the next batch; nil when there is none.
    func next() -> [Int32]?
}

/// The batches of a permutation.
///
/// > Source: PyTorch, `RandomSampler` and `BatchSampler`.
final class ShuffledDrawing: RowDrawing {
    private let rowCount: Int
    private let batchSize: Int
    private let dropsLast: Bool
    private let generator: SharedGenerator
    private let seed: UInt64?
    private var order: [Int32] = []
    private var position = 0
    private var isStarted = false
    private var isDone = false

    /// With a seed the generator gets it in front of the permutation.
    init(_ rowCount: Int, _ batchSize: Int, dropsLast: Bool, _ generator: SharedGenerator, seed: UInt64?) {
        self.rowCount = rowCount
        self.batchSize = batchSize
        self.dropsLast = dropsLast
        self.generator = generator
        self.seed = seed
    }

    func next() -> [Int32]? {
        if isDone { return nil }
        if !isStarted {
            isStarted = true
            if let seed { generator.reseed(seed) }
            order = generator.permutation(rowCount)
        }
        let end = min(rowCount, position + batchSize)
        let batch = order[position..<end]
        position = end
        if batch.count < batchSize {
            // The original notices the end by drawing another permutation, of which it takes no rows.
            isDone = true
            order = []
            _ = generator.permutation(rowCount)
            return dropsLast || batch.isEmpty ? nil : Array(batch)
        }
        return Array(batch)
    }
}

/// Batches of pairs of rows with the same label, whose labels take turns.
///
/// > Source: sentence-transformers, `GroupByLabelBatchSampler`.
final class GroupedDrawing: RowDrawing {
    private let groups: [[Int32]]
    private let batchSize: Int
    private let dropsLast: Bool
    private let generator: SharedGenerator
    private let seed: UInt64
    private var isStarted = false
    private var isDone = false
    /// The rows of each label that are left, the next one at the end.
    private var queues: [[Int32]] = []
    /// The labels of this round, and how many of them have had their turn.
    private var round: [Int] = []
    private var turn = 0
    private var lastLabel: Int?
    private var batch: [Int32] = []

    init(_ groups: [[Int32]], _ batchSize: Int, dropsLast: Bool, _ generator: SharedGenerator, seed: UInt64) {
        self.groups = groups
        self.batchSize = batchSize
        self.dropsLast = dropsLast
        self.generator = generator
        self.seed = seed
    }

    func next() -> [Int32]? {
        if isDone { return nil }
        if !isStarted { start() }
        while true {
            while turn < round.count {
                let label = round[turn]
                turn += 1
                for _ in 0..<2 {
                    if let row = queues[label].popLast() { batch.append(row) }
                }
                if batch.count >= batchSize {
                    defer { batch = [] }
                    return batch
                }
            }
            lastLabel = round.last ?? lastLabel
            round.removeAll { queues[$0].isEmpty }
            guard round.count >= 2 else {
                isDone = true
                return !dropsLast && batch.count >= 4 ? batch : nil
            }
            beginRound()
        }
    }

    private func start() {
        isStarted = true
        generator.reseed(seed)
        queues = groups.map { rows in
            generator.permutation(rows.count).prefix(rows.count / 2 * 2).reversed().map { rows[Int($0)] }
        }
        round = Array(queues.indices)
        beginRound()
    }

    private func beginRound() {
        round = generator.permutation(round.count).map { round[Int($0)] }
        // Consecutive pairs of a batch differ in their label.
        if !batch.isEmpty, round[0] == lastLabel { round.swapAt(0, 1) }
        turn = 0
    }
}
