import Torch

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How new weights are drawn.
///
/// Both schemes draw linear and embedding weights from a normal distribution cut at `initializerCutoffFactor` standard
/// deviations and not rescaled; norm weights are 1 and norm biases 0. With `r` = `initializerRange`, `L` layers and
/// hidden size `H`:
///
/// | weight | ``transformers`` | ``fullMegatron`` |
/// |---|---|---|
/// | embeddings, `Wqkv`, `Wi` | r | r |
/// | `attn.Wo`, `mlp.Wo` | r/√(2L) | r/√(2L) |
/// | `head.dense` | r/√(2L) | r |
/// | `decoder.weight`, where not tied | r/√(2L) | H^-½ |
/// | `decoder.bias` | 0 | uniform ±1/√H where the matrix is tied, else 0 |
/// | `classifier.weight` | H^-½ | H^-½ |
/// | other biases | 0 | 0 |
///
/// > Source: transformers `modeling_modernbert.py`, `_init_weights`; the suite's training code, `init_method:
/// full_megatron`, whose tied output layer keeps the bias a new linear layer has.
public enum WeightInitialization: String, Sendable, Hashable, CaseIterable {
    /// As the suite's pre-training starts.
    case fullMegatron = "full_megatron"
    /// As transformers makes a model from a configuration.
    case transformers
}

/// The distribution one parameter is drawn from.
enum WeightDistribution: Hashable {
    case constant(Double)
    case truncatedNormal(standardDeviation: Double)
    case uniform(bound: Double)
}

extension WeightInitialization {
    /// The distribution of a parameter, by its own key (not the one of a decoder's files).
    func distribution(of key: String, _ configuration: ModernBERTConfiguration) -> WeightDistribution {
        let range = configuration.initializerRange
        let residual = range / (2 * Double(configuration.layerCount)).squareRoot()
        let inverseRoot = 1 / Double(configuration.hiddenSize).squareRoot()
        if key.contains("norm.") { return .constant(key.hasSuffix(".weight") ? 1 : 0) }
        if key == "decoder.bias", self == .fullMegatron, configuration.tiesWordEmbeddings {
            return .uniform(bound: inverseRoot)
        }
        guard key.hasSuffix(".weight") else { return .constant(0) }
        if key.hasSuffix(".Wo.weight") { return .truncatedNormal(standardDeviation: residual) }
        switch key {
        case "head.dense.weight":
            return .truncatedNormal(standardDeviation: self == .fullMegatron ? range : residual)
        case "decoder.weight":
            return .truncatedNormal(standardDeviation: self == .fullMegatron ? inverseRoot : residual)
        case "classifier.weight":
            return .truncatedNormal(standardDeviation: inverseRoot)
        default:
            return .truncatedNormal(standardDeviation: range)
        }
    }
}

extension PretrainedModel {
    /// Gives every parameter a new value, those of attached adapters excepted.
    ///
    /// A value is a function of the seed and the parameter's key, so an encoder and a decoder of one shape and seed
    /// start from the same weights, and a model starts from the same weights whatever head it has.
    ///
    /// - Parameters:
    ///   - scheme: How weights are drawn.
    ///   - seed: The random seed.
    public func initialize(_ scheme: WeightInitialization, seed: UInt64) {
        initialize(scheme, seed: seed) { _ in true }
    }

    /// Gives the parameters whose keys `isIncluded` accepts a new value.
    func initialize(_ scheme: WeightInitialization, seed: UInt64, where isIncluded: (String) -> Bool) {
        let adapterKeys = adapterKeys
        for (key, reference) in parameterReferences where isIncluded(key) && !adapterKeys.contains(key) {
            let generator = Philox(seed: seed, stream: WeightStream.of(trunkPrefix + key))
            let shape = reference.tensor.shape
            switch scheme.distribution(of: key, configuration) {
            case .constant(let value):
                reference.tensor = .full(shape, value)
            case .uniform(let bound):
                reference.tensor = (generator.uniforms(shape) * 2 - 1) * bound
            case .truncatedNormal(let standardDeviation):
                let cutoff = configuration.initializerCutoffFactor
                // The distribution function at the cutoff and its inverse, both by the error function.
                let reach = erf(cutoff / 2.0.squareRoot())
                let normal = ((generator.uniforms(shape) * 2 - 1) * reach).inverseErrorFunction() * 2.0.squareRoot()
                reference.tensor = normal * standardDeviation
            }
        }
    }
}

/// The streams of random numbers that parameters are drawn from.
enum WeightStream {
    /// FNV-1a: a number that stands for a key on every platform and in every release.
    static func of(_ key: String) -> UInt64 {
        key.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}

extension Philox {
    fileprivate func uniforms(_ shape: [Int]) -> Tensor {
        Tensor(uniforms(count: shape.reduce(1, *)), shape: shape)
    }
}
