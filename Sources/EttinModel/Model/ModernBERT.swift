// ModernBERT, encoder and decoder in one: the pair differs in the attention window of its layers, which the
// configuration gives, and in nothing else here. The three projections of attention are always one matrix; checkpoint
// files of decoders store them apart.
//
// Shape suffixes: T packed tokens, D hidden, H heads, K head width, I intermediate.
public import Torch

/// The transformer without a head: token ids in, hidden states out.
public final class ModernBERT: Module, PretrainedModel {
    @Child("embeddings") var embeddings: ModernBERTEmbeddings
    @Child("layers") var layers: [ModernBERTLayer]
    @Child("final_norm") var finalNorm: LayerNorm

    /// Files of a trunk have no prefix before its keys.
    public static let headNaming = HeadNaming.none

    /// The Python class that reads the model's checkpoints.
    public static func architecture(of kind: ModelKind) -> String? {
        kind == .encoder ? "ModernBertModel" : "ModernBertDecoderModel"
    }

    /// The model itself.
    public var trunk: ModernBERT { self }

    /// What the model was built from.
    public let configuration: ModernBERTConfiguration
    let windowRule: WindowRule
    /// The same trunk with its weights packed, which inference takes where it is there.
    private(set) var fused: FusedTrunk?
    /// The adapters in training, which the model is saved as.
    package var lora: AttachedLoRA?
    /// Whether the number of tokens is not that of the checkpoint that the model comes from.
    var hasNewVocabulary = false

    /// The dtype of the parameters.
    package var parameterDType: DType { embeddings.tokens.weight.dtype }

    /// The device of the parameters.
    var device: Device { embeddings.tokens.weight.device }

    /// The dtype of queries, keys and values.
    var activationDType: DType { fused?.activationDType ?? parameterDType }

    /// Creates a model with uninitialised parameters, to be loaded or initialised.
    ///
    /// - Parameters:
    ///   - configuration: A validated configuration.
    ///   - windowRule: How wide a decoder's local window is.
    public init(_ configuration: ModernBERTConfiguration, windowRule: WindowRule = .transformers) {
        self.configuration = configuration
        self.windowRule = windowRule
        super.init()
        embeddings = ModernBERTEmbeddings(configuration)
        layers = (0..<configuration.layerCount).map { ModernBERTLayer(configuration, index: $0) }
        finalNorm = configuration.layerNorm()
    }

    /// The final-normed hidden states of every token.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids, none with more positions than the model serves.
    ///   - attendedTokens: How many tokens of each sequence, from its first, are attended to, at least 1; nil for all. The
    ///     others attend to these, and nobody to them.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: `[tokens, hiddenSize]` on the device of the parameters, in their dtype or the narrower one of a mixed
    ///   precision.
    public func callAsFunction(
        _ batch: PackedBatch,
        attendedTokens: [Int32]? = nil,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        hiddenStates(
            batch,
            attendedTokens: attendedTokens,
            training: training,
            precision: precision,
            keepingAll: false
        )[0]
    }

    /// The embedding output, the outputs of all layers but the last, and the final-normed output: what transformers
    /// calls `output_hidden_states`.
    public func allHiddenStates(_ batch: PackedBatch) -> [Tensor] {
        hiddenStates(batch, training: nil, precision: .full, keepingAll: true)
    }

    /// The final-normed hidden states of new tokens that follow cached ones.
    ///
    /// When memory or device fails, the sequences of the batch leave the cache; others stay as they are.
    ///
    /// - Parameters:
    ///   - batch: Sequences of the cache with any number of new tokens each: prompts beside single tokens.
    ///   - cache: A cache for this model, to which the keys and values of the new tokens are added.
    /// - Returns: `[tokens, hiddenSize]`, in the order of the batch.
    /// - Throws: ``KVCacheError`` for sequences that the cache does not have or that would have too many tokens, before
    ///   anything is computed.
    public func callAsFunction(_ batch: CachedBatch, cache: KVCache) throws -> Tensor {
        let pass = try cache.begin(batch)
        guard pass.tokens.tokenCount > 0 else {
            return .uninitialized([0, configuration.hiddenSize], parameterDType, on: device)
        }
        let states = hiddenStates(pass.tokens, startingAt: pass.starts, training: nil, keepingAll: false) {
            cache.attend($1, rotary: $2, layer: $0, in: pass)
        }
        cache.finish(pass, succeeded: states[0].size(0) == pass.tokens.tokenCount)
        return pass.inOrderOfBatch(states[0])
    }

