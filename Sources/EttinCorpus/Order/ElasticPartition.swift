/// How the `streaming` library divides the positions of a shuffled order among nodes, ranks and workers.
///
/// The global order depends on the number of canonical nodes, not on the number of machines, so a run can continue with
/// another number of them. Nothing is stored: each position is computed.
public struct ElasticPartition: Sendable, Hashable {
    /// The machines and the batches of a run.
    public struct Shape: Sendable, Hashable {
        /// The number of machines.
        package let physicalNodes: Int
        /// The number of ranks of each machine.
        package let ranksPerNode: Int
        /// The number of loader workers of each rank.
        package let workersPerRank: Int
        /// The number of samples of a batch of one rank.
        package let batchSize: Int

        /// Creates a shape.
        ///
        /// - Parameters:
        ///   - physicalNodes: The number of machines.
        ///   - ranksPerNode: The number of ranks of each machine.
        ///   - workersPerRank: The number of loader workers of each rank.
        ///   - batchSize: The number of samples of a batch of one rank.
        public init(physicalNodes: Int, ranksPerNode: Int, workersPerRank: Int, batchSize: Int) {
            self.physicalNodes = physicalNodes
            self.ranksPerNode = ranksPerNode
            self.workersPerRank = workersPerRank
            self.batchSize = batchSize
        }

        /// One machine with one rank; how many samples its batches have does not change their order.
        public static let oneProcess = Shape(physicalNodes: 1, ranksPerNode: 1, workersPerRank: 1, batchSize: 1024)

        /// The number of ranks of all machines.
        var worldSize: Int { physicalNodes * ranksPerNode }

        fileprivate func flat(batch: Int, worker: Int, node: Int, rank: Int, slot: Int) -> Int {
            (((batch * workersPerRank + worker) * physicalNodes + node) * ranksPerNode + rank) * batchSize + slot
        }
    }

    /// The machines and the batches.
    package let shape: Shape
    /// The number of batches of each worker.
    package let batchesPerWorker: Int
    // The division that is computed; another shape only re-divides its batches.
    private let divided: Shape
    private let rows: CanonicalRows
    private let dropped: Int
    private let samplesPerNode: Int
    private let samplesPerRank: Int

    /// Divides the positions of an epoch.
    ///
    /// - Parameters:
    ///   - samples: The number of positions.
    ///   - canonicalNodes: The number of parts that the order was shuffled in.
    ///   - shape: The machines and the batches.
    ///   - seen: How many positions of the epoch were seen before; rounded down to a multiple of the machines.
    ///   - initialPhysicalNodes: The number of machines that the run started with. It lets a run continue with a number of
    ///     machines that neither divides nor is divided by that of canonical nodes (`relaxed` in the library).
    /// - Throws: `CorpusError` for numbers that do not divide each other, or a place behind the end of the epoch.
    package init(
        samples: Int,
        canonicalNodes: Int,
        shape: Shape,
        seen: Int = 0,
        initialPhysicalNodes: Int? = nil
    ) throws {
        for (name, value) in [
            ("num_canonical_nodes", canonicalNodes), ("num_physical_nodes", shape.physicalNodes),
            ("ranks_per_node", shape.ranksPerNode), ("workers_per_rank", shape.workersPerRank),
            ("initial_physical_nodes", initialPhysicalNodes ?? 1),
        ] {
            try StreamingLimits.check(name, value, in: StreamingLimits.nodes)
        }
        try StreamingLimits.check("the number of ranks", shape.worldSize, in: StreamingLimits.nodes)
        try StreamingLimits.check("batch_size", shape.batchSize, in: StreamingLimits.samples)
        try StreamingLimits.check("the number of samples", samples, in: StreamingLimits.samples)
        try StreamingLimits.check("sample_in_epoch", seen, in: 0...StreamingLimits.samples.upperBound)
        let divided = try Self.divisible(shape, canonicalNodes: canonicalNodes, initial: initialPhysicalNodes)
        rows = try CanonicalRows(samples: samples, nodes: canonicalNodes, physicalNodes: divided.physicalNodes)
        // The last samples of an epoch may be repeated ones, up to one for each rank.
        let worldSize = shape.worldSize
        guard seen <= samples + worldSize - samples % worldSize else {
            throw CorpusError(
                .invalidOption,
                file: "sample_in_epoch",
                found: "is \(seen), past the end of an epoch of \(samples) samples",
                expected: "a position in the epoch"
            )
        }
        self.shape = shape
        self.divided = divided
        dropped = min(rows.count, seen / divided.physicalNodes * divided.physicalNodes)
        samplesPerNode = (rows.count - dropped) / divided.physicalNodes
        samplesPerRank = (samplesPerNode + divided.ranksPerNode - 1) / divided.ranksPerNode
        let perBatch = divided.workersPerRank * divided.batchSize
        batchesPerWorker = (samplesPerRank + perBatch - 1) / perBatch
    }

