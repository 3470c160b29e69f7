/// The microbatches of one rank for one step.
public struct RankBatch: Sendable, Hashable {
    /// The step, from 0.
    public let step: Int
    /// The samples of the global batch, in its order and the same on all ranks; empty where only this rank's were read.
    ///
    /// They are what the readings have in common, without the end tokens that only some append.
    package let samples: [TokenSample]
    /// This rank's microbatches, for each reading.
    public let readings: [[TrainingBatch]]
    /// Where the run stands after this batch; a loader made from it continues with the next one.
    public let positionAfter: DataPosition
    /// The pass over the data that the next batch belongs to.
    public let nextEpoch: Int
}

/// What a model makes of samples: the halves of a pair read the same ones, each in its own way.
public struct SampleReading: Sendable {
    /// Whether a sequence ends with the end token.
    public let appendsEnd: Bool
    /// What is to be predicted.
    public let objective: any LanguageModelObjective

    /// Describes a reading.
    ///
    /// - Parameters:
    ///   - appendsEnd: Whether a sequence ends with the end token.
    ///   - objective: What is to be predicted.
    public init(appendsEnd: Bool, objective: any LanguageModelObjective) {
        self.appendsEnd = appendsEnd
        self.objective = objective
    }
}
