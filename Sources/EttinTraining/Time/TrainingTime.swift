import EttinFiles

/// A point or a span of training time: a number with the unit it is counted in.
///
/// > Source: Composer's time strings, such as `1_000tok`, `500ba` or `0.1dur`.
public struct TrainingTime: Hashable, Sendable, CustomStringConvertible {
    /// What training time is counted in.
    public enum Unit: String, Hashable, Sendable, CaseIterable {
        /// Steps, another word for batches.
        case iteration = "iter"
        /// Passes over the data.
        case epoch = "ep"
        /// Global batches.
        case batch = "ba"
        /// Sequences.
        case sample = "sp"
        /// Tokens.
        case token = "tok"
        /// The whole duration of a run, of which a span is a fraction.
        case duration = "dur"
        /// Seconds of training.
        case second = "sec"
    }

    /// The number; whole for all units but durations and seconds.
    public let value: Double
    /// The unit.
    public let unit: Unit

    /// Creates a time.
    ///
    /// - Parameters:
    ///   - value: The number, not negative.
    ///   - unit: The unit.
    public init(_ value: Double, _ unit: Unit) {
        self.value = value
        self.unit = unit
    }

    /// Reads a text such as `1_700_000_000_000tok`, `2ep` or `0.5dur`.
    ///
    /// - Parameters:
    ///   - text: A number, in which underscores count for nothing, and a unit.
    ///   - key: The key of the recipe, for messages.
    /// - Throws: `TrainingError` for anything else, a negative number, and a part of what is counted whole.
    public init(parsing text: String, key: String) throws {
        let split = text.lastIndex { !$0.isLetter }.map(text.index(after:)) ?? text.startIndex
        let digits = text[..<split].filter { $0 != "_" }
        guard let unit = Unit(rawValue: String(text[split...])), let value = Double(digits), value.isFinite else {
            throw TrainingError(
                .invalidOption,
                key,
                found: "is \(quoted(text))",
                expected: "a number with a unit: " + Unit.allCases.map(\.rawValue).joined(separator: ", ")
            )
        }
        guard value <= Double(Int.largestCount) else {
            throw TrainingError(
                .invalidOption,
                key,
                found: "is \(quoted(text))",
                expected: "at most \(Int.largestCount)\(unit.rawValue)"
            )
        }
        guard value >= 0, unit == .duration || unit == .second || value == value.rounded() else {
            throw TrainingError(
                .invalidOption,
                key,
                found: "is \(quoted(text))",
                expected: "a whole number of \(unit.rawValue) that is not negative"
            )
        }
        self.init(value, unit)
    }

    /// The text that reads as this time.
    public var description: String {
        value == value.rounded() && abs(value) < 1e18 ? "\(Int(value))\(unit.rawValue)" : "\(value)\(unit.rawValue)"
    }

    /// This span, or the fraction of a run that it is, in the unit of the run's length.
    ///
    /// A fraction of what is counted whole is cut to a whole number, as Composer cuts it; of passes over the data it stays
    /// one, because a part of a pass is whole batches.
    ///
    /// - Parameter maximum: The length of the run, in any unit but durations.
    /// - Returns: The same span, never in durations.
    public func resolved(in maximum: TrainingTime) -> TrainingTime {
        guard unit == .duration else { return self }
        let span = value * maximum.value
        let isWhole = maximum.unit != .epoch && maximum.unit != .second
        return TrainingTime(isWhole ? span.rounded(.down) : span, maximum.unit)
    }
}
