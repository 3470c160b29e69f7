/// One merge rule: two neighbouring tokens become one.
struct Merge: BitwiseCopyable, Hashable {
    let left: Int32
    let right: Int32
    /// The token that the pair becomes.
    let merged: Int32
}

/// Merge rules by pair; the position of a rule is its rank, and low ranks go first.
final class MergeTable: Sendable {
    /// The rules in rank order.
    let merges: SharedTable<Merge>
    private let keys: SharedTable<UInt64>
    private let values: SharedTable<UInt64>
    private let shift: UInt64
    private let mask: Int

    /// No rule; larger than any value.
    static let none = UInt64.max

    init(_ merges: [Merge]) {
        var bits: UInt64 = 4
        while 1 << bits < merges.count * 2 { bits += 1 }
        let keys = MutableTable<UInt64>(repeating: Self.none, count: 1 << bits)
        let values = MutableTable<UInt64>(capacity: 1 << bits)
        shift = 64 - bits
        mask = 1 << bits - 1
        for (rank, merge) in merges.enumerated() {
            let key = Self.key(merge.left, merge.right)
            var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> shift)
            while keys[slot] != Self.none, keys[slot] != key { slot = (slot + 1) & mask }
            keys[slot] = key
            // A pair that is listed twice has its later rank, as in the original.
            values[slot] = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: merge.merged))
        }
        self.keys = keys.frozen()
        self.values = values.frozen()
        self.merges = SharedTable(merges)
    }

    /// Rank in the upper and merged token in the lower half, or `none`.
    @inline(__always)
    func value(_ left: Int32, _ right: Int32) -> UInt64 {
        let key = Self.key(left, right)
        var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> shift)
        while true {
            let found = keys.pointer[slot]
            if found == key { return values.pointer[slot] }
            if found == Self.none { return Self.none }
            slot = (slot + 1) & mask
        }
    }

    @inline(__always)
    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }
}
