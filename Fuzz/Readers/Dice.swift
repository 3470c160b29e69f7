/// A small, fast, seedable generator (xorshift*), so that a run can be repeated from its seed.
package struct Dice {
    private var state: UInt64

    package init(seed: UInt64) {
        state = (seed &+ 1) &* 0x9E37_79B9_7F4A_7C15 | 1
        for _ in 0..<4 { _ = next() }
    }

    /// The generator of one run.
    package init(seed: UInt64, run: Int) {
        self.init(seed: seed &* 0xD134_2543_DE82_EF95 &+ UInt64(run))
    }

    package mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }

    /// A number from 0 up to, not including, `bound`.
    mutating func below(_ bound: Int) -> Int {
        bound <= 1 ? 0 : Int(next() >> 1) % bound
    }

    mutating func chance(_ share: Double) -> Bool { Double(next() >> 11) * 0x1p-53 < share }

    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[below(elements.count)]
    }
}
