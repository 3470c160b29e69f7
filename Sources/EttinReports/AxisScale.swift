import Foundation

/// How values lie along an axis, and which of them are named there.
package struct AxisScale: Hashable, Sendable {
    /// How values are spelled.
    package enum Format: Hashable, Sendable {
        case plain
        /// `12.3k`.
        case compact
        /// A share of 1 in per cent.
        case percent
        /// Digits that matter, such as `8.00e-05`.
        case scientific
    }

    package let lower: Double
    package let upper: Double
    package let isLogarithmic: Bool
    package let ticks: [Double]

    /// An axis along which equal steps are equally long.
    ///
    /// - Parameters:
    ///   - values: The values to show; NaN and infinities are ignored.
    ///   - tickCount: About how many ticks are wanted.
    ///   - includesZero: Whether the axis begins at zero.
    ///   - isExact: Whether it ends with the values instead of at the next tick.
    package init(linear values: [Double], tickCount: Int, includesZero: Bool = false, isExact: Bool = false) {
        var (low, high) = Self.range(values) ?? (0, 1)
        if includesZero { (low, high) = (min(low, 0), max(high, 0)) }
        if low == high { (low, high) = low == 0 ? (0, 1) : (low - abs(low) / 10, high + abs(high) / 10) }
        let step = Self.step((high - low) / Double(tickCount))
        let first = (low / step + (isExact ? -1e-9 : 1e-9)).rounded(isExact ? .up : .down)
        let last = (high / step + (isExact ? 1e-9 : -1e-9)).rounded(isExact ? .down : .up)
        ticks = (0...max(0, Int(last - first))).map { (first + Double($0)) * step }
        (lower, upper) = isExact ? (low, high) : (first * step, last * step)
        isLogarithmic = false
    }

    /// An axis along which equal factors are equally long.
    ///
    /// - Parameter values: The values to show; those that are not above zero count for nothing.
    package init(logarithmic values: [Double]) {
        var (low, high) = Self.range(values.filter { $0 > 0 }) ?? (1, 10)
        // Less than a factor of two looks like a flat line, and would have no tick.
        if high < 2 * low { (low, high) = (low / 1.5, high * 1.5) }
        let decades = log10(high / low)
        let digits: [Double] = decades < 2 ? [1, 2, 5] : decades < 4 ? [1, 3] : [1]
        let powers = Int(log10(low).rounded(.down)) - 1...Int(log10(high).rounded(.up)) + 1
        let candidates = powers.flatMap { power in digits.map { $0 * pow(10, Double(power)) } }
        let margin = 1 + 1e-9
        lower = candidates.last { $0 <= low * margin } ?? low
        upper = candidates.first { $0 >= high / margin } ?? high
        isLogarithmic = true
        let (lower, upper) = (lower, upper)
        ticks = candidates.filter { $0 >= lower && $0 <= upper }
    }

    /// Where a value lies between two ends of the axis.
    package func position(_ value: Double, from start: Double, to end: Double) -> Double {
        let share =
            isLogarithmic
            ? log10(max(value, .leastNormalMagnitude) / lower) / log10(upper / lower)
            : (value - lower) / (upper - lower)
        return start + share * (end - start)
    }

    /// A tick as it is written, with as many digits as tell it from its neighbours.
    package func label(_ tick: Double, _ format: Format) -> String {
        let step = ticks.count > 1 && !isLogarithmic ? ticks[1] - ticks[0] : abs(tick)
        func fixed(_ value: Double, step: Double) -> String {
            let places = step > 0 ? max(0, Int((-log10(step) - 1e-9).rounded(.up))) : 0
            return NumberText.fixed(value, places: min(places, 9))
        }
        switch format {
        case .percent: return fixed(tick * 100, step: step * 100) + "%"
        case .compact: return abs(tick) < step / 2 ? "0" : NumberText.compact(tick)
        case .scientific where abs(tick) < step / 2: return "0"
        case .scientific where abs(upper) < 0.01: return Self.shortPower(tick)
        case .plain, .scientific: return abs(tick) >= 10_000 ? NumberText.compact(tick) : fixed(tick, step: step)
        }
    }

    /// `2e-4`, or `2.5e-4`.
    private static func shortPower(_ value: Double) -> String {
        let exponent = Int((log10(abs(value)) + 1e-9).rounded(.down))
        let mantissa = NumberText.fixed(value / pow(10, Double(exponent)), places: 2)
        return "\(NumberText.trimmed(mantissa))e\(exponent)"
    }

    private static func range(_ values: [Double]) -> (Double, Double)? {
        let numbers = values.filter(\.isFinite)
        guard let low = numbers.min(), let high = numbers.max() else { return nil }
        return (low, high)
    }

    /// The nearest of 1, 2 and 5 with any number of zeros.
    private static func step(_ wanted: Double) -> Double {
        let power = pow(10, log10(wanted).rounded(.down))
        let factor = wanted / power
        return (factor < 1.42 ? 1 : factor < 3.17 ? 2 : factor < 7.08 ? 5 : 10) * power
    }
}
