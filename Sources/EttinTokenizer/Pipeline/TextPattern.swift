/// What a normaliser replaces or a pre-tokenizer cuts at.
enum TextPattern: Sendable {
    /// A literal text, not empty.
    case string([UInt8])
    /// Each character of a class.
    case characters(CharacterClasses.Class)
    case expression(SplitExpression)

    /// The first match at or behind a position.
    ///
    /// - Parameters:
    ///   - text: Valid UTF-8.
    ///   - start: Start of a character, or the end.
    ///   - end: End of the text, behind which nothing is looked at.
    ///   - textStart: Start of the text, before which nothing is looked at.
    ///   - state: Memory of this thread.
    /// - Returns: A range that is not empty, or nil.
    func firstMatch(
        _ text: UnsafePointer<UInt8>,
        _ start: Int,
        _ end: Int,
        textStart: Int,
        _ state: inout PatternState
    ) -> Range<Int>? {
        switch self {
        case .string(let content):
            guard let first = content.first else { return nil }
            return content.withUnsafeBufferPointer { content in
                var position = start
                while position + content.count <= end {
                    if text[position] == first, let base = content.baseAddress,
                        equalBytes(text + position, base, content.count)
                    {
                        return position..<position + content.count
                    }
                    position += 1
                }
                return nil
            }
        case .characters(let characterClass):
            let flags = CharacterClasses.shared.flags.pointer
            let buffer = UnsafeBufferPointer(start: text, count: end)
            var position = start
            while position < end {
                let (scalar, next) = decodeScalar(buffer, position)
                if flags[Int(scalar)] & characterClass.rawValue != 0 { return position..<next }
                position = next
            }
            return nil
        case .expression(let expression):
            return expression.firstMatch(text, start, end, textStart: textStart, &state)
        }
    }
}

/// What a pattern writes while it is matched; one per thread.
struct PatternState: ~Copyable {
    /// A choice that was not taken yet.
    struct Choice: BitwiseCopyable {
        var instruction: Int32
        var position: Int
        /// A loop gives back characters down to here; negative when this is no loop.
        var floor: Int
    }

    var choices = Scratch<Choice>()

    // MARK: - Dead ends

    /// A step at a position that has been tried, in a search where nothing tried has led to a match.
    private struct DeadEnd: BitwiseCopyable {
        var step: Int
        var position: Int
        var search: Int
    }

    /// How many times the present search had to try something else.
    var failureCount = 0
    private var searchCount = 0
    /// A table that forgets: a dead end has one place, and the newest takes it.
    private var deadEnds: [DeadEnd] = []
    private static let tableBits = 16
    /// Common searches have fewer failures, and note nothing.
    private static let patience = 4096

    /// Begins a search, and returns its number.
    mutating func beginSearch() -> Int {
        failureCount = 0
        return beginLook()
    }

    /// Begins to look ahead, and returns the number that dead ends are noted under meanwhile.
    mutating func beginLook() -> Int {
        searchCount += 1
        return searchCount
    }

    /// Whether a step has not been tried at a position, as far as is remembered; notes that it is now.
    ///
    /// What follows from a step depends on nothing but the position, so that trying it again would fail again. Without
    /// this, patterns like `(?:a|aa)+b` take time that doubles with each character.
    @inline(__always)
    mutating func isNew(_ step: Int, _ position: Int, _ search: Int) -> Bool {
        failureCount < Self.patience || note(step, position, search)
    }

    @inline(never)
    private mutating func note(_ step: Int, _ position: Int, _ search: Int) -> Bool {
        if deadEnds.isEmpty {
            let none = DeadEnd(step: -1, position: -1, search: -1)
            deadEnds = Array(repeating: none, count: 1 << Self.tableBits)
        }
        let mixed = UInt64(truncatingIfNeeded: position &* 65_599 &+ step) &* 0x9E37_79B9_7F4A_7C15
        let place = Int(mixed >> UInt64(64 - Self.tableBits))
        let known = deadEnds[place]
        if known.step == step, known.position == position, known.search == search { return false }
        deadEnds[place] = DeadEnd(step: step, position: position, search: search)
        return true
    }
}
