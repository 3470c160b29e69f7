// Numbers of files are bounded before anything is computed with them: a count that is merely not negative overflows
// with the first addition, and a floating-point number may be NaN, infinite or beyond every integer.

extension Int {
    /// The largest count that a file may claim.
    ///
    /// Up to it every whole number is exact as a `Double`, and a thousand of them can be added without overflow.
    package static let largestCount = 1 << 53

    /// The integer part of a number; the nearest `Int` for what is beyond its range, and 0 for NaN.
    ///
    /// - Parameter value: Any number.
    package init(clamping value: Double) {
        if value.isNaN {
            self = 0
        } else {
            self = Int(exactly: value.rounded(.towardZero)) ?? (value < 0 ? .min : .max)
        }
    }
}

extension Sequence where Element == Int {
    /// The sum, or the nearest `Int` where it is beyond the range of one.
    package func clampedSum() -> Int {
        reduce(0) { sum, number in
            let (next, overflow) = sum.addingReportingOverflow(number)
            return overflow ? (number < 0 ? .min : .max) : next
        }
    }
}
