import EttinJSON

/// The six sizes of the suite.
public enum EttinSize: String, Hashable, Sendable, CaseIterable {
    /// 7 layers of width 256.
    case size17M = "17m"
    /// 10 layers of width 384.
    case size32M = "32m"
    /// 19 layers of width 512.
    case size68M = "68m"
    /// 22 layers of width 768.
    case size150M = "150m"
    /// 28 layers of width 1024.
    case size400M = "400m"
    /// 28 layers of width 1792.
    case size1B = "1b"

    /// The name of the size in the published training recipes.
    package var recipeName: String {
        switch self {
        case .size17M: "very_tiny"
        case .size32M: "tiny"
        case .size68M: "mini"
        case .size150M: "base"
        case .size400M: "large"
        case .size1B: "huge"
        }
    }

    /// Finds a size by its name in any case, or by its name in the training recipes.
    ///
    /// - Parameter name: Such as `150m`, `1B` or `base`.
    public init?(named name: String) {
        let name = name.lowercased()
        guard let size = Self.allCases.first(where: { $0.rawValue == name || $0.recipeName == name }) else {
            return nil
        }
        self = size
    }

    /// Finds the size of a model's shape, whatever its vocabulary.
    ///
    /// - Parameter configuration: The model's configuration.
    public init?(shapeOf configuration: ModernBERTConfiguration) {
        let size = Self.allCases.first {
            $0.shape == (
                configuration.layerCount, configuration.hiddenSize, configuration.intermediateSize,
                configuration.attentionHeads
            )
        }
        guard let size else { return nil }
        self = size
    }

    /// The number of parameters with the language-model head, equal for encoder and decoder.
    public var parameterCount: Int {
        ModernBERTConfiguration.ettin(size: self, kind: .encoder).parameterCount
    }

    fileprivate var shape: (layers: Int, hidden: Int, intermediate: Int, heads: Int) {
        switch self {
        case .size17M: (7, 256, 384, 4)
        case .size32M: (10, 384, 576, 6)
        case .size68M: (19, 512, 768, 8)
        case .size150M: (22, 768, 1152, 12)
        case .size400M: (28, 1024, 2624, 16)
        case .size1B: (28, 1792, 3840, 28)
        }
    }

    /// The base of local layers in the published decoders: four sizes were trained to the end with 10000.
    fileprivate var decoderLocalTheta: Double {
        switch self {
        case .size150M, .size1B: 160_000
        case .size17M, .size32M, .size68M, .size400M: 10_000
        }
    }
}

extension ModernBERTConfiguration {
    /// The configuration of a model of the suite, as its final revision is published.
    ///
    /// Intermediate revisions differ in their rotary bases; for a published model read its own `config.json`.
    ///
    /// - Parameters:
    ///   - size: The size.
    ///   - kind: Encoder or decoder.
    /// - Returns: A configuration with the language-model architecture.
    public static func ettin(size: EttinSize, kind: ModelKind) -> ModernBERTConfiguration {
        var result = ModernBERTConfiguration(kind: kind)
        let shape = size.shape
        result.hiddenSize = shape.hidden
        result.intermediateSize = shape.intermediate
        result.attentionHeads = shape.heads
        result.layerTypes = LayerType.pattern(layers: shape.layers, globalEvery: 3)
        result.maxPositionEmbeddings = 7999
        if kind == .encoder { result.classifierPooling = .mean }
        result.localRope.theta = kind == .encoder ? 160_000 : size.decoderLocalTheta
        result.architectures = [kind.languageModelArchitecture]
        result.dtype = "float32"
        result.otherKeys["position_embedding_type"] = "sans_pos"
        if kind == .decoder {
            result.otherKeys["bos_token"] = "[CLS]"
            result.otherKeys["eos_token"] = "[SEP]"
            result.otherKeys["unk_token"] = "[UNK]"
            result.otherKeys["causal_mask"] = true
            result.otherKeys["is_causal"] = true
            result.otherKeys["masked_prediction"] = false
        }
        return result
    }
}
