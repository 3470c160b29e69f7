import EttinCorpus
import EttinFiles
import EttinModel
import EttinTraining

/// How steps, sequences and tokens of a run go together when all sequences have the average length.
struct RunPace {
    private let recipe: PretrainingRecipe
    private let schedule: LearningRateSchedule
    private let maximum: TrainingTime
    private let length: Double
    private let pace: Pace
    let batchesPerEpoch: Int?
    let steps: Int?
    let tokens: Double?

    init(_ recipe: PretrainingRecipe, length: SequenceLength, growth: BatchSizeWarmup?) {
        self.recipe = recipe
        self.length = length.mean
        let size = recipe.globalTrainBatchSize
        batchesPerEpoch = length.sampleCount.map { max(1, recipe.data.dropLast ? $0 / size : ($0 + size - 1) / size) }
        if let batchesPerEpoch {
            schedule = recipe.schedule.counted(batchesPerEpoch: batchesPerEpoch)
            maximum = recipe.maxDuration.counted(batchesPerEpoch: batchesPerEpoch)
        } else {
            schedule = recipe.schedule
            maximum = recipe.maxDuration
        }
        let pace = Pace(growth, size: size, length: length.mean)
        self.pace = pace
        let exact: Double? =
            switch maximum.unit {
            case .batch, .iteration: maximum.value
            case .sample: pace.steps(forTokens: maximum.value * length.mean)
            case .token: pace.steps(forTokens: maximum.value)
            case .epoch, .second, .duration: nil
            }
        // More steps than a whole number holds are no run, but no crash either.
        steps = exact.flatMap { Int(exactly: ($0 - 1e-9).rounded(.up)) }
        tokens = exact.map { pace.tokens(afterSteps: $0) }
    }

    /// The time at a share of the run, in the unit of its length.
    func time(at share: Double) -> Double { share * recipe.maxDuration.value }

    /// The learning rate at a share of the run.
    func rate(at share: Double) -> Double {
        recipe.optimizer.learningRate * schedule.multiplier(at: clock(at: share), maximum: maximum)
    }

    private func clock(at share: Double) -> TrainingClock {
        var clock = TrainingClock()
        func whole(_ value: Double) -> Int { Int(exactly: value.rounded()) ?? Int.max }
        if let steps, let tokens {
            clock.batch = whole(share * Double(steps))
            clock.token = whole(share * tokens)
            clock.sample = whole(share * tokens / length)
            if let batchesPerEpoch { clock.epoch = clock.batch / batchesPerEpoch }
        }
        // In the unit of the run's length exactly, whatever the estimates.
        switch maximum.unit {
        case .batch, .iteration: clock.batch = whole(share * maximum.value)
        case .token: clock.token = whole(share * maximum.value)
        case .sample: clock.sample = whole(share * maximum.value)
        case .epoch: clock.epoch = whole(share * maximum.value)
        case .second: clock.seconds = share * maximum.value
        case .duration: break
        }
        return clock
    }

    // MARK: - Checkpoints

    var checkpoints: PretrainingPlan.Checkpoints? {
        guard let steps, let tokens, steps > 0 else { return nil }
        var interval = recipe.checkpoints.saveInterval
        if let batchesPerEpoch { interval = interval.counted(batchesPerEpoch: batchesPerEpoch) }
        let stepsFor: (Double) -> Double
        var total: Double
        switch interval.unit {
        case .batch, .iteration: (stepsFor, total) = ({ $0 }, Double(steps))
        case .sample: (stepsFor, total) = ({ pace.steps(forTokens: $0 * length) }, tokens / length)
        case .token: (stepsFor, total) = ({ pace.steps(forTokens: $0) }, tokens)
        case .epoch, .second, .duration: return nil
        }
        // Written after the step that passes a multiple of the interval, at most once a step, and at the end.
        let isEveryStep = stepsFor(interval.value) <= 1
        func step(_ multiple: Double) -> Int {
            let place = isEveryStep ? multiple : stepsFor(multiple * interval.value)
            return min(steps, Int(clamping: (place - 1e-9).rounded(.up)))
        }
        total = isEveryStep ? Double(steps) : total / interval.value
        let multiples = (total + 1e-9).rounded(.down)
        let endsOnMultiple = multiples > 0 && step(multiples) == steps
        let count = min(Int(clamping: multiples), .largestCount) + (endsOnMultiple ? 0 : 1)
        let first = (1..<min(count, 4)).map { step(Double($0)) }
        let shown = count <= 4 ? first : Array(first.prefix(2))
        return PretrainingPlan.Checkpoints(
            count: count,
            tags: (shown + [steps]).map { "\(recipe.checkpoints.phase.rawValue)\($0)" },
            bytes: 12 * Double(recipe.model.parameterCount)
        )
    }
}

/// How many tokens how many steps take, batches growing or not.
private struct Pace {
    /// Spans of tokens with the size of their batches; the last has no end.
    private let spans: [(tokens: Double, perStep: Double)]

    init(_ growth: BatchSizeWarmup?, size: Int, length: Double) {
        var spans: [(tokens: Double, perStep: Double)] = []
        if let growth {
            var start = 0
            for (size, end) in zip(growth.smallest..<growth.largest, growth.thresholds) {
                spans.append((Double(end - start), Double(size) * length))
                start = end
            }
        }
        self.spans = spans + [(.infinity, Double(size) * length)]
    }

    func steps(forTokens tokens: Double) -> Double {
        var (left, steps) = (tokens, 0.0)
        for span in spans where left > 0 {
            let taken = min(left, span.tokens)
            steps += taken / span.perStep
            left -= taken
        }
        return steps
    }

    func tokens(afterSteps steps: Double) -> Double {
        var (left, tokens) = (steps, 0.0)
        for span in spans where left > 0 {
            let taken = min(left * span.perStep, span.tokens)
            tokens += taken
            left -= taken / span.perStep
        }
        return tokens
    }
}
