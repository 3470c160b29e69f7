import CTorch

/// What dropout in one forward pass of training is a function of.
///
/// Dropout masks depend on the seed, the step, the place in the model and the index of the element within the step, not on
/// a generator's state: a resumed run draws the same masks, and so do microbatches of any size.
public struct DropoutContext: Sendable, Hashable {
    /// Random seed of all masks.
    public let seed: UInt64
    /// The training step, from 0.
    public let step: Int
    /// The number of tokens in the earlier microbatches of the step.
    public let precedingTokens: Int
    /// The number of sequences in the earlier microbatches of the step.
    public let precedingSequences: Int
    /// Whether layers keep only their inputs and are recomputed in the backward pass (gradient checkpointing).
    public let recomputesActivations: Bool
    /// Whether the pass is one of many slices of a step, which are not to depend on where it was cut: attention then draws
    /// what it drops for each sequence alone, and the gradients of weights are added in place, which spares each slice
    /// gradients as large as the model.
    package var isSlice = false

    /// Creates a context.
    ///
    /// - Parameters:
    ///   - seed: Random seed of all masks.
    ///   - step: The number of the step.
    ///   - precedingTokens: The number of tokens in the earlier microbatches of the step.
    ///   - precedingSequences: The number of sequences in them.
    ///   - recomputesActivations: Whether layers keep only their inputs and are recomputed in the backward pass.
    public init(
        seed: UInt64 = 0,
        step: Int = 0,
        precedingTokens: Int = 0,
        precedingSequences: Int = 0,
        recomputesActivations: Bool = false
    ) {
        self.seed = seed
        self.step = step
        self.precedingTokens = precedingTokens
        self.precedingSequences = precedingSequences
        self.recomputesActivations = recomputesActivations
    }

    /// The context of later rows of the same pass.
    ///
    /// - Parameter tokens: The rows before them.
    /// - Returns: A context whose masks are those that the whole pass has for these rows.
    package func advanced(byTokens tokens: Int) -> DropoutContext {
        var context = DropoutContext(
            seed: seed,
            step: step,
            precedingTokens: precedingTokens + tokens,
            precedingSequences: precedingSequences,
            recomputesActivations: recomputesActivations
        )
        context.isSlice = isSlice
        return context
    }
}

extension Tensor {
    /// Dropout: zeroes elements with probability `p` and scales the others by `1 / (1 − p)`.
    ///
    /// - Parameters:
    ///   - probability: A multiple of 2⁻¹⁶, to which others are rounded; 0 changes nothing.
    ///   - pass: The dropout context; nil changes nothing.
    ///   - place: The number of the dropout layer in the model.
    /// - Returns: The same shape and type, rows being tokens.
    public func dropout(_ probability: Double, _ pass: DropoutContext?, place: Int) -> Tensor {
        dropout(probability, pass, place: place, precedingRows: pass?.precedingTokens ?? 0)
    }

    /// As ``dropout(_:_:place:)`` for rows that are sequences.
    ///
    /// - Parameters:
    ///   - probability: A multiple of 2⁻¹⁶, to which others are rounded; 0 changes nothing.
    ///   - pass: The dropout context; nil changes nothing.
    ///   - place: The number of the dropout layer in the model.
    /// - Returns: The same shape and type.
    package func dropout(ofSequences probability: Double, _ pass: DropoutContext?, place: Int) -> Tensor {
        dropout(probability, pass, place: place, precedingRows: pass?.precedingSequences ?? 0)
    }

    private func dropout(_ probability: Double, _ pass: DropoutContext?, place: Int, precedingRows: Int) -> Tensor {
        guard probability > 0, let pass else { return self }
        precondition((0..<1 << 16).contains(place) && (0..<1 << 47).contains(pass.step), "no stream for the mask")
        let rowSize = Swift.max(1, elementCount / Swift.max(1, size(0)))
        return makeTensor("dropout", [self]) {
            ct_training_dropout(
                handle,
                probability,
                pass.seed,
                UInt64(pass.step) << 16 | UInt64(place),
                Int64(precedingRows * rowSize),
                $0
            )
        }
    }
}

