#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Frequencies of a rotary embedding stretched to texts longer than those of pre-training.
///
/// Pairs of dimensions that turn often within the original length keep their frequency, those that turn less than once
/// have it divided by the factor, and those between are interpolated.
///
/// > Source: YaRN (arXiv 2309.00071), sections 3.2 to 3.4; transformers `modeling_rope_utils.py`,
/// > `_compute_yarn_parameters`.
public struct YaRNScaling: Hashable, Sendable {
    /// How many times longer texts may be; `factor`.
    public var factor: Double
    /// The longest sequence of pre-training, in tokens; `original_max_position_embeddings`.
    public var originalPositions: Int
    /// What cosines and sines are multiplied by; nil for `0.1 · ln(factor) + 1`; `attention_factor`.
    public var attentionFactor: Double?
    /// From this many turns within the original length a frequency stays as it is; `beta_fast`.
    public var betaFast: Double
    /// Up to this many turns a frequency is divided by the factor; `beta_slow`.
    public var betaSlow: Double

    /// The default of `beta_fast`.
    static let defaultBetaFast = 32.0
    /// The default of `beta_slow`.
    static let defaultBetaSlow = 1.0

    /// Creates a scaling with the defaults of the paper.
    ///
    /// - Parameters:
    ///   - factor: How many times longer texts may be.
    ///   - originalPositions: The longest sequence of pre-training, in tokens.
    ///   - attentionFactor: What cosines and sines are multiplied by; nil for `0.1 · ln(factor) + 1`.
    ///   - betaFast: From this many turns within the original length a frequency stays as it is.
    ///   - betaSlow: Up to this many turns a frequency is divided by the factor.
    public init(
        factor: Double,
        originalPositions: Int,
        attentionFactor: Double? = nil,
        betaFast: Double = 32,
        betaSlow: Double = 1
    ) {
        self.factor = factor
        self.originalPositions = originalPositions
        self.attentionFactor = attentionFactor
        self.betaFast = betaFast
        self.betaSlow = betaSlow
    }

    /// What cosines and sines are multiplied by.
    package var magnitude: Double { attentionFactor ?? Self.magnitude(factor: factor) }

    /// The paper's multiplier; `weight` is the file's `mscale` or `mscale_all_dim`.
    static func magnitude(factor: Double, weight: Double = 1) -> Double {
        factor <= 1 ? 1 : 0.1 * weight * log(factor) + 1
    }

    /// The frequency of each pair of dimensions, in radians per token.
    ///
    /// - Parameters:
    ///   - theta: The base, not 1.
    ///   - width: The head width, even.
    /// - Returns: `width / 2` frequencies.
    package func frequencies(theta: Double, width: Int) -> [Double] {
        /// The dimension whose frequency makes so many turns within the original length.
        func dimension(turns: Double) -> Double {
            Double(width) * log(Double(originalPositions) / (turns * 2 * .pi)) / (2 * log(theta))
        }
        let low = max(dimension(turns: betaFast).rounded(.down), 0)
        var high = min(dimension(turns: betaSlow).rounded(.up), Double(width - 1))
        if low == high { high += 0.001 }
        return (0..<(width / 2)).map { pair in
            let ramp = min(max((Double(pair) - low) / (high - low), 0), 1)
            return pow(theta, -2 * Double(pair) / Double(width)) * (ramp / factor + 1 - ramp)
        }
    }
}
