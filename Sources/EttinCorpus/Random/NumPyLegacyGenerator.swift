/// NumPy's global generator after `numpy.random.seed`, bit for bit.
package struct NumPyLegacyGenerator: Sendable, Hashable {
    private var twister: MersenneTwister

    /// Seeds a generator.
    ///
    /// - Parameter seed: What `numpy.random.seed` is given.
    package init(seed: UInt32) {
        twister = MersenneTwister(seed: seed)
    }

    /// `randint(low, high)` of 64 bits: draws as many bits as the range has until they fit.
    ///
    /// - Parameter range: The values that can occur, at least one; no number is drawn for exactly one.
    /// - Returns: One of the values.
    package mutating func integer(in range: Range<Int>) -> Int {
        precondition(!range.isEmpty, "integer(in:): the range \(range) has no values")
        let last = UInt64(bitPattern: Int64(range.upperBound &- 1 &- range.lowerBound))
        if last == 0 { return range.lowerBound }
        let mask = UInt64.max >> UInt64(last.leadingZeroBitCount)
        while true {
            var bits = UInt64(twister.next32())
            if last > UInt64(UInt32.max) { bits = bits << 32 | UInt64(twister.next32()) }
            if bits & mask <= last { return range.lowerBound &+ Int(truncatingIfNeeded: bits & mask) }
        }
    }
}