/// Computes two tensors from one or two without keeping intermediate activations (gradient checkpointing).
///
/// `body` runs twice: now, and again in the backward pass. It must compute the same both times. Gradients of the parameters
/// it uses accumulate as usual. A failure in the second run is thrown by the recovery scope around ``Tensor/backward()``.
///
/// - Parameters:
///   - first: The first input.
///   - second: The second, if there is one.
///   - hasTrainedParameters: Whether `body` uses parameters that require gradients. They get them even where neither
///     input requires any, as in the first layer of a model whose embeddings are frozen; without them, and without such
///     an input, nothing is recorded.
///   - body: Computes the outputs.
/// - Returns: The outputs.
public func recomputed(
    _ first: Tensor,
    _ second: Tensor?,
    hasTrainedParameters: Bool = true,
    _ body: @escaping (_ first: Tensor, _ second: Tensor?) -> (Tensor, Tensor)
) -> (Tensor, Tensor) {
    let part = RecomputedPart { first, second in body(first, second) }
    guard let outputs = recomputed(first, second, hasTrainedParameters, part), let two = outputs.1 else {
        return (.empty, .empty)
    }
    return (outputs.0, two)
}

/// As ``recomputed(_:_:hasTrainedParameters:_:)``, of one tensor.
package func recomputed(
    _ input: Tensor,
    hasTrainedParameters: Bool,
    _ body: @escaping (Tensor) -> Tensor
) -> Tensor {
    recomputed(input, nil, hasTrainedParameters, RecomputedPart { first, _ in (body(first), nil) })?.0 ?? .empty
}

private func recomputed(
    _ first: Tensor,
    _ second: Tensor?,
    _ hasTrainedParameters: Bool,
    _ part: RecomputedPart
) -> (Tensor, Tensor?)? {
    let context = Unmanaged.passRetained(part).toOpaque()
    var (one, two): (OpaquePointer?, OpaquePointer?) = (nil, nil)
    let status = ct_autograd_recomputed(
        first.handle,
        second?.handle,
        hasTrainedParameters,
        { context, first, second, one, two in
            guard let context, let first else { return CT_USAGE }
            let part = Unmanaged<RecomputedPart>.fromOpaque(context).takeUnretainedValue()
            return part.run(first, second, one, two)
        },
        { context in
            if let context { Unmanaged<RecomputedPart>.fromOpaque(context).release() }
        },
        context,
        &one,
        &two
    )
    guard succeeded(status, "recomputed", [first]), let one else { return nil }
    return (Tensor(owning: one), two.map(Tensor.init(owning:)))
}

private final class RecomputedPart {
    private let body: (Tensor, Tensor?) -> (Tensor, Tensor?)

    init(_ body: @escaping (Tensor, Tensor?) -> (Tensor, Tensor?)) { self.body = body }

    /// Gives new handles; the inputs are borrowed, and copied because tensors own theirs.
    func run(
        _ first: OpaquePointer,
        _ second: OpaquePointer?,
        _ one: UnsafeMutablePointer<OpaquePointer?>?,
        _ two: UnsafeMutablePointer<OpaquePointer?>?
    ) -> CTStatus {
        let results = body(
            makeTensor("recomputed") { ct_tensor_alias(first, $0) },
            second.map { second in makeTensor("recomputed") { ct_tensor_alias(second, $0) } }
        )
        guard let firstResult = results.0.handle, let one, let two else { return CT_SKIPPED }
        let status = ct_tensor_alias(firstResult, one)
        guard status == CT_OK, let second = results.1 else { return status }
        guard let secondResult = second.handle else { return CT_SKIPPED }
        return ct_tensor_alias(secondResult, two)
    }
}
