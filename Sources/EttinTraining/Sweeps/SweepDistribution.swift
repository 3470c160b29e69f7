import EttinReports
import Foundation
package import Torch

/// What the values of a parameter are drawn from.
///
/// > Source: the distributions of a sweep file of Weights & Biases, by its names.
package struct SweepDistribution: Hashable, Sendable {
    /// The names of the distributions.
    package enum Name: String, Hashable, Sendable, CaseIterable {
        case constant
        case categorical
        case intUniform = "int_uniform"
        case uniform
        case qUniform = "q_uniform"
        case logUniform = "log_uniform"
        case logUniformValues = "log_uniform_values"
        case qLogUniform = "q_log_uniform"
        case qLogUniformValues = "q_log_uniform_values"
        case normal
        case qNormal = "q_normal"
        case logNormal = "log_normal"
        case qLogNormal = "q_log_normal"
    }

    /// The shape of a distribution.
    package enum Shape: Hashable, Sendable {
        /// One of some values; their probabilities add up to 1.
        case choice([String], probabilities: [Double])
        /// A whole number, both ends included.
        case integers(ClosedRange<Int>)
        /// A number.
        case uniform(Double, Double)
        /// A number whose natural logarithm is uniform between two numbers.
        case logUniform(Double, Double)
        /// A number around a mean.
        case normal(mean: Double, deviation: Double)
        /// A number whose natural logarithm lies around a mean.
        case logNormal(mean: Double, deviation: Double)
    }

    package let name: Name
    package let shape: Shape
    /// What numbers are rounded to multiples of; nil for four significant digits.
    package let step: Double?

    /// Values in the order in which a grid has them; nil for a distribution that has no end of them.
    package func values(limit: Int) -> [String]? {
        switch shape {
        case .choice(let values, _): values
        case .integers(let range):
            // The bounds are those that a sweep file may have, so that nothing overflows.
            range.upperBound - range.lowerBound < limit ? range.map { "\($0)" } : nil
        case .uniform, .logUniform, .normal, .logNormal: nil
        }
    }

    /// Draws a value, which is a function of the arguments alone.
    ///
    /// - Parameters:
    ///   - generator: The numbers of the parameter.
    ///   - index: The number of the draw.
    /// - Returns: The value as a recipe has it.
    package func draw(_ generator: Philox, at index: UInt64) -> String {
        let words = generator.words(atBlock: index)
        let first = Self.fraction(words.x, words.y)
        switch shape {
        case .choice(let values, let probabilities):
            var sum = 0.0
            for (value, probability) in zip(values, probabilities) {
                sum += probability
                if first < sum { return value }
            }
            // Sums may end a rounding below 1.
            return values[values.count - 1]
        case .integers(let range):
            let count = Double(range.upperBound - range.lowerBound) + 1
            return "\(min(range.upperBound, range.lowerBound + Int(first * count)))"
        case .uniform(let low, let high):
            return rounded(low + (high - low) * first, within: low...high)
        case .logUniform(let low, let high):
            return rounded(exp(low + (high - low) * first), within: exp(low)...exp(high))
        case .normal(let mean, let deviation):
            return rounded(mean + deviation * Self.normal(first, Self.fraction(words.z, words.w)))
        case .logNormal(let mean, let deviation):
            return rounded(exp(mean + deviation * Self.normal(first, Self.fraction(words.z, words.w))))
        }
    }

    /// A number in [0, 1) of 53 bits.
    private static func fraction(_ high: UInt32, _ low: UInt32) -> Double {
        Double((UInt64(high) << 32 | UInt64(low)) >> 11) * 0x1p-53
    }

    /// A number of the standard normal distribution.
    ///
    /// > Source: Box and Muller, "A Note on the Generation of Random Normal Deviates".
    private static func normal(_ first: Double, _ second: Double) -> Double {
        (-2 * log(1 - first)).squareRoot() * cos(2 * .pi * second)
    }

    private func rounded(_ value: Double, within range: ClosedRange<Double>? = nil) -> String {
        guard let step else {
            // Rounding must not lead beyond the bounds, which are as the file has them.
            let text = NumberText.shortest(value)
            guard let range, let number = Double(text), !range.contains(number) else { return text }
            return NumberText.trimmed(NumberText.significant(value, digits: 12))
        }
        return NumberText.trimmed(NumberText.significant((value / step).rounded() * step, digits: 12))
    }
}
