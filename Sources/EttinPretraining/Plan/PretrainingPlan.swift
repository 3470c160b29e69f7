import EttinCorpus
import EttinTraining

/// What a recipe amounts to before it is run: steps, rates, checkpoints, memory, and what in it has no effect.
public struct PretrainingPlan: Sendable {
    /// The learning rate at a point of the run.
    package struct Rate: Hashable, Sendable {
        /// The share of the run that is over.
        package let share: Double
        /// The time, in the unit of the run's length.
        package let time: Double
        /// The learning rate.
        package let value: Double
    }

    /// The size of a batch from some point on.
    package struct BatchSize: Hashable, Sendable {
        /// The tokens seen before.
        package let tokens: Int
        /// The sequences of a batch.
        package let sequences: Int
    }

    /// The checkpoints of a run.
    package struct Checkpoints: Hashable, Sendable {
        /// How many are written, the one at the end included.
        package let count: Int
        /// Their tags where they are few, else the first two and the last.
        package let tags: [String]
        /// What one of them takes on disk, in bytes.
        package let bytes: Double
    }

    /// The recipe.
    package let recipe: PretrainingRecipe
    /// The number of devices.
    package let worldSize: Int
    /// The tokens of a sequence.
    package let sequenceLength: SequenceLength
    /// The global batches of a pass over the data; nil where the data is not there.
    package let batchesPerEpoch: Int?
    /// The steps of the run; nil where they depend on what is not known.
    public let steps: Int?
    /// The tokens of the run; nil where they depend on what is not known.
    public let tokens: Double?
    /// The learning rate at 0, 25, 50, 75 and 100 %.
    package let rates: [Rate]
    /// How the batch grows; empty where it does not.
    package let batchSizes: [BatchSize]
    /// The checkpoints; nil where their number is not known.
    package let checkpoints: Checkpoints?
    /// Memory of one device.
    package let memory: MemoryEstimate
    private let pace: RunPace

    /// The tokens of a full batch, estimated.
    package var tokensPerStep: Double { Double(recipe.globalTrainBatchSize) * sequenceLength.mean }

    /// Plans a run.
    ///
    /// The data is looked at where it is there; nothing is written.
    ///
    /// - Parameters:
    ///   - recipe: The recipe.
    ///   - tokensPerSequence: The average length of a sequence; nil to find it in the data, or else assume the greatest.
    ///   - worldSize: The number of devices.
    /// - Throws: `TrainingError` for an impossible number, and for a growth of the batch that cannot be.
    public init(_ recipe: PretrainingRecipe, tokensPerSequence: Double? = nil, worldSize: Int = 1) throws {
        precondition(worldSize >= 1, "PretrainingPlan: \(worldSize) devices")
        let measured = SequenceLength(of: recipe.data)
        var length = measured
        if let tokensPerSequence {
            guard tokensPerSequence >= 1, tokensPerSequence <= Double(recipe.data.maxSequenceLength) else {
                throw TrainingError(
                    .invalidOption,
                    "tokens per sequence",
                    found: "are \(tokensPerSequence)",
                    expected: "1 to max_seq_len, \(recipe.data.maxSequenceLength)"
                )
            }
            length = SequenceLength(given: tokensPerSequence, sampleCount: measured.sampleCount)
        }
        self.recipe = recipe
        self.worldSize = worldSize
        sequenceLength = length
        let growth = try Self.growth(recipe, worldSize: worldSize)
        batchSizes = growth.map { Self.sizes($0) } ?? []
        let pace = RunPace(recipe, length: length, growth: growth)
        self.pace = pace
        batchesPerEpoch = pace.batchesPerEpoch
        steps = pace.steps
        tokens = pace.tokens
        rates = [0, 0.25, 0.5, 0.75, 1].map { Rate(share: $0, time: pace.time(at: $0), value: pace.rate(at: $0)) }
        checkpoints = pace.checkpoints
        memory = MemoryEstimate(recipe, microbatchTokens: Self.microbatchTokens(recipe, length, worldSize: worldSize))
    }

    private static func growth(_ recipe: PretrainingRecipe, worldSize: Int) throws -> BatchSizeWarmup? {
        guard let warmup = recipe.batchSizeWarmup else { return nil }
        do {
            return try BatchSizeWarmup(
                smallest: warmup.minSize * worldSize,
                largest: recipe.globalTrainBatchSize,
                tokens: warmup.tokens
            )
        } catch let error as CorpusError {
            throw TrainingError(.invalidOption, error.file, found: error.found, expected: error.expected)
        }
    }

    private static func sizes(_ growth: BatchSizeWarmup) -> [BatchSize] {
        var sizes = (0..<8).map { place in
            let tokens = growth.tokens / 8 * place
            return BatchSize(tokens: tokens, sequences: growth.size(afterTokens: tokens))
        }
        sizes.append(BatchSize(tokens: growth.tokens, sequences: growth.largest))
        return sizes
    }

    private static func microbatchTokens(
        _ recipe: PretrainingRecipe,
        _ length: SequenceLength,
        worldSize: Int
    ) -> Double? {
        if let tokens = recipe.maxTokensPerMicrobatch { return Double(tokens) }
        guard let sequences = recipe.microbatchSize else { return nil }
        return Double(min(sequences, max(1, recipe.globalTrainBatchSize / worldSize))) * length.mean
    }

    /// The learning rate along the run.
    ///
    /// - Parameter count: The number of points, each in the middle of an equal part of the run.
    /// - Returns: The rates.
    package func curve(_ count: Int) -> [Double] {
        (0..<count).map { pace.rate(at: (Double($0) + 0.5) / Double(count)) }
    }
}
