public import Torch

/// The transformation between hidden states and an output layer: `norm(activation(dense(x)))`.
final class PredictionHead: Module {
    @Child("dense") var dense: Linear
    @Child("norm") var norm: LayerNorm
    let activation: Activation

    init(_ configuration: ModernBERTConfiguration) {
        activation = configuration.classifierActivation
        super.init()
        dense = Linear(configuration.hiddenSize, configuration.hiddenSize, hasBias: configuration.classifierBias)
        norm = configuration.layerNorm()
    }

    func callAsFunction(_ x: Tensor, training: DropoutContext? = nil) -> Tensor {
        norm(activation(dense(x, training: training)))
    }
}

// MARK: -

/// The output layer of a language model; a tied one has only a bias and uses the embedding matrix.
final class VocabularyProjection: Module {
    @Parameter("weight") var weight: Tensor?
    @Parameter("bias") var bias: Tensor?

    init(_ configuration: ModernBERTConfiguration) {
        super.init()
        let (vocabulary, hidden) = (configuration.vocabularySize, configuration.hiddenSize)
        weight = configuration.tiesWordEmbeddings ? nil : .uninitialized([vocabulary, hidden])
        bias = configuration.decoderBias ? .uninitialized([vocabulary]) : nil
    }

    // In the type of the input, as `Linear`.
    func callAsFunction(_ x: Tensor, tiedTo embedding: Tensor) -> Tensor {
        x.linear((weight ?? embedding).to(x.dtype), bias: bias?.to(x.dtype))
    }
}

// MARK: -

/// A language model: masked for the encoder, causal for the decoder.
///
/// `ModernBertForMaskedLM` and `ModernBertDecoderForCausalLM` of transformers in one: they differ in the window of the
/// trunk and in the checkpoint name of the head (`head` and `lm_head`).
public final class LanguageModel: Module, PretrainedModel {
    /// The trunk.
    @Child("model") package var model: ModernBERT
    @Child("head") var head: PredictionHead
    @Child("decoder") var decoder: VocabularyProjection
    private var fusedHead: FusedHead?

    /// A language-model head, tied to the embeddings unless the configuration says otherwise.
    public static let headNaming = HeadNaming.languageModel

    /// The Python class that reads the model's checkpoints.
    public static func architecture(of kind: ModelKind) -> String? { kind.languageModelArchitecture }

    /// The transformer without the head.
    public var trunk: ModernBERT { model }

    /// Creates a model with uninitialised parameters, to be loaded or initialised.
    ///
    /// - Parameters:
    ///   - configuration: A validated configuration.
    ///   - windowRule: How wide a decoder's local window is.
    public init(_ configuration: ModernBERTConfiguration, windowRule: WindowRule = .transformers) {
        super.init()
        model = ModernBERT(configuration, windowRule: windowRule)
        head = PredictionHead(configuration)
        decoder = VocabularyProjection(configuration)
    }

    /// The logits at each token.
    ///
    /// - Parameter batch: Sequences of token ids.
    /// - Returns: `[tokens, vocabularySize]`, in the dtype of the hidden states.
    public func callAsFunction(_ batch: PackedBatch) -> Tensor { logits(model(batch)) }

    /// The logits of the next token of each sequence, continuing from a cache.
    ///
    /// - Parameters:
    ///   - batch: New tokens; see ``ModernBERT/callAsFunction(_:cache:)``, which gives the states of all of them.
    ///   - cache: The keys and values of earlier tokens, to which those of the new ones are added.
    /// - Returns: `[sequences, vocabularySize]`, for the last token of each sequence.
    /// - Throws: ``KVCacheError`` for sequences that the cache does not have or that would have too many tokens.
    public func nextTokenLogits(_ batch: CachedBatch, cache: KVCache) throws -> Tensor {
        let hidden = try model(batch, cache: cache)
        let last = Tensor(batch.tokens.cuSeqlens.dropFirst().map { Int64($0) - 1 }).to(hidden.device)
        return logits(hidden.selecting(last))
    }

    /// The loss of predicting a token at each labelled place.
    ///
    /// The head runs on labelled places only, and logits are never held whole; see
    /// ``/Torch/Tensor/linearCrossEntropy(weight:bias:labels:options:)``. Masked and causal models differ in the labels:
    /// the original token where the input is masked, or the token that follows.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - labels: The token to predict at each place, or the ignored label; as many as there are tokens.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    ///   - options: Reduction, ignored label and z-loss.
    /// - Returns: The loss and what it is made of.
    public func loss(
        _ batch: PackedBatch,
        labels: [Int32],
        training: DropoutContext? = nil,
        precision: Precision = .full,
        options: CrossEntropyOptions = CrossEntropyOptions()
    ) -> LanguageModelLoss {
        precondition(labels.count == batch.tokenCount, "\(labels.count) labels for \(batch.tokenCount) tokens")
        let ignored = Int32(options.ignoreIndex)
        let places = labels.indices.filter { labels[$0] != ignored }.map(Int64.init)
        let targets = places.map { Int64(labels[Int($0)]) }
        return loss(
            batch,
            targets: targets,
            at: places,
            training: training,
            precision: precision,
            options: options
        )
    }

