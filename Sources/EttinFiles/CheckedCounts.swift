// Sums and products of numbers that come from files: nil where a number would not fit, instead of a trap.

extension Int {
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
}