    /// Prepacks the weights for inference on the CPU and gives up those of the layers.
    ///
    /// From then on the model neither trains nor is saved. Hidden states keep the dtype of the embeddings, which are
    /// not packed, and neither are the norms. What adapters add is packed with the weights.
    ///
    /// - Parameter precision: The precision of the products.
    package func prepackWeights(_ precision: ComputeDType) {
        fused = FusedTrunk(self, precision: precision)
        layers = []
        // The weights just given up are not of a size that a forward pass asks for.
        TorchRuntime.releaseKeptMemory()
    }

    /// Computes with weights that are prepacked for as long, and gives them up afterwards.
    ///
    /// - Parameters:
    ///   - precision: The precision of the products.
    ///   - longestSequence: The number of positions that are needed.
    ///   - body: What computes hidden states, without a dropout context.
    /// - Returns: What `body` returns.
    package func withPrepackedWeights<Result>(
        _ precision: ComputeDType,
        longestSequence: Int,
        _ body: () throws -> Result
    ) rethrows -> Result {
        guard fused == nil else { return try body() }
        fused = FusedTrunk(self, precision: precision, tabledPositions: longestSequence)
        defer { fused = nil }
        return try body()
    }

    private func hiddenStates(
        _ batch: PackedBatch,
        attendedTokens: [Int32]? = nil,
        training: DropoutContext?,
        precision: Precision,
        keepingAll: Bool
    ) -> [Tensor] {
        let starts = [Int](repeating: 0, count: batch.sequenceCount)
        let dropout = training == nil ? 0 : configuration.attentionDropout
        let lengths = SequenceLengths(cuSeqlens: batch.cuSeqlens, attendedKeys: attendedTokens, on: device)
        return hiddenStates(
            batch,
            startingAt: starts,
            training: training,
            precision: precision,
            keepingAll: keepingAll
        ) {
            guard dropout > 0, let training, training.isSlice else {
                return self.attend($0, $1, $2, lengths, dropout: dropout)
            }
            return self.attendBySequence($0, $1, $2, batch, attendedTokens, training)
        }
    }

    /// Attention of one layer among the tokens of a batch.
    private func attend(
        _ layer: Int,
        _ projectionsT3HK: Tensor,
        _ rotary: RotaryTable,
        _ lengths: SequenceLengths,
        dropout: Double
    ) -> Tensor {
        let window = configuration.window(layer: layer, rule: windowRule)
        return .variableLengthAttention(
            projections: projectionsT3HK,
            lengths: lengths,
            window: AttentionWindow(left: window.left, right: window.right),
            rotation: rotary.rotation,
            dropout: dropout
        )
    }

    /// Attention of one layer with dropout, each sequence by a seed of its own.
    private func attendBySequence(
        _ layer: Int,
        _ projectionsT3HK: Tensor,
        _ rotary: RotaryTable,
        _ batch: PackedBatch,
        _ attendedTokens: [Int32]?,
        _ training: DropoutContext
    ) -> Tensor {
        let stream = Philox(seed: training.seed, stream: UInt64(training.step) << 16 | UInt64(layer))
        let parts = (0..<batch.sequenceCount).map { sequence in
            let rows = batch.range(of: sequence)
            let words = stream.words(atBlock: UInt64(training.precedingSequences + sequence))
            TorchRuntime.seed(UInt64(words.x) << 32 | UInt64(words.y))
            let attended = attendedTokens.map { [$0[sequence]] }
            return attend(
                layer,
                projectionsT3HK.narrowed(along: 0, from: rows.lowerBound, count: rows.count),
                rotary.rows(rows),
                SequenceLengths(cuSeqlens: [0, Int32(rows.count)], attendedKeys: attended, on: device),
                dropout: configuration.attentionDropout
            )
        }
        return .concatenate(parts)
    }

