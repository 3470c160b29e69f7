/// A regular expression of a pre-tokenizer, matched as Oniguruma does: alternatives in order, by backtracking.
///
/// What the patterns of published tokenizers use is supported: literals, classes with general categories, groups,
/// repetition in greedy, lazy and possessive form, look-ahead, word boundaries and case-insensitive ASCII.
/// `SplitExpressionParser` refuses the rest by name.
final class SplitExpression: Sendable {
    /// A set of characters.
    struct CharacterSet: Sendable {
        /// Which characters `\w` stands for.
        enum Words: Sendable {
            /// Those of Oniguruma, which has `²` and the like among them outside of brackets,
            case escape
            /// but not inside.
            case bracketed
            /// Those of Unicode, with the zero-width joiners.
            case unicode

            @inline(__always)
            func contains(_ scalar: UInt32) -> Bool {
                let classes = CharacterClasses.shared
                return switch self {
                case .escape: classes.has(scalar, .patternWord)
                case .bracketed: classes.has(scalar, .patternWord) && classes.has(scalar, .word)
                case .unicode: classes.has(scalar, .word)
                }
            }
        }

        /// One bit per ASCII character.
        var low: UInt64 = 0
        var high: UInt64 = 0
        /// One bit per general category, for other characters.
        var categories: UInt32 = 0
        var hasSpaces = false
        var hasOtherThanSpaces = false
        var hasWords = false
        var hasOtherThanWords = false
        var words = Words.escape
        var ranges: [ClosedRange<UInt32>] = []
        var isNegated = false

        /// Whether a character is in the set.
        @inline(__always)
        func contains(_ scalar: UInt32) -> Bool {
            if scalar < 64 { return low >> UInt64(scalar) & 1 != 0 }
            if scalar < 128 { return high >> UInt64(scalar - 64) & 1 != 0 }
            return containsOther(scalar)
        }

        /// By the members, as the bits of ASCII are made of these.
        func containsOther(_ scalar: UInt32) -> Bool {
            let classes = CharacterClasses.shared
            var isMember = categories >> UInt32(classes.categories[Int(scalar)]) & 1 != 0
            if !isMember, hasSpaces || hasOtherThanSpaces {
                isMember = classes.has(scalar, .whiteSpace) ? hasSpaces : hasOtherThanSpaces
            }
            if !isMember, hasWords || hasOtherThanWords {
                isMember = words.contains(scalar) ? hasWords : hasOtherThanWords
            }
            if !isMember {
                for range in ranges where range.contains(scalar) {
                    isMember = true
                    break
                }
            }
            return isMember != isNegated
        }

        /// Fills the bits of the ASCII characters.
        mutating func freeze() {
            (low, high) = (0, 0)
            for scalar in 0..<128 as Range<UInt32> where containsOther(scalar) {
                if scalar < 64 { low |= 1 << UInt64(scalar) } else { high |= 1 << UInt64(scalar - 64) }
            }
        }
    }

    /// A step of the machine.
    enum Instruction: Sendable {
        /// One byte.
        case byte(UInt8)
        /// One character of a set.
        case set(Int)
        /// Characters of a set, as many as there are within the bounds, and fewer when what follows needs some back.
        case loop(set: Int, least: Int, most: Int, givesBack: Bool)
        /// The first place to go on, then the second.
        case choose(Int, Int)
        case jump(Int)
        /// What follows up to `end` must match here, or must not, and is not taken.
        case look(isNegative: Bool, end: Int)
        case wordBoundary(isNegative: Bool)
        /// The end, or a line feed behind.
        case lineEnd
        case accept
    }

    /// The pattern as written.
    let source: String
    private let instructions: [Instruction]
    private let sets: [CharacterSet]
    /// Where the alternatives begin.
    private let alternatives: [Int]
    /// For each byte that a match can begin with, one bit per alternative; the last of 64 stands for all behind it.
    private let firstBytes: SharedTable<UInt64>

    init(
        source: String,
        instructions: [Instruction],
        sets: [CharacterSet],
        alternatives: [(start: Int, firstBytes: [Bool])]
    ) {
        self.source = source
        self.instructions = instructions
        self.sets = sets
        self.alternatives = alternatives.map(\.start)
        let table = MutableTable<UInt64>(capacity: 256)
        for (index, alternative) in alternatives.enumerated() {
            for byte in 0..<256 where alternative.firstBytes[byte] { table[byte] |= 1 << UInt64(min(index, 63)) }
        }
        firstBytes = table.frozen()
    }

    /// The first match at or behind a position that is not empty; what precedes it from `textStart` on is looked at.
    func firstMatch(
        _ text: UnsafePointer<UInt8>,
        _ start: Int,
        _ end: Int,
        textStart: Int,
        _ state: inout PatternState
    ) -> Range<Int>? {
        let search = state.beginSearch()
        return instructions.withUnsafeBufferPointer { instructions in
            sets.withUnsafeBufferPointer { sets in
                let machine = Machine(
                    instructions: instructions,
                    sets: sets,
                    text: text,
                    start: textStart,
                    end: end,
                    search: search
                )
                var position = start
                while position < end {
                    if let matchEnd = match(machine, position, &state) { return position..<matchEnd }
                    position += AlignedText.length(leadByte: text[position])
                }
                return nil
            }
        }
    }

