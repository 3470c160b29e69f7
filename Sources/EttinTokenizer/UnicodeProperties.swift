/// What the tokenizer needs to know about each code point, one byte per code point.
///
/// The table is filled on first use from `UnicodeTables`; 1.1 MB of address space, of which only the pages of the
/// scripts that occur are ever touched again.
final class UnicodeProperties: Sendable {
    /// Bits 0 and 1: the class in the split pattern.
    static let classMask: UInt8 = 3
    /// Neither letter nor number nor white space.
    static let other: UInt8 = 0
    /// `\p{L}`.
    static let letter: UInt8 = 1
    /// `\p{N}`.
    static let number: UInt8 = 2
    /// `\s`.
    static let space: UInt8 = 3
    /// NFC may change or move this character, or join it to one before it.
    static let unstableBit: UInt8 = 4
    /// A whole-word added token does not match next to this character.
    static let wordBit: UInt8 = 8
    /// NFD may change or move this character.
    static let decomposingBit: UInt8 = 16
    /// NFKC may change or move this character, or join it to one before it.
    static let compatibilityUnstableBit: UInt8 = 32
    /// NFKD may change or move this character.
    static let compatibilityDecomposingBit: UInt8 = 64

    /// The one instance.
    static let shared = UnicodeProperties()

    /// Flags by code point, `0..<0x110000`.
    let flags: SharedTable<UInt8>

    private init() {
        let flags = MutableTable<UInt8>(repeating: 0, count: 0x11_0000)
        let marks: [(table: StaticString, bits: UInt8)] = [
            (UnicodeTables.letters, Self.letter), (UnicodeTables.numbers, Self.number),
            (UnicodeTables.spaces, Self.space), (UnicodeTables.words, Self.wordBit),
            (UnicodeTables.unstable, Self.unstableBit),
        ]
        for mark in marks {
            var reader = Base36Reader(mark.table)
            var position = 0
            while let gap = reader.next(), let length = reader.next() {
                position += gap
                for code in position..<position + length { flags[code] |= mark.bits }
                position += length
            }
        }
        let composing = Self.unstableBit
        for code in 0..<0x11_0000 where flags[code] & composing != 0 { flags[code] |= Self.compatibilityUnstableBit }
        var reader = Base36Reader(UnicodeTables.combiningClasses)
        var position = 0
        while let gap = reader.next(), let length = reader.next(), reader.next() != nil {
            position += gap
            for code in position..<position + length { flags[code] |= Self.decomposingBits }
            position += length
        }
        reader = Base36Reader(UnicodeTables.decompositions)
        position = 0
        while let gap = reader.next(), let length = reader.next() {
            position += gap
            for _ in 0..<length { _ = reader.next() }
            flags[position] |= Self.decomposingBits
        }
        for code in 0xAC00..<0xAC00 + 11172 { flags[code] |= Self.decomposingBits }
        reader = Base36Reader(UnicodeTables.compatibility)
        position = 0
        while let gap = reader.next(), let count = reader.next(), let length = reader.next() {
            position += gap
            for _ in 0..<length { _ = reader.next() }
            for code in position..<position + count {
                flags[code] |= Self.compatibilityUnstableBit | Self.compatibilityDecomposingBit
            }
            position += count - 1
        }
        self.flags = flags.frozen()
    }

    private static let decomposingBits = decomposingBit | compatibilityDecomposingBit
}

/// Reads the numbers of a generated table.
struct Base36Reader {
    private let text: StaticString
    private var position = 0

    init(_ text: StaticString) {
        self.text = text
    }

    mutating func next() -> Int? {
        var value = 0
        var hasDigits = false
        while position < text.utf8CodeUnitCount {
            let byte = text.utf8Start[position]
            position += 1
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value * 36 + Int(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = value * 36 + Int(byte - UInt8(ascii: "a")) + 10
            default:
                if hasDigits { return value }
                continue
            }
            hasDigits = true
        }
        return hasDigits ? value : nil
    }
}
