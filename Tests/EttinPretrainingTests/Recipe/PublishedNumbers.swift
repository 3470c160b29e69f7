import EttinJSON
import EttinModel
import EttinPretraining
import EttinTraining
import Foundation
import Testing

/// The numbers of the suite's training, by size and phase, against which recipes are checked.
struct PublishedNumbers {
    let size: EttinSize
    let kind: ModelKind
    let phase: SuiteFile.Phase

    private func pick<Value>(_ values: [Value]) -> Value {
        values[EttinSize.allCases.firstIndex(of: size) ?? 0]
    }

    var isLarge: Bool { size == .size1B }
    var peakRate: Double { pick([3e-3, 3e-3, 3e-3, 8e-4, 5e-4, 5e-4]) }
    var learningRate: Double { phase == .pretrain || phase == .extension ? peakRate : peakRate / 2 }
    var weightDecay: Double { pick([3e-4, 3e-4, 3e-4, 1e-5, 1e-5, 5e-5]) }
    var seed: UInt64 { phase == .cross ? 210 : 21 }
    var maxSequenceLength: Int { phase == .pretrain ? 1024 : 7999 }

    var maxDuration: TrainingTime {
        let tokens: Double =
            switch phase {
            case .pretrain: 1.7e12
            case .extension: isLarge ? 83_333_000_000 : 250e9
            case .decay, .cross: isLarge ? 16_666_666_667 : 50e9
            }
        return TrainingTime(tokens, .token)
    }

    var objective: PretrainingObjective {
        guard kind == .encoder else { return .causal }
        return .masked(probability: phase == .pretrain || phase == .extension ? 0.3 : 0.15)
    }

    var microbatch: Int {
        switch phase {
        case .pretrain: pick([144, 128, 96, 72, 48, 24])
        case .extension: pick([24, 24, 18, 16, 6, 2])
        case .decay: pick([12, 12, 8, 12, 2, 2])
        case .cross: pick([12, 12, 8, 12, 4, 2])
        }
    }

    var evalMicrobatch: Int { size == .size150M && phase == .pretrain ? 48 : microbatch }

    var growthTokens: Double {
        switch phase {
        case .pretrain: pick([125e9, 100e9, 75e9, 50e9, 10e9, 3e9])
        case .cross: 10e9
        case .extension, .decay: 0
        }
    }

    var saveInterval: Double {
        phase == .cross ? (isLarge ? 3_333_333_333 : 10e9) : 8.5e9
    }

    var ropeBases: (global: Double, local: Double) {
        switch (phase, kind) {
        case (.pretrain, _): (10_000, 10_000)
        case (.extension, _): (160_000, size == .size17M ? 10_000 : 160_000)
        case (.decay, .decoder): (160_000, size == .size150M || size == .size1B ? 160_000 : 10_000)
        case (.decay, .encoder), (.cross, _): (160_000, 160_000)
        }
    }

    var parameterCount: Int {
        pick([16_913_600, 32_081_344, 68_457_664, 149_655_232, 395_881_664, 1_031_314_112])
    }

    /// The learning rate at 0, 25, 50, 75 and 100 %, worked out by hand from the formulas.
    var rates: [Double] {
        switch phase {
        case .pretrain: [1e-10 * peakRate, peakRate, peakRate, peakRate, 0.02 * peakRate]
        case .extension: [1, 0.75, 1 - 0.5 * 0.5.squareRoot(), 1 - 0.5 * 0.75.squareRoot(), 0.5].map { $0 * peakRate }
        case .decay:
            [1, 0.52, 1 - 0.96 * 0.5.squareRoot(), 1 - 0.96 * 0.75.squareRoot(), 0.04].map { $0 * peakRate / 2 }
        case .cross:
            // The decay is the last fifth of the run.
            [1e-10, 1, 1, 1, 0.02].map { $0 * peakRate / 2 }
        }
    }

    func check(_ recipe: PretrainingRecipe) throws {
        #expect(recipe.kind == kind)
        #expect(recipe.startKind == (phase == .cross ? (kind == .encoder ? .decoder : .encoder) : kind))
        #expect(EttinSize(shapeOf: recipe.model) == size)
        #expect(recipe.model.parameterCount == parameterCount)
        #expect(recipe.model.globalRope.theta == ropeBases.global)
        #expect(recipe.model.localRope.theta == ropeBases.local)
        #expect(recipe.model.localAttention == 128)
        #expect(recipe.model.layerTypes.last == .fullAttention)
        #expect(recipe.attentionOutputDropout == 0.1)
        #expect(recipe.objective == objective)
        #expect(recipe.seed == seed)
        #expect(recipe.data.shuffleSeed == 21)
        #expect(recipe.data.order == .permutation)
        #expect(recipe.data.maxSequenceLength == maxSequenceLength)
        #expect(recipe.maxDuration == maxDuration)
        #expect(recipe.globalTrainBatchSize == 4608)
        #expect(recipe.globalEvalBatchSize == 1024)
        #expect(recipe.microbatchSize == microbatch)
        #expect(recipe.evalMicrobatchSize == evalMicrobatch)
        #expect(recipe.optimizer.name == .decoupledStableAdamW)
        #expect(recipe.optimizer.learningRate == learningRate)
        #expect(recipe.optimizer.weightDecay == weightDecay)
        #expect(recipe.optimizer.beta1 == 0.9)
        #expect(recipe.optimizer.beta2 == 0.98)
        #expect(recipe.optimizer.epsilon == 1e-6)
        #expect(recipe.optimizer.filtersBiasAndNorm)
        #expect(recipe.checkpoints.saveInterval == TrainingTime(saveInterval, .token))
        #expect(recipe.batchSizeWarmup == nil)
        let isGrowthNoted = recipe.notices.contains { $0.hasPrefix("inert: batch_size_warmup_tokens") }
        #expect(isGrowthNoted == (growthTokens > 0))
        // 615.4 tokens a sequence: the batch of 2.836 M tokens that the published tags tell of.
        let plan = try PretrainingPlan(recipe, tokensPerSequence: 615.4)
        let perStep = 4608 * 615.4
        #expect(plan.steps == Int((maxDuration.value / perStep).rounded(.up)))
        // A quarter of the run is no whole number of tokens.
        for (rate, expected) in zip(plan.rates, rates) {
            #expect(abs(rate.value - expected) <= 1e-10 * peakRate, "\(rate) is not \(expected)")
        }
        #expect(plan.text.split(separator: "\n").allSatisfy { $0.count <= 100 })
        #expect(plan.json["steps"]?.intValue == plan.steps)
    }
}
