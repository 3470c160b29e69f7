import CTorch

/// What a language model's loss is made of.
public struct CrossEntropyOptions: Sendable, Hashable {
    /// How the losses of rows become one.
    public enum Reduction: Sendable, Hashable {
        /// Their mean over the rows that count.
        case mean
        /// Their sum.
        case sum
    }

    /// How the losses of rows become one.
    public var reduction: Reduction
    /// The label of rows that do not count.
    public var ignoreIndex: Int
    /// The coefficient of the squared logarithm of the sum of exponentials, added to the loss of each row; the originals
    /// call it `lse_square_scale` and leave it at 0.
    public var zLoss: Double

    /// Creates options.
    ///
    /// - Parameters:
    ///   - reduction: How the losses of rows become one.
    ///   - ignoreIndex: The label of rows that do not count.
    ///   - zLoss: The coefficient of the squared logarithm of the sum of exponentials.
    public init(reduction: Reduction = .mean, ignoreIndex: Int = -100, zLoss: Double = 0) {
        self.reduction = reduction
        self.ignoreIndex = ignoreIndex
        self.zLoss = zLoss
    }
}

extension Tensor {
    /// Rows held at a time by ``linearCrossEntropy(weight:bias:labels:options:)``: enough to spread the cost of adding to
    /// the weight's gradient over a product; 116 MB of bfloat16 for the suite's vocabulary.
    package static let crossEntropyChunkRows = 1152

    /// The cross-entropy of `self · weightᵀ + bias` against labels, without ever holding all logits.
    ///
    /// Rows that do not count are dropped before any product. Products are in the type of this tensor, to which weights
    /// of another are converted; softmax and losses are float32. Gradients are taken together with the loss, so that
    /// ``backward()`` only scales them.
    ///
    /// - Parameters:
    ///   - weight: `[classes, width]`.
    ///   - bias: `[classes]`, or nil.
    ///   - labels: int64, `[rows]`, on the device of this tensor.
    ///   - options: Reduction, ignored label and z-loss.
    /// - Returns: The scalar loss, 0 when no row counts, and the losses of all rows, `[rows]`, without gradient and 0
    ///   where ignored. Both float32.
    /// - Complexity: O(rows · classes · width) time, O(chunk · classes) memory.
    ///
    /// > Source: Liger kernel, arXiv 2410.10989, section 3.2.
    public func linearCrossEntropy(
        weight: Tensor,
        bias: Tensor? = nil,
        labels: Tensor,
        options: CrossEntropyOptions = CrossEntropyOptions()
    ) -> (loss: Tensor, rowLosses: Tensor) {
        linearCrossEntropy(weight: weight, bias: bias, labels: labels, options: options, isComposed: false)
    }

    /// As the public method, with the rows of a chunk given, and perhaps of libtorch's operators alone.
    package func linearCrossEntropy(
        weight: Tensor,
        bias: Tensor?,
        labels: Tensor,
        options: CrossEntropyOptions,
        chunkRows: Int = crossEntropyChunkRows,
        isComposed: Bool
    ) -> (loss: Tensor, rowLosses: Tensor) {
        var loss: OpaquePointer?
        var rowLosses: OpaquePointer?
        let status = ct_loss_linear_cross_entropy(
            handle,
            weight.handle,
            bias?.handle,
            labels.handle,
            Int64(options.ignoreIndex),
            options.zLoss,
            options.reduction == .mean,
            false,
            Int64(chunkRows),
            isComposed,
            &loss,
            &rowLosses,
            nil,
            nil
        )
        guard succeeded(status, "linearCrossEntropy", [self, weight, labels]), let loss, let rowLosses else {
            return (.empty, .empty)
        }
        return (Tensor(owning: loss), Tensor(owning: rowLosses))
    }

    /// The cross-entropy with what is known of the predicted distributions, as supervised fine-tuning logs it.
    ///
    /// - Parameters:
    ///   - weight: `[classes, width]`.
    ///   - bias: `[classes]`, or nil.
    ///   - labels: int64, `[rows]`, on the device of this tensor.
    ///   - weighsByProbability: Whether the loss and the gradients of a row are multiplied with the probability of its
    ///     label, which counts as a constant.
    ///   - isComposed: Whether libtorch's operators alone compute it.
    /// - Returns: The sum of the losses of rows, and for each row the entropy of its distribution and whether its label
    ///   is the most probable, 1 or 0; these have no gradient.
    ///
    /// > Source: arXiv 2508.05629 (DFT).
    package func linearCrossEntropyWithStatistics(
        weight: Tensor,
        bias: Tensor?,
        labels: Tensor,
        weighsByProbability: Bool,
        isComposed: Bool = false
    ) -> (loss: Tensor, entropies: Tensor, hits: Tensor) {
        var (loss, rowLosses, entropies, hits): (OpaquePointer?, OpaquePointer?, OpaquePointer?, OpaquePointer?)
        let options = CrossEntropyOptions(reduction: .sum)
        let status = ct_loss_linear_cross_entropy(
            handle,
            weight.handle,
            bias?.handle,
            labels.handle,
            Int64(options.ignoreIndex),
            options.zLoss,
            options.reduction == .mean,
            weighsByProbability,
            Int64(Self.crossEntropyChunkRows),
            isComposed,
            &loss,
            &rowLosses,
            &entropies,
            &hits
        )
        guard succeeded(status, "linearCrossEntropy", [self, weight, labels]), let loss, let rowLosses, let entropies,
            let hits
        else { return (.empty, .empty, .empty) }
        _ = Tensor(owning: rowLosses)
        return (Tensor(owning: loss), Tensor(owning: entropies), Tensor(owning: hits))
    }
}
