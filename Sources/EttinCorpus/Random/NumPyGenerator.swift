/// `numpy.random.Generator`, bit for bit, for the draws that published data orders and masks are made of.
package struct NumPyGenerator: Sendable, Hashable {
    private var bits: PCG64
    // The high half of the last word that was drawn for a 32-bit number.
    private var spare: UInt32?

    /// Seeds a generator.
    ///
    /// - Parameters:
    ///   - seed: What `numpy.random.default_rng` or `PCG64DXSM` is given.
    ///   - variant: `rotated` for `default_rng`, `dxsm` for `Generator(PCG64DXSM(seed))`.
    package init(seed: UInt64, variant: PCG64.Variant = .rotated) {
        bits = PCG64(seed: SeedSequence(seed), variant: variant)
    }

    /// The next 64 random bits; a 32-bit half that was put aside stays there.
    @inline(__always)
    package mutating func next64() -> UInt64 { bits.next() }

    /// The next 32 random bits: the low half of a word, then its high half.
    @inline(__always)
    package mutating func next32() -> UInt32 {
        if let value = spare {
            spare = nil
            return value
        }
        let word = bits.next()
        spare = UInt32(truncatingIfNeeded: word >> 32)
        return UInt32(truncatingIfNeeded: word)
    }

    /// `random()`: a number in [0, 1).
    @inline(__always)
    package mutating func random() -> Double { Double(bits.next() >> 11) * 0x1p-53 }

    /// `uniform(low, high)`: a number in [low, high).
    ///
    /// - Parameters:
    ///   - low: The lower bound.
    ///   - high: The upper bound.
    /// - Returns: A number.
    @inline(__always)
    package mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * random() }

    /// `integers(low, high)` of 64 bits: Lemire's multiplication with rejection.
    ///
    /// - Parameter range: The values that can occur, at least one; no number is drawn for exactly one.
    /// - Returns: One of the values.
    package mutating func integer(in range: Range<Int>) -> Int {
        precondition(!range.isEmpty, "integer(in:): the range \(range) has no values")
        let last = UInt64(bitPattern: Int64(range.upperBound &- 1 &- range.lowerBound))
        return range.lowerBound &+ Int(truncatingIfNeeded: bounded(last))
    }

    // A number in 0...last.
    @inline(__always)
    private mutating func bounded(_ last: UInt64) -> UInt64 {
        if last == 0 { return 0 }
        if last < UInt64(UInt32.max) {
            let width = UInt32(last) + 1
            var product = UInt64(next32()) * UInt64(width)
            if UInt32(truncatingIfNeeded: product) < width {
                let threshold = (UInt32.max - UInt32(last)) % width
                while UInt32(truncatingIfNeeded: product) < threshold { product = UInt64(next32()) * UInt64(width) }
            }
            return product >> 32
        }
        if last == UInt64(UInt32.max) { return UInt64(next32()) }
        if last == .max { return next64() }
        let width = last + 1
        var product = width.multipliedFullWidth(by: next64())
        if product.low < width {
            let threshold = (UInt64.max - last) % width
            while product.low < threshold { product = width.multipliedFullWidth(by: next64()) }
        }
        return product.high
    }

    // A number in 0...last by drawing as many bits as it has until they fit, as `shuffle` does.
    @inline(__always)
    private mutating func interval(_ last: UInt64) -> UInt64 {
        let mask = UInt64.max >> UInt64(last.leadingZeroBitCount)
        if last <= UInt64(UInt32.max) {
            while true {
                let value = UInt64(next32()) & mask
                if value <= last { return value }
            }
        }
        while true {
            let value = next64() & mask
            if value <= last { return value }
        }
    }

    /// `shuffle`: puts elements into random order.
    ///
    /// - Parameter elements: What to shuffle, in place.
    package mutating func shuffle<Elements: MutableCollection & RandomAccessCollection>(_ elements: inout Elements)
    where Elements.Index == Int {
        let start = elements.startIndex
        var last = elements.count - 1
        while last > 0 {
            elements.swapAt(start + last, start + Int(interval(UInt64(last))))
            last -= 1
        }
    }

    /// `permutation(count)`: the numbers from 0 in random order.
    ///
    /// - Parameters:
    ///   - count: How many numbers.
    ///   - type: The type of the numbers; a narrow one that holds them saves memory and changes no number.
    /// - Returns: The permutation.
    package mutating func permutation<Value: FixedWidthInteger>(
        _ count: Int,
        as type: Value.Type = Int.self
    ) -> [Value] {
        var values = (0..<count).map { Value($0) }
        values.withUnsafeMutableBufferPointer { buffer in shuffle(&buffer) }
        return values
    }

    /// `choice(count, size, replace=False)`: some of the numbers from 0, each at most once.
    ///
    /// - Parameters:
    ///   - size: How many numbers.
    ///   - count: The number below which they are.
    /// - Returns: The numbers, in random order.
    package mutating func choice(_ size: Int, of count: Int) -> [Int] {
        precondition(0 <= size && size <= count, "choice: \(size) of \(count)")
        if count > 10_000, size > count / 50 {
            var values = Array(0..<count)
            for last in stride(from: count - 1, through: max(count - size, 1), by: -1) {
                values.swapAt(last, Int(bounded(UInt64(last))))
            }
            return Array(values.suffix(size))
        }
        // Floyd's method, whose last numbers come more often in the back: so they are shuffled.
        var taken = Set<Int>()
        var values: [Int] = []
        for last in count - size..<count {
            let value = Int(bounded(UInt64(last)))
            let chosen = taken.contains(value) ? last : value
            taken.insert(chosen)
            values.append(chosen)
        }
        for last in stride(from: size - 1, through: 1, by: -1) {
            values.swapAt(last, Int(bounded(UInt64(last))))
        }
        return values
    }

    /// `sum` of an array of numbers: in pairs, whose rounding differs from that of one number after the other.
    static func sum(_ numbers: ArraySlice<Double>) -> Double {
        let count = numbers.count
        if count < 8 { return numbers.reduce(0, +) }
        guard count <= 128 else {
            let half = numbers.startIndex + (count / 2 - count / 2 % 8)
            return sum(numbers[..<half]) + sum(numbers[half...])
        }
        var lanes = Array(numbers.prefix(8))
        let whole = count - count % 8
        for place in 8..<whole { lanes[place % 8] += numbers[numbers.startIndex + place] }
        let sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
        return numbers.dropFirst(whole).reduce(sum, +)
    }
}