    /// The trunk, given how each layer's queries, keys and values become mixed values.
    private func hiddenStates(
        _ batch: PackedBatch,
        startingAt starts: [Int],
        training: DropoutContext?,
        precision: Precision = .full,
        keepingAll: Bool,
        mixing: @escaping (_ layer: Int, _ projectionsT3HK: Tensor, _ rotary: RotaryTable) -> Tensor
    ) -> [Tensor] {
        let positions = zip(starts, batch.lengths).flatMap { start, length in start..<start + length }
        if let fused {
            precondition(training == nil, "a model prepacked for inference has given up the weights to train")
            return fused.hiddenStates(batch.inputIDs, positions: positions, keepingAll: keepingAll, mixing: mixing)
        }
        let ids = Tensor(batch.inputIDs).to(.int64, device)
        var kept: [Tensor] = []
        let trainedLayers = training?.recomputesActivations == true ? self.trainedLayers : nil
        let embeddings = self.embeddings
        // Recomputed embeddings add to a tied weight after the output layer has, and not its sum with theirs: another order,
        // which slices may take.
        var xTD =
            trainedLayers == nil || training?.isSlice == false
            ? embeddings(ids, training: training)
            : recomputed(ids, hasTrainedParameters: !embeddings.trainedParameters.isEmpty) {
                embeddings($0, training: training)
            }
        let activationType = precision.activationType(for: xTD.dtype)
        // What the last layer's MLP adds to the residual, which the next norm does in passing.
        var deltaTD: Tensor?
        let positionsT = Tensor(positions.map(Float.init)).to(device)
        var tables: [RotaryParameters: RotaryTable] = [:]
        for (index, layer) in layers.enumerated() {
            if keepingAll { kept.append(deltaTD.map { xTD + $0 } ?? xTD) }
            let rope = configuration.rope(layer: index)
            let table =
                tables[rope]
                ?? RotaryTable(rope, width: configuration.headDimensions, positions: positionsT, dtype: xTD.dtype)
            tables[rope] = table
            let body = { (xTD: Tensor, deltaTD: Tensor?) -> (residual: Tensor, delta: Tensor) in
                let (residualTD, normedTD) = layer.attentionInput(xTD, adding: deltaTD, activationType)
                return layer(residualTD, normed: normedTD, training: training) { mixing(index, $0, table) }
            }
            if let trainedLayers {
                // One tensor is kept between layers, as their sum is, in place of both.
                xTD = recomputed(xTD, hasTrainedParameters: trainedLayers.contains(index)) { xTD in
                    let (residualTD, deltaTD) = body(xTD, nil)
                    return residualTD + deltaTD
                }
            } else {
                (xTD, deltaTD) = body(xTD, deltaTD)
            }
        }
        return kept + [deltaTD.map { finalNorm(adding: $0, to: xTD).normed } ?? finalNorm(of: xTD, as: activationType)]
    }

    /// The layers that gradients of some parameter are recorded for.
    private var trainedLayers: Set<Int> {
        let prefix = "layers."
        var trained: Set<Int> = []
        for (key, reference) in parameterReferences where key.hasPrefix(prefix) && reference.tensor.requiresGradient {
            if let index = Int(key.dropFirst(prefix.count).prefix { $0 != "." }) { trained.insert(index) }
        }
        return trained
    }
}

// MARK: -

/// Token embeddings, normalised; there are no positions and no token types.
final class ModernBERTEmbeddings: Module {
    @Child("tok_embeddings") var tokens: Embedding
    @Child("norm") var norm: LayerNorm
    private let dropout: Double

    init(_ configuration: ModernBERTConfiguration) {
        dropout = configuration.embeddingDropout
        super.init()
        tokens = Embedding(configuration.vocabularySize, configuration.hiddenSize, paddingID: configuration.padTokenID)
        norm = configuration.layerNorm()
    }

    func callAsFunction(_ ids: Tensor, training: DropoutContext?) -> Tensor {
        norm(tokens(ids, training: training)).dropout(dropout, training, place: DropoutPlace.embeddings)
    }
}

// MARK: -

/// Pre-norm attention and gated MLP, each with a residual.
///
/// The first layer has no attention norm: its input is already the embedding norm's output.
final class ModernBERTLayer: Module {
    @Child("attn_norm") var attentionNorm: LayerNorm?
    @Child("attn") var attention: ModernBERTAttention
    @Child("mlp_norm") var mlpNorm: LayerNorm
    @Child("mlp") var mlp: ModernBERTMLP

    init(_ configuration: ModernBERTConfiguration, index: Int) {
        super.init()
        attentionNorm = index == 0 ? nil : configuration.layerNorm()
        attention = ModernBERTAttention(configuration, index: index)
        mlpNorm = configuration.layerNorm()
        mlp = ModernBERTMLP(configuration, index: index)
    }

    /// Adds what the layer before left to be added to the residual.
    ///
    /// - Returns: The residual in its own type, and what attention reads, in the type of activations.
    func attentionInput(
        _ xTD: Tensor,
        adding deltaTD: Tensor?,
        _ activationType: DType
    ) -> (sum: Tensor, normed: Tensor) {
        if let deltaTD, let attentionNorm { return attentionNorm(adding: deltaTD, to: xTD) }
        let residualTD = deltaTD.map { xTD + $0 } ?? xTD
        let normedTD = attentionNorm.map { $0(of: residualTD, as: activationType) } ?? residualTD.to(activationType)
        return (residualTD, normedTD)
    }

