/// Python's `random.Random`, bit for bit, for an integer seed.
package struct PythonGenerator: Sendable, Hashable {
    private var twister: MersenneTwister

    /// Seeds a generator.
    ///
    /// - Parameter seed: What `random.seed` is given.
    package init(seed: UInt64) {
        let high = UInt32(truncatingIfNeeded: seed >> 32)
        twister = MersenneTwister(key: [UInt32(truncatingIfNeeded: seed)] + (high == 0 ? [] : [high]))
    }

    /// `random()`: a number in [0, 1).
    package mutating func random() -> Double {
        let high = twister.next32() >> 5
        let low = twister.next32() >> 6
        return (Double(high) * 0x1p26 + Double(low)) * 0x1p-53
    }

    /// `getrandbits(count)`.
    ///
    /// - Parameter count: How many bits, from 1 to 64.
    /// - Returns: A number of so many bits.
    package mutating func bits(_ count: Int) -> UInt64 {
        precondition(1...64 ~= count, "bits(_:): \(count) bits are not between 1 and 64")
        if count <= 32 { return UInt64(twister.next32() >> UInt32(32 - count)) }
        let low = UInt64(twister.next32())
        return UInt64(twister.next32() >> UInt32(64 - count)) << 32 | low
    }

    /// `randrange(limit)`: draws as many bits as the limit has until they are below it.
    ///
    /// - Parameter limit: One more than the largest number that can occur; at least 1.
    /// - Returns: A number from 0.
    package mutating func integer(below limit: Int) -> Int {
        precondition(limit > 0, "integer(below:): \(limit) is not positive")
        let width = Int.bitWidth - limit.leadingZeroBitCount
        while true {
            let value = bits(width)
            if value < UInt64(limit) { return Int(value) }
        }
    }

    /// `choice`: one of the elements.
    ///
    /// - Parameter elements: What to choose from; at least one.
    /// - Returns: The element.
    package mutating func choice<Element>(_ elements: [Element]) -> Element {
        elements[integer(below: elements.count)]
    }

    /// `shuffle`: puts elements into random order.
    ///
    /// - Parameter elements: What to shuffle, in place.
    package mutating func shuffle<Element>(_ elements: inout [Element]) {
        for last in stride(from: elements.count - 1, to: 0, by: -1) {
            elements.swapAt(last, integer(below: last + 1))
        }
    }
}

extension PythonGenerator {
    /// `sample(range(limit), k=count)`: different numbers in random order.
    ///
    /// - Parameters:
    ///   - limit: One more than the largest number that can occur.
    ///   - count: How many; at most `limit`.
    /// - Returns: Numbers from 0.
    ///
    /// > Source: CPython 3.11, `Lib/random.py`; the same draws up to 3.13.
    package mutating func sample(_ limit: Int, _ count: Int) -> [Int] {
        precondition(count >= 0 && count <= limit, "sample(_:_:): \(count) of \(limit)")
        // A pool is copied where it is smaller than a set would be: the set's size is the power of 4 above 3 · count.
        var setSize = 21
        if count > 5 {
            var power = 1
            while power < count * 3 { power *= 4 }
            setSize += power
        }
        guard limit > setSize else {
            var pool = Array(0..<limit)
            return (0..<count).map { index in
                let place = integer(below: limit - index)
                let chosen = pool[place]
                pool[place] = pool[limit - index - 1]
                return chosen
            }
        }
        var chosen: Set<Int> = []
        return (0..<count).map { _ in
            var number = integer(below: limit)
            while !chosen.insert(number).inserted { number = integer(below: limit) }
            return number
        }
    }
}