    @inline(__always)
    private func match(_ machine: Machine, _ position: Int, _ state: inout PatternState) -> Int? {
        var candidates = firstBytes.pointer[Int(machine.text[position])]
        while candidates != 0 {
            let index = candidates.trailingZeroBitCount
            candidates &= candidates &- 1
            let last = index == 63 ? alternatives.count - 1 : index
            for alternative in index...max(index, last) {
                if let end = machine.run(alternatives[alternative], position, machine.search, &state), end > position {
                    return end
                }
            }
        }
        return nil
    }

    /// Runs instructions on one text.
    private struct Machine {
        let instructions: UnsafeBufferPointer<Instruction>
        let sets: UnsafeBufferPointer<CharacterSet>
        let text: UnsafePointer<UInt8>
        /// Nothing before this is looked at.
        let start: Int
        let end: Int
        /// The number of this search in `PatternState`.
        let search: Int

        /// The end of a match that begins at a position.
        ///
        /// Dead ends are noted under the number of a search, which runs share until one succeeds.
        func run(_ instruction: Int, _ position: Int, _ search: Int, _ state: inout PatternState) -> Int? {
            let base = state.choices.count
            defer { state.choices.count = base }
            var instruction = instruction
            var position = position
            while true {
                var hasFailed = false
                switch instructions[instruction] {
                case .accept: return position
                case .byte(let byte):
                    if position < end, text[position] == byte {
                        position += 1
                        instruction += 1
                    } else {
                        hasFailed = true
                    }
                case .set(let set):
                    if let next = step(set, position) {
                        position = next
                        instruction += 1
                    } else {
                        hasFailed = true
                    }
                case .loop(let set, let least, let most, let givesBack):
                    if let next = loop(set, least, most, givesBack, position, instruction, &state) {
                        position = next
                        instruction += 1
                    } else {
                        hasFailed = true
                    }
                case .choose(let first, let second):
                    guard state.isNew(2 * instruction, position, search) else {
                        hasFailed = true
                        break
                    }
                    let choice = PatternState.Choice(
                        instruction: Int32(truncatingIfNeeded: second),
                        position: position,
                        floor: -1
                    )
                    state.choices.append(choice)
                    instruction = first
                case .jump(let target): instruction = target
                case .look(let isNegative, let target):
                    if (run(instruction + 1, position, state.beginLook(), &state) == nil) == isNegative {
                        instruction = target
                    } else {
                        hasFailed = true
                    }
                case .lineEnd:
                    if position == end || text[position] == UInt8(ascii: "\n") {
                        instruction += 1
                    } else {
                        hasFailed = true
                    }
                case .wordBoundary(let isNegative):
                    if (isWord(before: position) != isWord(at: position)) != isNegative {
                        instruction += 1
                    } else {
                        hasFailed = true
                    }
                }
                guard hasFailed else { continue }
                guard let choice = nextChoice(base, search, &state) else { return nil }
                (instruction, position) = choice
            }
        }

        private func nextChoice(
            _ base: Int,
            _ search: Int,
            _ state: inout PatternState
        ) -> (instruction: Int, position: Int)? {
            state.failureCount += 1
            while state.choices.count > base {
                let last = state.choices.count - 1
                var choice = state.choices[last]
                let instruction = Int(choice.instruction)
                guard choice.floor >= 0 else {
                    state.choices.count = last
                    return (instruction, choice.position)
                }
                // A loop gives back its last character.
                repeat { choice.position -= 1 } while text[choice.position] & 0xC0 == 0x80
                if choice.position > choice.floor {
                    state.choices[last] = choice
                } else {
                    state.choices.count = last
                }
                if state.isNew(2 * instruction + 1, choice.position, search) { return (instruction, choice.position) }
            }
            return nil
        }

        @inline(__always)
        private func step(_ set: Int, _ position: Int) -> Int? {
            guard position < end else { return nil }
            let (scalar, next) = decodeScalar(UnsafeBufferPointer(start: text, count: end), position)
            return sets[set].contains(scalar) ? next : nil
        }

        private func loop(
            _ set: Int,
            _ least: Int,
            _ most: Int,
            _ givesBack: Bool,
            _ start: Int,
            _ instruction: Int,
            _ state: inout PatternState
        ) -> Int? {
            var position = start
            for _ in 0..<least {
                guard let next = step(set, position) else { return nil }
                position = next
            }
            let floor = position
            var count = least
            let members = sets.baseAddress.map { $0 + set }
            while position < end, count < most {
                let (scalar, next) = decodeScalar(UnsafeBufferPointer(start: text, count: end), position)
                guard members?.pointee.contains(scalar) ?? false else { break }
                position = next
                count += 1
            }
            if givesBack, position > floor {
                let choice = PatternState.Choice(
                    instruction: Int32(truncatingIfNeeded: instruction + 1),
                    position: position,
                    floor: floor
                )
                state.choices.append(choice)
            }
            return position
        }

        private func isWord(at position: Int) -> Bool {
            guard position < end else { return false }
            let scalar = decodeScalar(UnsafeBufferPointer(start: text, count: end), position).scalar
            return CharacterClasses.shared.has(scalar, .patternWord)
        }

        private func isWord(before position: Int) -> Bool {
            var start = position
            guard start > self.start else { return false }
            repeat { start -= 1 } while start > self.start && text[start] & 0xC0 == 0x80
            return isWord(at: start)
        }
    }
}
