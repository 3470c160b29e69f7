// A Feistel network with cycle walking.
//
// - The network is a bijection of the smallest power of two that holds the range; whoever lands outside the range is
//   sent through again until it is inside, which keeps the bijection and costs less than two passes on average (more
//   only below 128 samples).
// - The keys of the rounds come from Philox, the mixing inside a round is two multiplications. A whole Philox per round
//   would cost twenty multiplications where two suffice: four rounds with random functions are indistinguishable from a
//   random permutation for as many queries as one half has values (Luby and Rackoff), and there are eight.
// - A shuffle that works on any range without walking (swap or not) needs some six rounds per bit, so about 240 for
//   10^12 samples.

package import EttinPrimitives

/// A random permutation of `0..<count` that is computed, not stored.
///
/// Each position is found in constant time and memory, whatever the count, and so is its inverse.
package struct KeyedPermutation: Sendable, Hashable {
    private static let rounds = 8
    // Shorter halves have too few round functions: with 4 bits, the 24 orders of four samples are not equally likely.
    private static let smallestWidth = 8

    /// The number of elements.
    package let count: Int
    private let lowWidth: UInt64
    private let highWidth: UInt64
    private let keys: SIMD8<UInt64>

    /// Creates a permutation.
    ///
    /// - Parameters:
    ///   - count: The number of elements.
    ///   - random: Where the keys are drawn from.
    ///   - number: Which permutation under the same generator.
    package init(count: Int, random: Philox, number: UInt64 = 0) {
        precondition(count >= 0, "KeyedPermutation: \(count) elements")
        self.count = count
        let width = max(Self.smallestWidth, Int.bitWidth - max(0, count - 1).leadingZeroBitCount)
        lowWidth = UInt64(width / 2)
        highWidth = UInt64(width - width / 2)
        var keys: SIMD8<UInt64> = .zero
        for pair in 0..<Self.rounds / 2 {
            let words = random.words(atBlock: number &* UInt64(Self.rounds / 2) &+ UInt64(pair))
            keys[2 * pair] = UInt64(words.x) << 32 | UInt64(words.y)
            keys[2 * pair + 1] = UInt64(words.z) << 32 | UInt64(words.w)
        }
        self.keys = keys
    }

    /// The element at a position.
    ///
    /// - Parameter position: A position in `0..<count`.
    /// - Returns: The element.
    /// - Complexity: O(1); on average less than two passes through the network from 128 elements on.
    @inline(__always)
    package func index(at position: Int) -> Int {
        precondition(0 <= position && position < count, "position is not among the elements")
        var value = UInt64(position)
        repeat { value = forward(value) } while value >= UInt64(count)
        return Int(value)
    }

    /// The position of an element: the inverse of ``index(at:)``.
    ///
    /// - Parameter index: An element in `0..<count`.
    /// - Returns: Its position.
    /// - Complexity: O(1).
    @inline(__always)
    package func position(of index: Int) -> Int {
        precondition(0 <= index && index < count, "index is not among the elements")
        var value = UInt64(index)
        repeat { value = backward(value) } while value >= UInt64(count)
        return Int(value)
    }

    @inline(__always)
    private func forward(_ value: UInt64) -> UInt64 {
        var low = value & (1 << lowWidth &- 1)
        var high = value >> lowWidth
        for pair in 0..<Self.rounds / 2 {
            high ^= Self.mixed(low, keys[2 * pair]) >> (64 &- highWidth)
            low ^= Self.mixed(high, keys[2 * pair + 1]) >> (64 &- lowWidth)
        }
        return high << lowWidth | low
    }

    @inline(__always)
    private func backward(_ value: UInt64) -> UInt64 {
        var low = value & (1 << lowWidth &- 1)
        var high = value >> lowWidth
        for pair in (0..<Self.rounds / 2).reversed() {
            low ^= Self.mixed(high, keys[2 * pair + 1]) >> (64 &- lowWidth)
            high ^= Self.mixed(low, keys[2 * pair]) >> (64 &- highWidth)
        }
        return high << lowWidth | low
    }

    // The highest bits are the well mixed ones. The multipliers are MurmurHash3's.
    @inline(__always)
    private static func mixed(_ half: UInt64, _ key: UInt64) -> UInt64 {
        var value = (half ^ key) &* 0xFF51_AFD7_ED55_8CCD
        value ^= value >> 32
        return value &* 0xC4CE_B9FE_1A85_EC53
    }
}
