/// A small trainable module that adds to the output of a frozen ``Linear`` layer.
///
/// A kind of adapter is a ``Module`` with parameters of its own; ``LowRankAdapter`` is the first. Once it is attached with
/// ``Linear/attach(_:as:rows:)``, its parameters are part of the tree of the model, below the key of the layer:
///
/// ```swift
/// for (key, module) in model.modules() {
///     guard let layer = module as? Linear, key.hasSuffix("mlp.Wi") else { continue }
///     layer.attach(LowRankAdapter(layer.inputSize, layer.outputSize, rank: 8, scale: 2), as: "lora")
/// }
/// model.setRequiresGradient(false)
/// model.setRequiresGradient(true) { $0.contains(".lora.") }
/// ```
public protocol Adapter: Module {
    /// The width of the input.
    var inputSize: Int { get }

    /// The width of what is added.
    var outputSize: Int { get }

    /// What is added to the output of the layer.
    ///
    /// - Parameters:
    ///   - input: The input of the layer, `[…, inputSize]`.
    ///   - training: The dropout context of a training pass; nil for inference.
    /// - Returns: `[…, outputSize]`, in the type of the input.
    func callAsFunction(_ input: Tensor, training: DropoutContext?) -> Tensor

    /// The change of the layer's weight that has the same effect, without dropout.
    ///
    /// - Returns: `[outputSize, inputSize]`.
    func weightChange() -> Tensor

    /// The output of the layer with what the adapter does to it.
    ///
    /// - Parameters:
    ///   - output: What the layer gives without the adapter, `[…, outputSize]`.
    ///   - input: The input of the layer, `[…, inputSize]`.
    ///   - rows: The rows of the layer that the adapter is attached to.
    ///   - training: The dropout context of a training pass; nil for inference.
    /// - Returns: `[…, outputSize]`, in the type of the output.
    func adapting(_ output: Tensor, of input: Tensor, rows: AdaptedRows, training: DropoutContext?) -> Tensor

    /// The rows of the layer's weight with what the adapter does to them, without dropout.
    ///
    /// - Parameter weight: `[outputSize, inputSize]`.
    /// - Returns: `[outputSize, inputSize]`, in the type of the weight.
    func adapting(weight: Tensor) -> Tensor
}

/// The rows of a layer that an adapter is attached to.
public struct AdaptedRows {
    private let layer: Linear
    private let rows: Range<Int>

    fileprivate init(_ layer: Linear, _ rows: Range<Int>) { (self.layer, self.rows) = (layer, rows) }

    /// `[rows, in]`.
    public var weight: Tensor { part(layer.weight) }

    /// `[rows]`; nil for a layer without bias.
    public var bias: Tensor? { layer.bias.map(part) }

    private func part(_ whole: Tensor) -> Tensor {
        rows.count == whole.size(0) ? whole : whole.narrowed(along: 0, from: rows.lowerBound, count: rows.count)
    }
}

// An adapter that only adds to the output.
extension Adapter {
    /// Adds what the adapter gives.
    public func adapting(
        _ output: Tensor,
        of input: Tensor,
        rows: AdaptedRows,
        training: DropoutContext?
    ) -> Tensor {
        output + self(input, training: training)
    }

    /// Adds the change of the weight.
    public func adapting(weight: Tensor) -> Tensor {
        let change = weightChange()
        return (weight.to(change.dtype) + change.to(weight.device)).to(weight.dtype)
    }
}

/// The adapters of a layer, on ranges of its output rows that do not meet.
struct AttachedAdapters: ModuleContainer {
    struct Attachment {
        let key: String
        let rows: Range<Int>
        let adapter: any Adapter
    }

    /// By their rows.
    private(set) var list: [Attachment] = []

    var isEmpty: Bool { list.isEmpty }

    mutating func insert(_ attachment: Attachment) {
        list.append(attachment)
        list.sort { $0.rows.lowerBound < $1.rows.lowerBound }
    }

    func modules(under key: String) -> [(key: String, module: Module)] { list.map { ($0.key, $0.adapter) } }
}

extension Linear {
    /// The width of the input.
    public var inputSize: Int { weight.size(1) }

    /// The width of the output.
    public var outputSize: Int { weight.size(0) }

    /// Whether an adapter is attached.
    package var hasAdapters: Bool { !adapters.isEmpty }

    /// Whether the weight has what the adapters add in it.
    package var adaptersAreMerged: Bool { unmergedWeight != nil }