    /// The number of batches of a rank.
    package var batchesPerRank: Int { batchesPerWorker * shape.workersPerRank }

    /// The number of positions of all ranks, those that repeat a sample included.
    var count: Int { samplesPerRank * divided.worldSize }

    /// Visits all positions in the order in which a run sees them: by global batch, in each of them by rank.
    func forEachPosition(_ body: (Int) -> Void) {
        for batch in 0..<batchesPerRank {
            for node in 0..<shape.physicalNodes {
                for rank in 0..<shape.ranksPerNode { positions(batch: batch, node: node, rank: rank).forEach(body) }
            }
        }
    }

    /// The positions of a batch.
    ///
    /// - Parameters:
    ///   - batch: Which batch, in the order in which a loader gives them out: its workers take turns.
    ///   - node: The machine.
    ///   - rank: The rank on that machine.
    /// - Returns: Positions of the shuffled order; fewer than a batch at the end of the epoch.
    package func positions(batch: Int, node: Int, rank: Int) -> [Int] {
        let (turn, worker) = batch.quotientAndRemainder(dividingBy: shape.workersPerRank)
        // Nothing lies behind the samples of a rank, however large its batches are.
        let slots = divided == shape ? min(shape.batchSize, samplesPerRank) : shape.batchSize
        return (0..<slots).compactMap { slot in
            position(node: node, rank: rank, worker: worker, batch: turn, slot: slot)
        }
    }

    /// The position of one element of the partition.
    ///
    /// - Parameters:
    ///   - node: The machine.
    ///   - rank: The rank on that machine.
    ///   - worker: The worker of that rank.
    ///   - batch: Which of the worker's batches.
    ///   - slot: The place in the batch.
    /// - Returns: A position of the shuffled order, or nil where the last batches are not full.
    package func position(node: Int, rank: Int, worker: Int, batch: Int, slot: Int) -> Int? {
        precondition(
            0..<shape.physicalNodes ~= node && 0..<shape.ranksPerNode ~= rank && 0..<shape.workersPerRank ~= worker
                && 0..<batchesPerWorker ~= batch && 0..<shape.batchSize ~= slot,
            "no node \(node), rank \(rank), worker \(worker), batch \(batch), slot \(slot) in \(shape)"
        )
        if divided == shape { return dividedPosition(node: node, rank: rank, worker: worker, batch: batch, slot: slot) }
        let flat = shape.flat(batch: batch, worker: worker, node: node, rank: rank, slot: slot)
        let (ranks, slot) = flat.quotientAndRemainder(dividingBy: divided.batchSize)
        let (nodes, rank) = ranks.quotientAndRemainder(dividingBy: divided.ranksPerNode)
        let (workers, node) = nodes.quotientAndRemainder(dividingBy: divided.physicalNodes)
        let (batch, worker) = workers.quotientAndRemainder(dividingBy: divided.workersPerRank)
        return dividedPosition(node: node, rank: rank, worker: worker, batch: batch, slot: slot)
    }

    private func dividedPosition(node: Int, rank: Int, worker: Int, batch: Int, slot: Int) -> Int? {
        let element = (batch * divided.workersPerRank + worker) * divided.batchSize + slot
        guard element < samplesPerRank else { return nil }
        var place = element * divided.ranksPerNode + rank
        if place >= samplesPerNode {
            // A node whose samples do not fill its ranks repeats some that are not its very last.
            let missing = samplesPerRank * divided.ranksPerNode - samplesPerNode
            place =
                divided.ranksPerNode + missing - 1 <= samplesPerNode
                ? place - divided.ranksPerNode - missing + 1 : (place - samplesPerNode) % samplesPerNode
        }
        return rows.position(at: dropped + place * divided.physicalNodes + node)
    }

    // The shape to divide by: the given one, or that of the start of the run if the given one does not fit.
    private static func divisible(_ shape: Shape, canonicalNodes: Int, initial: Int?) throws -> Shape {
        let nodes = shape.physicalNodes
        if nodes % canonicalNodes == 0 || canonicalNodes % nodes == 0 { return shape }
        guard let initial else {
            throw CorpusError(
                .invalidOption,
                file: "num_physical_nodes",
                found: "is \(nodes) with \(canonicalNodes) canonical nodes",
                expected: "numbers of which one divides the other"
            )
        }
        let globalBatch = nodes * shape.ranksPerNode * shape.batchSize
        let initialRanks = initial * shape.ranksPerNode
        guard globalBatch % initialRanks == 0 else {
            throw CorpusError(
                .invalidOption,
                file: "initial_physical_nodes",
                found: "gave \(initialRanks) ranks, which do not divide a global batch of \(globalBatch) samples",
                expected: "the global batch size that the run started with"
            )
        }
        let started = Shape(
            physicalNodes: initial,
            ranksPerNode: shape.ranksPerNode,
            workersPerRank: shape.workersPerRank,
            batchSize: globalBatch / initialRanks
        )
        return try divisible(started, canonicalNodes: canonicalNodes, initial: nil)
    }
}
