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
    ///   - state: Memory of this thread.
    /// - Returns: A range that is not empty, or nil.
    func firstMatch(
        _ text: UnsafePointer<UInt8>,
        _ start: Int,
        _ end: Int,
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
            return expression.firstMatch(text, start, end, &state)
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
}
