/// Cuts text into the words that byte-pair merges stay inside of.
///
/// This is the GPT-2 split pattern, written as a scanner:
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
struct WordScanner {
    private let flags: UnsafePointer<UInt8>

    init() {
        // The shared instance is never freed.
        flags = UnicodeProperties.shared.flags.pointer
    }

    /// Where the word that starts at a position ends.
    ///
    /// - Parameters:
    ///   - text: Valid UTF-8.
    ///   - start: Start of a character before `end`.
    ///   - end: End of the text.
    /// - Returns: The position behind the word.
    @inline(__always)
    func wordEnd(_ text: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int {
        let lead = text[start]
        if lead == UInt8(ascii: "'") {
            let length = contractionLength(text, start + 1, end)
            if length > 0 { return start + length }
        }
        var position = start
        if lead == UInt8(ascii: " ") {
            position += 1
            guard position < end else { return end }
        }
        let (wordClass, next) = classify(text, position)
        if wordClass == UnicodeProperties.space {
            return whitespaceEnd(text, start, end)
        }
        position = next
        while position < end {
            let (nextClass, next) = classify(text, position)
            guard nextClass == wordClass else { break }
            position = next
        }
        return position
    }

    /// All of a run of white space, less its last character when a word follows.
    private func whitespaceEnd(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int {
        var position = start
        var lastStart = start
        while position < end {
            let (nextClass, next) = classify(text, position)
            guard nextClass == UnicodeProperties.space else {
                return lastStart == start ? position : lastStart
            }
            lastStart = position
            position = next
        }
        return end
    }

    @inline(__always)
    private func classify(_ text: UnsafePointer<UInt8>, _ position: Int) -> (wordClass: UInt8, next: Int) {
        let lead = text[position]
        if lead < 0x80 {
            return (flags[Int(lead)] & UnicodeProperties.classMask, position + 1)
        }
        let (scalar, next) = decodeScalar(UnsafeBufferPointer(start: text, count: .max), position)
        return (flags[Int(scalar)] & UnicodeProperties.classMask, next)
    }

    /// Length of an English contraction with its apostrophe, or 0.
    @inline(__always)
    private func contractionLength(_ text: UnsafePointer<UInt8>, _ position: Int, _ end: Int) -> Int {
        guard position < end else { return 0 }
        let first = text[position]
        switch first {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return 2
        case UInt8(ascii: "r"), UInt8(ascii: "v"):
            return position + 1 < end && text[position + 1] == UInt8(ascii: "e") ? 3 : 0
        case UInt8(ascii: "l"):
            return position + 1 < end && text[position + 1] == UInt8(ascii: "l") ? 3 : 0
        default: return 0
        }
    }
}
