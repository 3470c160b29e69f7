public import EttinJSON
public import Torch

/// The shape and behaviour of a ModernBERT encoder or decoder, as `config.json` states it.
///
/// Both formats of transformers are read and written: the one of version 4, in which Ettin was published, and the one
/// of version 5. Defaults are those of transformers 5.23.0.
///
/// > Source: transformers `configuration_modernbert.py`, `configuration_modernbert_decoder.py`.
public struct ModernBERTConfiguration: Hashable, Sendable {
    /// Encoder or decoder; `model_type`.
    public var kind: ModelKind
    /// The number of rows of the embedding; `vocab_size`.
    public var vocabularySize = 50368
    /// The width of the hidden states; `hidden_size`.
    public var hiddenSize = 768
    /// The width inside the MLP, half the rows of `Wi`; `intermediate_size`.
    public var intermediateSize = 1152
    /// The number of attention heads, which divides `hiddenSize`; `num_attention_heads`.
    public var attentionHeads = 12
    /// What each layer attends to; its count is `num_hidden_layers`.
    public var layerTypes = LayerType.pattern(layers: 22, globalEvery: 3)
    /// The activation inside the MLP; `hidden_activation`.
    public var hiddenActivation = Activation.gelu
    /// The longest sequence the model was made for, in tokens; `max_position_embeddings`.
    ///
    /// There is no position table; longer input is computed without complaint.
    public var maxPositionEmbeddings = 8192

    /// The standard deviation of new weights; `initializer_range`.
    public var initializerRange = 0.02
    /// Where the distribution of new weights is cut, in standard deviations; null in the file means 3.
    public var initializerCutoffFactor = 2.0

    /// Added to the variance in every layer norm; `norm_eps`.
    public var normEpsilon = 1e-5
    /// Whether layer norms have a bias; `norm_bias`.
    public var normBias = false
    /// Whether the attention's linear layers have a bias; `attention_bias`.
    public var attentionBias = false
    /// Whether the MLP's linear layers have a bias; `mlp_bias`.
    public var mlpBias = false
    /// Whether the output matrix has a bias; `decoder_bias`.
    public var decoderBias = true

    /// Dropout on attention probabilities and on the attention's output; `attention_dropout`.
    public var attentionDropout = 0.0
    /// Dropout on the attention output alone, where it differs from ``attentionDropout``: the suite was trained with 0.1,
    /// which no `config.json` records.
    public var attentionOutputDropout: Double?
    /// Dropout on the embeddings; `embedding_dropout`.
    public var embeddingDropout = 0.0
    /// Dropout inside the MLP; `mlp_dropout`.
    public var mlpDropout = 0.0

    /// Padding, whose row of the embedding gets no gradient; `pad_token_id`.
    public var padTokenID: Int? = 50283
    /// Begin of sequence; `bos_token_id`.
    public var bosTokenID: Int? = 50281
    /// End of sequence, one id or several, none for null; `eos_token_id`.
    public var eosTokenIDs = [50282]
    /// `cls_token_id`.
    public var clsTokenID: Int? = 50281
    /// `sep_token_id`.
    public var sepTokenID: Int? = 50282

    /// The rotary embedding of global layers.
    public var globalRope = RotaryParameters(theta: 160_000)
    /// The rotary embedding of local layers.
    public var localRope = RotaryParameters(theta: 10_000)
    /// The width of the local window in tokens, both sides together; nil or 0 only without local layers.
    public var localAttention: Int? = 128
    /// A decoder's `sliding_window` where the file states it, which overrides half of `localAttention`.
    public var slidingWindowOverride: Int?

    /// How a sequence becomes one vector for classification, encoders only; `classifier_pooling`.
    public var classifierPooling = ClassifierPooling.cls
    /// Dropout before the classifier; `classifier_dropout`.
    public var classifierDropout = 0.0
    /// Whether the prediction head's linear layer has a bias; `classifier_bias`.
    public var classifierBias = false
    /// The activation of the prediction head; `classifier_activation`.
    public var classifierActivation = Activation.gelu

    /// Whether a decoder keeps keys and values while it generates; `use_cache`.
    public var usesCache = true
    /// Whether head and output matrix see labelled positions only, encoders only; `sparse_prediction`.
    public var sparsePrediction = false
    /// The label that marks unlabelled positions; `sparse_pred_ignore_index`.
    public var sparsePredictionIgnoreIndex = -100
    /// Asks for reproducible flash attention, encoders only, without effect here; `deterministic_flash_attn`.
    public var deterministicFlashAttention = false
    /// Whether the output matrix is the embedding; `tie_word_embeddings`.
    public var tiesWordEmbeddings = true

