import EttinPrimitives

/// The microbatches of one rank for one step.
public struct RankBatch: Sendable, Hashable {
    /// The step, from 0.
    public let step: Int
    /// The samples of the global batch, in its order and the same on all ranks.
    public let globalSamples: [SampleReference]
    /// This rank's microbatches.
    public let microbatches: [TrainingBatch]
    /// The share of this rank's token budget that is filled; nil where microbatches are cut by sequences.
    public let packingEfficiency: Double?
    /// Where the run stands when this batch is done; a loader made from it goes on with the next one.
    public let positionAfter: DataPosition
}

/// Divides global batches and labels this rank's part.
struct BatchDivider: Sendable {
    let objective: any LanguageModelObjective
    let size: MicrobatchPlan.Size
    let rank: Int
    let worldSize: Int

    func rankBatch(_ samples: [TokenSample], step: Int, positionAfter: DataPosition) throws -> RankBatch {
        let plan = try MicrobatchPlan(lengths: samples.map(\.ids.count), worldSize: worldSize, size: size)
        return rankBatch(
            plan.ranks[rank].map { $0.map { samples[$0] } },
            globalSamples: samples.map(\.reference),
            step: step,
            positionAfter: positionAfter
        )
    }

    func rankBatch(
        _ microbatches: [[TokenSample]],
        globalSamples: [SampleReference],
        step: Int,
        positionAfter: DataPosition
    ) -> RankBatch {
        let batches = microbatches.map { objective.batch($0) }
        var efficiency: Double?
        if case .tokens(let budget) = size, !batches.isEmpty {
            let tokens = batches.reduce(0) { $0 + $1.packed.tokenCount }
            efficiency = Double(tokens) / Double(budget * batches.count)
        }
        return RankBatch(
            step: step,
            globalSamples: globalSamples,
            microbatches: batches,
            packingEfficiency: efficiency,
            positionAfter: positionAfter
        )
    }
}
