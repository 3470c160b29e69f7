// Numbers of files are bounded before anything is computed with them: a count that is merely not negative overflows
// with the first addition, and a floating-point number may be NaN, infinite or beyond every integer.
// What is computed with is refused when it does not fit (nil); what is only shown is clamped.

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

    /// The sum; nil when it does not fit.
    package func adding(checked other: Int) -> Int? {
        let (sum, overflows) = addingReportingOverflow(other)
        return overflows ? nil : sum
    }

    /// The product; nil when it does not fit.
    package func multiplied(checked other: Int) -> Int? {
        let (product, overflows) = multipliedReportingOverflow(by: other)
        return overflows ? nil : product
    }
}

extension Sequence<Int> {
    /// The sum of all elements; nil when it, or the sum of those before one, does not fit.
    package func checkedSum() -> Int? {
        reduce(into: Int?.some(0)) { sum, element in sum = sum?.adding(checked: element) }
    }

    /// The sum, or the nearest `Int` where it is beyond the range of one.
    package func clampedSum() -> Int {
        reduce(0) { sum, number in
            let (next, overflow) = sum.addingReportingOverflow(number)
            return overflow ? (number < 0 ? .min : .max) : next
        }
    }
}
