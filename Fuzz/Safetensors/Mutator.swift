/// A small, fast, seedable generator (xorshift*), so that a run can be repeated from its seed.
struct Dice {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    }

    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }

    /// A number from 0 up to, not including, `bound`.
    mutating func below(_ bound: Int) -> Int {
        bound <= 1 ? 0 : Int(next() % UInt64(bound))
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[below(elements.count)]
    }
}

/// Changes bytes in the ways in which files are damaged or forged.
struct Mutator {
    /// Numbers at the edges of their types, as text and as bytes.
    private static let edges: [UInt64] = [
        0, 1, 7, 8, 127, 128, 255, 256, 65535, 65536, 1 << 31, 1 << 32, 1 << 33, UInt64(Int64.max), 1 << 63, .max,
        .max - 7, 100_000_000, 100_000_001,
    ]
    private static let words = [
        "null", "true", "-1", "1e999", "NaN", "Infinity", "\"\"", "{}", "[]", "[[[[[[[[[[[[[", "9223372036854775807",
        "18446744073709551616", "0.5", "\"F4\"", "\"BF16\"", "\"XX\"", "__metadata__", "..", "../x", "/etc/passwd",
        "\\ud800", "\u{0}", "linear", "sliding_attention", "full_attention", "default",
    ]

    /// Makes no change at times, mostly one, at most four.
    static func mutated(_ input: [UInt8], other: [UInt8], _ dice: inout Dice) -> [UInt8] {
        var bytes = input
        for _ in 0..<dice.pick([0, 1, 1, 1, 1, 1, 2, 2, 3, 4]) { change(&bytes, other: other, &dice) }
        return bytes
    }

    private static func change(_ bytes: inout [UInt8], other: [UInt8], _ dice: inout Dice) {
        guard !bytes.isEmpty else {
            bytes = other
            return
        }
        let place = dice.below(bytes.count)
        switch dice.below(11) {
        case 0: bytes[place] ^= 1 << UInt8(dice.below(8))
        case 1: bytes[place] = UInt8(truncatingIfNeeded: dice.next())
        case 2: bytes.remove(at: place)
        case 3: bytes.insert(UInt8(truncatingIfNeeded: dice.next()), at: place)
        case 4: bytes.removeLast(bytes.count - place)
        case 5: overwrite(&bytes, place, dice.pick(edges), width: dice.pick([1, 2, 4, 8]))
        case 6: bytes.replaceSubrange(place..<place, with: Array(dice.pick(words).utf8))
        case 7: replaceNumber(&bytes, from: place, with: Array("\(dice.pick(edges))".utf8))
        case 8:
            // Repeat a stretch.
            let end = min(bytes.count, place + 1 + dice.below(40))
            let copies = dice.pick([1, 2, 50])
            let stretch = Array(bytes[place..<end])
            for _ in 0..<copies { bytes.insert(contentsOf: stretch, at: place) }
        case 9:
            // Remove a stretch.
            bytes.removeSubrange(place..<min(bytes.count, place + 1 + dice.below(40)))
        default:
            // Continue with another file.
            let cut = dice.below(other.count)
            bytes = Array(bytes[..<place]) + other[cut...]
        }
        if bytes.count > 1 << 16 { bytes.removeLast(bytes.count - 1 << 16) }
    }

    private static func overwrite(_ bytes: inout [UInt8], _ place: Int, _ value: UInt64, width: Int) {
        for offset in 0..<width where place + offset < bytes.count {
            bytes[place + offset] = UInt8(truncatingIfNeeded: value >> UInt64(8 * offset))
        }
    }

    private static func replaceNumber(_ bytes: inout [UInt8], from place: Int, with text: [UInt8]) {
        let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
        guard let start = bytes[place...].firstIndex(where: isDigit) else { return }
        let end = bytes[start...].firstIndex { !isDigit($0) } ?? bytes.count
        bytes.replaceSubrange(start..<end, with: text)
    }
}
