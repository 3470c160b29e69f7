public import Torch

/// Adds up what the ranks of a job found in their parts of a batch.
///
/// It is called once a step, between the last microbatch and the norms of the gradients, and leaves the gradients of the
/// whole batch in place of those of this rank. A rank whose loss is not finite, or throws, does not come to it: who waits
/// for all ranks must learn of that in another way.
///
/// - Parameters:
///   - loss: The loss of this rank's microbatches.
///   - parameters: The parameters whose gradients are to be added up, in the order of the optimizer; those without one
///     took no part in this rank's microbatches.
/// - Returns: The loss of the batch.
public typealias GradientReduction = (_ loss: Double, _ parameters: [Tensor]) throws -> Double

/// One optimizer step over the microbatches of a batch: losses, gradients, clipping, update.
///
/// Nothing changes when a loss or gradient is NaN or infinite, or memory runs out before the update: parameters and
/// moments are those of the step before, and can be saved.
public final class TrainingStep {
    /// What a step found.
    public struct Result: Hashable, Sendable {
        /// The loss of the batch, before the update.
        public let loss: Double
        /// The sum of the magnitudes of all gradients, before clipping.
        public let gradientNorm1: Double
        /// The Euclidean norm of all gradients, before clipping.
        public let gradientNorm2: Double
    }

    /// What updates the parameters.
    public let optimizer: any Optimizer
    /// The largest Euclidean norm of the gradients, to which longer ones are scaled; nil for no limit.
    public let clippingNorm: Double?
    private let reduction: GradientReduction?

    /// Creates a step.
    ///
    /// - Parameters:
    ///   - optimizer: What updates the parameters.
    ///   - clippingNorm: The largest Euclidean norm of the gradients.
    ///   - reduction: Adds up over the ranks of a job; nil for a process of its own.
    public init(
        optimizer: any Optimizer,
        clippingNorm: Double? = nil,
        reduction: GradientReduction? = nil
    ) {
        self.optimizer = optimizer
        self.clippingNorm = clippingNorm
        self.reduction = reduction
    }

    /// Takes a step.
    ///
    /// - Parameters:
    ///   - count: The number of microbatches.
    ///   - learningRate: The rate of this step.
    ///   - loss: The share of a microbatch in the loss of the batch: a scalar whose sum over the microbatches is the loss.
    /// - Returns: What the step found.
    /// - Throws: `TrainingError` of kind `diverged` when a loss or a gradient is not finite; `TorchError` when memory or
    ///   the device fails; what `loss` and the reduction throw.
    public func run(
        microbatches count: Int,
        learningRate: Double,
        loss: (_ microbatch: Int) throws -> Tensor
    ) throws -> Result {
        try run(microbatches: count, learningRate: learningRate) { microbatch in
            try loss(microbatch).backwardValue()
        }
    }

    /// Takes a step with gradients that the caller adds up.
    ///
    /// - Parameters:
    ///   - count: The number of microbatches.
    ///   - learningRate: The rate of this step.
    ///   - backward: Adds the gradients of a microbatch to those of the parameters and returns its share in the loss.
    /// - Returns: What the step found.
    /// - Throws: `TrainingError` of kind `diverged` when a loss or a gradient is not finite; `TorchError` when memory or
    ///   the device fails; what `backward` and the reduction throw.
    public func run(
        microbatches count: Int,
        learningRate: Double,
        backward: (_ microbatch: Int) throws -> Double
    ) throws -> Result {
        optimizer.clearGradients()
        defer { optimizer.clearGradients() }
        // A scope of its own: what failed in it is thrown before anything is updated.
        let (total, norms) = try withRecovery {
            var total = 0.0
            for microbatch in 0..<count {
                let value = try backward(microbatch)
                guard value.isFinite else {
                    throw TrainingError(
                        .diverged,
                        "loss",
                        found: "is \(value) in microbatch \(microbatch) of \(count), "
                            + "at a learning rate of \(learningRate)",
                        expected: "a number; a lower lr or gradient_clipping may help"
                    )
                }
                total += value
            }
            if let reduction { total = try reduction(total, optimizer.parameters) }
            let norms = optimizer.gradientNorms()
            guard norms.l2.isFinite else {
                throw TrainingError(
                    .diverged,
                    "gradients",
                    found: "have a norm of \(norms.l2) at a loss of \(total) and a learning rate of \(learningRate)",
                    expected: "numbers; a lower lr or precision: fp32 may help"
                )
            }
            return (total, norms)
        }
        try withRecovery {
            if let clippingNorm, norms.l2 > clippingNorm {
                // As torch's clip_grad_norm_, whose denominator is never zero.
                optimizer.scaleGradients(by: clippingNorm / (norms.l2 + 1e-6))
            }
            optimizer.learningRate = learningRate
            optimizer.step()
        }
        return Result(loss: total, gradientNorm1: norms.l1, gradientNorm2: norms.l2)
    }
}

extension Tensor {
    /// Adds the gradients of a scalar to those of the parameters, unless it is NaN or infinite.
    ///
    /// - Returns: The scalar.
    /// - Throws: `TorchError` when memory or the device fails.
    func backwardValue() throws -> Double {
        let value = try scalar()
        if value.isFinite { backward() }
        return value
    }
}
