import EttinFiles
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
        // A smallest step of 0 would divide by it.
        var (low, high) = Self.range(values.map { abs($0) < Self.smallest ? 0 : $0 }) ?? (0, 1)
        if includesZero { (low, high) = (min(low, 0), max(high, 0)) }
        // Nor are there ticks between neighbouring numbers.
        if high - low <= 1e-12 * max(abs(low), abs(high)) {
            (low, high) = low == 0 ? (0, 1) : (low - abs(low) / 10, high + abs(high) / 10)
        }
        let step = Self.step((high - low) / Double(tickCount))
        let first = (low / step + (isExact ? -1e-9 : 1e-9)).rounded(isExact ? .up : .down)
        let last = (high / step + (isExact ? 1e-9 : -1e-9)).rounded(isExact ? .down : .up)
        ticks = (0...max(0, Int(clamping: last - first))).map { (first + Double($0)) * step }
        (lower, upper) = isExact ? (low, high) : (first * step, last * step)
        isLogarithmic = false
    }

    /// An axis along which equal factors are equally long.
    ///
    /// - Parameter values: The values to show; those that are not above zero count for nothing.
    package init(logarithmic values: [Double]) {
        var (low, high) = Self.range(values.filter { $0 > 0 }.map { min(max($0, 1e-150), 1e150) }) ?? (1, 10)
        // Less than a factor of two looks like a flat line, and would have no tick.
        if high < 2 * low { (low, high) = (low / 1.5, high * 1.5) }
        let decades = log10(high / low)
        let digits: [Double] = decades < 2 ? [1, 2, 5] : decades < 4 ? [1, 3] : [1]
        // At most sixteen ticks, however far apart the ends are.
        let distance = max(1, (decades / 8).rounded(.down))
        let powers = stride(
            from: log10(low).rounded(.down) - distance,
            through: log10(high).rounded(.up) + distance,
            by: distance
        )
        let candidates = powers.flatMap { power in digits.map { $0 * pow(10, power) } }
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
        // Outside of the axis nothing is seen, but a drawing must not hold NaN or an infinite number.
        return start + (share.isNaN ? 0 : min(max(share, -1e4), 1e4)) * (end - start)
    }

    /// A tick as it is written, with as many digits as tell it from its neighbours.
    package func label(_ tick: Double, _ format: Format) -> String {
        let step = ticks.count > 1 && !isLogarithmic ? ticks[1] - ticks[0] : abs(tick)
        func fixed(_ value: Double, step: Double) -> String {
            let places = step > 0 ? max(0, Int(clamping: (-log10(step) - 1e-9).rounded(.up))) : 0
            return NumberText.fixed(value, places: min(places, 9))
        }
        switch format {
        case .percent: return fixed(tick * 100, step: step * 100) + "%"
        case .compact: return abs(tick) < step / 2 ? "0" : NumberText.compact(tick)
        case .scientific where abs(tick) < step / 2 || tick == 0: return "0"
        case .scientific where abs(upper) < 0.01: return Self.shortPower(tick)
        case .plain, .scientific: return abs(tick) >= 10_000 ? NumberText.compact(tick) : fixed(tick, step: step)
        }
    }

    /// `2e-4`, or `2.5e-4`.
    private static func shortPower(_ value: Double) -> String {
        let exponent = Int(clamping: (log10(abs(value)) + 1e-9).rounded(.down))
        let mantissa = NumberText.fixed(value / pow(10, Double(exponent)), places: 2)
        return "\(NumberText.trimmed(mantissa))e\(exponent)"
    }

    private static func range(_ values: [Double]) -> (Double, Double)? {
        let numbers = values.filter(\.isFinite).map { min(max($0, -largest), largest) }
        guard let low = numbers.min(), let high = numbers.max() else { return nil }
        return (low, high)
    }

    // Sums, differences and powers of ten of what lies between are numbers.
    private static let largest = 1e300
    private static let smallest = 1e-290

    /// The nearest of 1, 2 and 5 with any number of zeros.
    private static func step(_ wanted: Double) -> Double {
        let power = pow(10, log10(wanted).rounded(.down))
        let factor = wanted / power
        return (factor < 1.42 ? 1 : factor < 3.17 ? 2 : factor < 7.08 ? 5 : 10) * power
    }
}