    /// - Returns: The residual after attention, and what the MLP adds to it.
    func callAsFunction(
        _ xTD: Tensor,
        normed normedTD: Tensor,
        training: DropoutContext?,
        mixing: (_ projectionsT3HK: Tensor) -> Tensor
    ) -> (residual: Tensor, delta: Tensor) {
        let attendedTD = attention(normedTD, training: training, mixing: mixing)
        let (residualTD, mlpInputTD) = mlpNorm(adding: attendedTD, to: xTD)
        guard let training, training.recomputesActivations, training.isSlice else {
            return (residualTD, mlp(mlpInputTD, training: training))
        }
        return (residualTD, mlp.inParts(mlpInputTD, training: training))
    }
}

// MARK: -

/// Multi-head attention; how queries and keys are turned, and which of them meet, is up to `mixing`.
final class ModernBERTAttention: Module {
    @Child("Wqkv") var projections: Linear
    @Child("Wo") var output: Linear
    private let heads: Int
    private let dropout: Double
    private let place: Int

    init(_ configuration: ModernBERTConfiguration, index: Int) {
        heads = configuration.attentionHeads
        dropout = configuration.attentionOutputDropout ?? configuration.attentionDropout
        place = DropoutPlace.attentionOutput(layer: index)
        super.init()
        let width = configuration.hiddenSize
        projections = Linear(width, 3 * width, hasBias: configuration.attentionBias)
        output = Linear(width, width, hasBias: configuration.attentionBias)
    }

    func callAsFunction(
        _ xTD: Tensor,
        training: DropoutContext?,
        mixing: (_ projectionsT3HK: Tensor) -> Tensor
    ) -> Tensor {
        let (tokens, width) = (xTD.size(0), xTD.size(1))
        let mixedTHK = mixing(projections(xTD, training: training).reshaped(tokens, 3, heads, width / heads))
        return output(mixedTHK.reshaped(tokens, width), training: training).dropout(dropout, training, place: place)
    }
}

// MARK: -

/// The gated MLP: the first half of `Wi` is activated, the second half is the gate.
final class ModernBERTMLP: Module {
    @Child("Wi") var input: Linear
    @Child("Wo") var output: Linear
    private let gate: Activation
    private let dropout: Double
    private let place: Int

    init(_ configuration: ModernBERTConfiguration, index: Int) {
        place = DropoutPlace.mlp(layer: index)
        gate = configuration.hiddenActivation
        dropout = configuration.mlpDropout
        super.init()
        let (hidden, intermediate) = (configuration.hiddenSize, configuration.intermediateSize)
        input = Linear(hidden, 2 * intermediate, hasBias: configuration.mlpBias)
        output = Linear(intermediate, hidden, hasBias: configuration.mlpBias)
    }

    func callAsFunction(_ xTD: Tensor, training: DropoutContext?) -> Tensor {
        let gatedTI = input(xTD, training: training).gated(by: gate).dropout(dropout, training, place: place)
        return output(gatedTI, training: training)
    }

    /// The same, part by part, so that the activations of one part at a time are in memory for its gradients.
    ///
    /// The gradients of weights are then summed in another order.
    func inParts(_ xTD: Tensor, training: DropoutContext) -> Tensor {
        let tokens = xTD.size(0)
        guard tokens > Self.partTokens else { return self(xTD, training: training) }
        let isTrained = !trainedParameters.isEmpty
        return .concatenate(
            stride(from: 0, to: tokens, by: Self.partTokens).map { start in
                let count = min(Self.partTokens, tokens - start)
                return recomputed(
                    xTD.narrowed(along: 0, from: start, count: count),
                    hasTrainedParameters: isTrained
                ) { self($0, training: training.advanced(byTokens: start)) }
            }
        )
    }

    /// Tokens whose activations of an MLP take less than those of attention for a batch of many texts.
    private static let partTokens = 1024
}

/// The numbers of the places where activations are dropped, which masks depend on.
enum DropoutPlace {
    static let embeddings = 0
    static let head = 1
    static func attentionOutput(layer: Int) -> Int { 2 * layer + 2 }
    static func mlp(layer: Int) -> Int { 2 * layer + 3 }
    /// A Dropout module, far above any layer's places.
    static func module(_ index: Int) -> Int { 1 << 15 + index % (1 << 15) }
}

extension ModernBERTConfiguration {
    /// A layer norm over the hidden size.
    func layerNorm() -> LayerNorm { LayerNorm(hiddenSize, epsilon: normEpsilon, hasBias: normBias) }
}
