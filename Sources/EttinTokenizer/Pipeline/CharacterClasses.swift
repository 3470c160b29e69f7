/// What normalisers, pre-tokenizers and split patterns know about each code point; filled on first use.
final class CharacterClasses: Sendable {
    /// A set of characters, one bit in `flags`.
    enum Class: UInt16, Sendable {
        case punctuation = 1
        case numeric = 2
        case accent = 4
        case bertAccent = 8
        case bertRemoved = 16
        case bertSpace = 32
        case chinese = 64
        case patternWord = 128
        case nmtRemoved = 256
        case nmtSpace = 512
        case clusterJoining = 1024
        case clusterSeparate = 2048
        case clusterPrepended = 4096
        case whiteSpace = 8192
        case word = 16384
    }

    /// The general categories in the order of their numbers.
    static let categoryNames = [
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
        "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Cs", "Cn",
    ]

    /// The one instance.
    static let shared = CharacterClasses()

    /// Bits of `Class` by code point.
    let flags: SharedTable<UInt16>
    /// Number of the general category by code point.
    let categories: SharedTable<UInt8>
    /// What to add to a code point for its lower case, by code point below `lowercaseLimit`.
    let lowercase: SharedTable<Int32>
    /// No character from here on has a lower case.
    static let lowercaseLimit: UInt32 = 0x20000

    private init() {
        let flags = MutableTable<UInt16>(capacity: 0x11_0000)
        let classes: [(StaticString, Class)] = [
            (UnicodeTables.punctuation, .punctuation), (UnicodeTables.numeric, .numeric),
            (UnicodeTables.accents, .accent), (UnicodeTables.bertAccents, .bertAccent),
            (UnicodeTables.bertRemoved, .bertRemoved), (UnicodeTables.bertSpaces, .bertSpace),
            (UnicodeTables.chinese, .chinese), (UnicodeTables.patternWords, .patternWord),
            (UnicodeTables.nmtRemoved, .nmtRemoved), (UnicodeTables.nmtSpaces, .nmtSpace),
            (UnicodeTables.clusterJoining, .clusterJoining), (UnicodeTables.clusterSeparate, .clusterSeparate),
            (UnicodeTables.clusterPrepended, .clusterPrepended), (UnicodeTables.spaces, .whiteSpace),
            (UnicodeTables.words, .word),
        ]
        for (table, characterClass) in classes {
            var reader = Base36Reader(table)
            var position = 0
            while let gap = reader.next(), let length = reader.next() {
                position += gap
                for code in position..<position + length { flags.pointer[code] |= characterClass.rawValue }
                position += length
            }
        }
        self.flags = flags.frozen()

        let categories = MutableTable<UInt8>(capacity: 0x11_0000)
        var reader = Base36Reader(UnicodeTables.categories)
        var position = 0
        while let length = reader.next(), let category = reader.next() {
            for code in position..<position + length { categories.pointer[code] = UInt8(category) }
            position += length
        }
        self.categories = categories.frozen()

        let lowercase = MutableTable<Int32>(capacity: Int(Self.lowercaseLimit))
        reader = Base36Reader(UnicodeTables.lowercase)
        var start = 0
        while let gap = reader.next(), let count = reader.next(), let step = reader.next(), let zigzag = reader.next() {
            start += gap
            let difference = Int32(zigzag % 2 == 0 ? zigzag / 2 : -(zigzag + 1) / 2)
            for index in 0..<count { lowercase.pointer[start + index * step] = difference }
        }
        self.lowercase = lowercase.frozen()
    }

    /// Whether a character is in a class.
    @inline(__always)
    func has(_ scalar: UInt32, _ characterClass: Class) -> Bool {
        flags.pointer[Int(scalar)] & characterClass.rawValue != 0
    }
}