    /// The loss of predicting some tokens at some places.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - targets: The token to predict at each of the places.
    ///   - places: Tokens of the batch, rising.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    ///   - options: Reduction and z-loss.
    /// - Returns: The loss and what it is made of.
    package func loss(
        _ batch: PackedBatch,
        targets: [Int64],
        at places: [Int64],
        training: DropoutContext? = nil,
        precision: Precision = .full,
        options: CrossEntropyOptions = CrossEntropyOptions()
    ) -> LanguageModelLoss {
        precondition(targets.count == places.count, "\(targets.count) targets for \(places.count) places")
        let hidden = model(batch, training: training, precision: precision)
        let scored = head(hidden.selecting(distinctRows: Tensor(places).to(hidden.device)), training: training)
        let (loss, rowLosses) = scored.linearCrossEntropy(
            weight: decoder.weight ?? model.embeddings.tokens.weight,
            bias: decoder.bias,
            labels: Tensor(targets).to(hidden.device),
            options: options
        )
        return LanguageModelLoss(loss: loss, tokenLosses: rowLosses, labelledCount: places.count)
    }

    /// The loss of supervised fine-tuning: the sum over some places, with what is logged of the predictions.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - targets: The token to predict at each of the places.
    ///   - places: Tokens of the batch, rising.
    ///   - weighsByProbability: Whether a token counts as much as it is probable, as DFT has it.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: The loss, a float32 scalar that is 0 without places; and of each place the entropy of its prediction and
    ///   whether the token is the most probable, 1 or 0, without gradients.
    package func summedLoss(
        _ batch: PackedBatch,
        targets: [Int64],
        at places: [Int64],
        weighsByProbability: Bool = false,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> (loss: Tensor, entropies: Tensor, hits: Tensor) {
        precondition(targets.count == places.count, "\(targets.count) targets for \(places.count) places")
        let hidden = model(batch, training: training, precision: precision)
        let scored = head(hidden.selecting(distinctRows: Tensor(places).to(hidden.device)), training: training)
        return scored.linearCrossEntropyWithStatistics(
            weight: decoder.weight ?? model.embeddings.tokens.weight,
            bias: decoder.bias,
            labels: Tensor(targets).to(hidden.device),
            weighsByProbability: weighsByProbability
        )
    }

    /// The logits of some hidden states.
    ///
    /// - Parameter hidden: `[rows, hiddenSize]`, from the trunk.
    /// - Returns: `[rows, vocabularySize]`.
    public func logits(_ hidden: Tensor) -> Tensor {
        if let fusedHead { return fusedHead(hidden) }
        return decoder(head(hidden), tiedTo: model.embeddings.tokens.weight)
    }

    /// SPLADE's weights of the vocabulary: logits through `log(1 + relu)`, pooled over the tokens of each sequence.
    ///
    /// The logits of a batch are never held whole, on the CPU not even for the backward pass.
    ///
    /// - Parameters:
    ///   - hidden: `[tokens, hiddenSize]`, from the trunk.
    ///   - batch: The sequences that the tokens belong to.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - rule: How tokens are pooled.
    /// - Returns: `[sequences, vocabularySize]`, float32.
    package func spladePooled(
        _ hidden: Tensor,
        of batch: PackedBatch,
        training: DropoutContext? = nil,
        rule: SpladePoolingRule
    ) -> Tensor {
        if let fusedHead { return fusedHead.spladePooled(hidden, cuSeqlens: batch.cuSeqlens, rule: rule) }
        return head(hidden, training: training).spladePooled(
            weight: decoder.weight ?? model.embeddings.tokens.weight,
            bias: decoder.bias,
            cuSeqlens: batch.cuSeqlens,
            rule: rule
        )
    }

    /// Computes with weights that are prepacked for inference, which are given up afterwards; see
    /// ``ModernBERT/withPrepackedWeights(_:longestSequence:_:)``.
    package func withPrepackedWeights<Result>(
        _ precision: ComputeDType,
        longestSequence: Int,
        _ body: () throws -> Result
    ) rethrows -> Result {
        guard fusedHead == nil else { return try body() }
        fusedHead = makeFusedHead(precision)
        defer { fusedHead = nil }
        return try model.withPrepackedWeights(precision, longestSequence: longestSequence, body)
    }

    private func makeFusedHead(_ precision: ComputeDType) -> FusedHead {
        FusedHead(
            head,
            output: decoder.weight ?? model.embeddings.tokens.weight,
            bias: decoder.bias,
            precision: precision
        )
    }

    /// Prepacks the weights for inference on the CPU; see ``ModernBERT/prepackWeights(_:)``.
    ///
    /// Logits are float32 from then on. With int8 the head computes in bfloat16, as it is where a token is decided.
    ///
    /// - Parameter precision: The precision of the products.
    package func prepackWeights(_ precision: ComputeDType) {
        fusedHead = makeFusedHead(precision)
        model.prepackWeights(precision)
    }
}

// MARK: -

/// The loss of a language model on a batch.
public struct LanguageModelLoss {
    /// The mean or sum over labelled places: a float32 scalar, 0 when there is none.
    public let loss: Tensor
    /// The loss of each labelled place in order, `[labelledCount]`, float32, without gradient.
    public let tokenLosses: Tensor
    /// The number of labelled places.
    public let labelledCount: Int
}