    /// Attaches an adapter to all outputs of the layer or to a range of them.
    ///
    /// Several adapters may be attached to ranges that do not meet, such as those of queries, keys and values in the one
    /// matrix that projects to all three. Whether gradients of its parameters are recorded is for the caller to say.
    ///
    /// - Parameters:
    ///   - adapter: As wide as the layer's input and the rows.
    ///   - key: Where its parameters are below the layer, such as `lora` or `lora.q`.
    ///   - rows: The rows of the weight, which are places of the output; nil for all.
    public func attach(_ adapter: some Adapter, as key: String, rows: Range<Int>? = nil) {
        let rows = rows ?? 0..<outputSize
        requireUsage(!adaptersAreMerged, "an adapter cannot be attached while others are merged")
        requireUsage(
            !rows.isEmpty && rows.lowerBound >= 0 && rows.upperBound <= outputSize,
            "adapter \(key) on rows \(rows) of a layer with \(outputSize)"
        )
        requireUsage(
            adapter.inputSize == inputSize && adapter.outputSize == rows.count,
            "adapter \(key) is \(adapter.inputSize) to \(adapter.outputSize) wide; expected \(inputSize) to \(rows.count)"
        )
        for other in adapters.list {
            requireUsage(
                !other.rows.overlaps(rows),
                "adapter \(key) on rows \(rows), of which \(other.key) has \(other.rows)"
            )
            requireUsage(other.key != key, "there already is an adapter \(key)")
        }
        adapters.insert(AttachedAdapters.Attachment(key: key, rows: rows, adapter: adapter))
    }

    /// The weight with what the adapters add, in its own type; the products are taken in that of the adapters.
    package var adaptedWeight: Tensor {
        guard hasAdapters, !adaptersAreMerged else { return weight }
        return withoutGradients {
            parts(of: weight.detached(), along: 0) { part, attachment in attachment.adapter.adapting(weight: part) }
        }
    }

    /// Adds what the adapters give to the output of the layer.
    func adapted(_ output: Tensor, of input: Tensor, training: DropoutContext?) -> Tensor {
        guard !adaptersAreMerged else {
            requireUsage(training == nil, "a layer with merged adapters cannot be trained; unmerge them first")
            return output
        }
        return parts(of: output, along: output.rank - 1) { part, attachment in
            let rows = AdaptedRows(self, attachment.rows)
            return attachment.adapter.adapting(part, of: input, rows: rows, training: training)
        }
    }

    /// A tensor whose ranges that adapters have are replaced.
    private func parts(
        of whole: Tensor,
        along dimension: Int,
        _ body: (Tensor, AttachedAdapters.Attachment) -> Tensor
    ) -> Tensor {
        var parts: [Tensor] = []
        var end = 0
        func part(to bound: Int) -> Tensor {
            defer { end = bound }
            return bound - end == whole.size(dimension)
                ? whole : whole.narrowed(along: dimension, from: end, count: bound - end)
        }
        for attachment in adapters.list {
            if attachment.rows.lowerBound > end { parts.append(part(to: attachment.rows.lowerBound)) }
            parts.append(body(part(to: attachment.rows.upperBound), attachment))
        }
        if end < outputSize { parts.append(part(to: outputSize)) }
        return parts.count == 1 ? parts[0] : .concatenate(parts, along: dimension)
    }
}

extension Module {
    /// Adds what the adapters of the tree add to the weights themselves, so that they cost nothing in a forward pass.
    ///
    /// For inference and for files: until ``unmergeAdapters()`` the layers cannot be trained, and trap on a training pass.
    /// Without one they compute even while gradients are recorded, but the adapters then get none. The weights as they
    /// were are kept too, so that nothing is lost to rounding. After a failure inside a recovery scope, all layers are as
    /// they were.
    public final func mergeAdapters() {
        let layers = linearLayers.filter { $0.hasAdapters && !$0.adaptersAreMerged }
        replaceWeights(of: layers, with: layers.map(\.adaptedWeight)) { layer, original in
            layer.weight.setRequiresGradient(original.requiresGradient)
            layer.unmergedWeight = original
        }
    }

    /// Takes merged adapters out of the weights again, which are then, bit for bit, what they were.
    ///
    /// After a failure inside a recovery scope, all layers are as they were.
    public final func unmergeAdapters() {
        let layers = linearLayers.filter(\.adaptersAreMerged)
        let originals = layers.map { $0.unmergedWeight?.to($0.weight.dtype, $0.weight.device) ?? $0.weight }
        replaceWeights(of: layers, with: originals) { layer, _ in layer.unmergedWeight = nil }
    }

    /// Takes the adapters off the layers of the tree; merged ones leave what they added in the weights.
    public final func detachAdapters() {
        for layer in linearLayers {
            layer.adapters = AttachedAdapters()
            layer.unmergedWeight = nil
        }
    }

    /// Whether a layer of the tree has an adapter that is not merged into its weight.
    package final var hasUnmergedAdapters: Bool {
        modules().contains { ($0.module as? Linear).map { $0.hasAdapters && !$0.adaptersAreMerged } ?? false }
    }

    private var linearLayers: [Linear] { modules().compactMap { $0.module as? Linear } }

    /// Puts new weights in the places of those of some layers: in all, or in none when one was not computed.
    private func replaceWeights(
        of layers: [Linear],
        with weights: [Tensor],
        noting: (_ layer: Linear, _ original: Tensor) -> Void
    ) {
        // What a failed recovery scope gives is empty.
        guard zip(layers, weights).allSatisfy({ $0.weight.elementCount == $1.elementCount }) else { return }
        for (layer, weight) in zip(layers, weights) {
            let original = layer.weight
            layer.weight = weight
            noting(layer, original)
        }
    }
}
