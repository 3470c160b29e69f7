/// Makes batches from an explicit order, whose steps are the global batches.
///
/// The samples are taken as they are: an order holds them prepared and not yet masked. They are numbered from the start
/// of the order, which is what their masks depend on.
public struct ExplicitBatchLoader {
    private var order: ExplicitOrder
    private let divider: BatchDivider

    /// Creates a loader.
    ///
    /// - Parameters:
    ///   - order: The order; to go on with a run, one that was passed over to the run's step.
    ///   - objective: What the model is to predict.
    ///   - microbatchSize: The size of a microbatch.
    ///   - rank: The number of this rank.
    ///   - worldSize: The number of ranks.
    public init(
        order: ExplicitOrder,
        objective: any LanguageModelObjective,
        microbatchSize: MicrobatchPlan.Size,
        rank: Int = 0,
        worldSize: Int = 1
    ) {
        precondition(0..<worldSize ~= rank, "ExplicitBatchLoader: rank \(rank) of \(worldSize)")
        self.order = order
        divider = BatchDivider(objective: objective, size: microbatchSize, rank: rank, worldSize: worldSize)
    }

    /// Makes the batch of the next step.
    ///
    /// - Returns: This rank's part of it, with the step of the order; nil at the end.
    /// - Throws: What reading the order throws; `CorpusError` when a size is impossible.
    public mutating func next() throws -> RankBatch? {
        guard let step = try order.next() else { return nil }
        let samples = step.samples.enumerated().map { place, ids in
            TokenSample(reference: SampleReference(index: step.firstRow + place, pass: 0), ids: ids)
        }
        let end = step.firstRow + samples.count
        return try divider.rankBatch(
            samples,
            step: step.step,
            positionAfter: DataPosition(position: end, step: step.step + 1)
        )
    }
}