    /// The Python classes the weights are for; `architectures`.
    public var architectures: [String] = []
    /// The type of the stored weights by its Python name; `dtype`, in the older format `torch_dtype`.
    public var dtype: String?
    /// The classes of a classifier in the order of their ids; nil for transformers' own two.
    public var labels: [String]?
    /// What a classifier's labels mean; `problem_type`.
    public var problemType: ProblemType?

    /// Keys that have no effect on the model, in the order of the file; written back unchanged.
    public var otherKeys = JSONObject()

    /// Creates a configuration with the defaults of transformers, which are those of ModernBERT-base.
    ///
    /// - Parameter kind: Encoder or decoder.
    public init(kind: ModelKind) {
        self.kind = kind
    }
}

// MARK: - Derived values

extension ModernBERTConfiguration {
    /// The number of layers; `num_hidden_layers`.
    public var layerCount: Int { layerTypes.count }

    /// The width of one attention head.
    public var headDimensions: Int { hiddenSize / max(1, attentionHeads) }

    /// The number of classes of a classifier; `num_labels`.
    public var labelCount: Int { labels?.count ?? 2 }

    /// Half the local window, `sliding_window`: −1 when there is none.
    ///
    /// See `window(layer:rule:)` for what it means, which differs between encoder and decoder.
    public var slidingWindow: Int {
        if kind == .decoder, let slidingWindowOverride { return slidingWindowOverride }
        guard let localAttention, localAttention > 0 else { return kind == .decoder ? -1 : 0 }
        return localAttention / 2
    }

    /// The rotary embedding of a layer.
    ///
    /// - Parameter layer: The layer, from 0.
    /// - Returns: Base and scaling.
    public func rope(layer: Int) -> RotaryParameters {
        layerTypes[layer] == .fullAttention ? globalRope : localRope
    }

    /// The base of a layer's rotary embedding.
    ///
    /// - Parameter layer: The layer, from 0.
    /// - Returns: The base.
    public func ropeTheta(layer: Int) -> Double {
        rope(layer: layer).theta
    }

    /// Which keys a query of a layer sees, besides those of other sequences, which it never does.
    ///
    /// - Parameters:
    ///   - layer: The layer, from 0.
    ///   - rule: Whose reading of the decoder's local window to follow.
    /// - Returns: The reach to both sides.
    ///
    /// With `w` = `slidingWindow`, an encoder's local layer sees `w` tokens on each side; a decoder's sees itself and
    /// `w − 1` before it, one fewer than the training code's attention did.
    public func window(layer: Int, rule: WindowRule = .transformers) -> LayerWindow {
        switch (kind, layerTypes[layer]) {
        case (.encoder, .fullAttention): LayerWindow(left: nil, right: nil)
        case (.encoder, .slidingAttention): LayerWindow(left: slidingWindow, right: slidingWindow)
        case (.decoder, .fullAttention): LayerWindow(left: nil, right: 0)
        case (.decoder, .slidingAttention):
            LayerWindow(left: rule == .training ? slidingWindow : slidingWindow - 1, right: 0)
        }
    }

    /// The number of parameters of the model with its language-model head; a tied matrix counts once.
    public var parameterCount: Int {
        let head =
            hiddenSize * hiddenSize + (classifierBias ? hiddenSize : 0) + (normBias ? 2 : 1) * hiddenSize
            + (decoderBias ? vocabularySize : 0) + (tiesWordEmbeddings ? 0 : embeddingParameterCount)
        return baseParameterCount + head
    }

    /// The number of parameters without a head.
    public var baseParameterCount: Int {
        let norms = (2 * layerCount + 1) * hiddenSize * (normBias ? 2 : 1)
        let attention = 4 * hiddenSize * hiddenSize + (attentionBias ? 4 * hiddenSize : 0)
        let mlp = 3 * hiddenSize * intermediateSize + (mlpBias ? 2 * intermediateSize + hiddenSize : 0)
        return embeddingParameterCount + norms + layerCount * (attention + mlp)
    }

    /// The number of parameters of the embedding matrix.
    public var embeddingParameterCount: Int { vocabularySize * hiddenSize }
}
