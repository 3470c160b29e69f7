/// Windows of tokens over a text that is too long for a model.
enum TextWindows {
    /// The windows over a number of tokens.
    ///
    /// - Parameters:
    ///   - count: Number of tokens.
    ///   - size: Number of tokens of a window.
    ///   - stride: Number of tokens that a window shares with the one before it; below `size`.
    ///   - fromEnd: Whether windows are counted from the end.
    /// - Returns: At least one window; together they cover all tokens.
    ///
    /// > Source: tokenizers `Encoding::truncate`.
    static func ranges(_ count: Int, size: Int, stride: Int, fromEnd: Bool = false) -> [Range<Int>] {
        guard count > size else { return [0..<count] }
        var ranges: [Range<Int>] = []
        var start = 0
        while true {
            let end = min(start + size, count)
            ranges.append(fromEnd ? count - end..<count - start : start..<end)
            if end == count { return ranges }
            start += size - stride
        }
    }
}

/// The Unicode scalars of a text by number, which are what Python and the `tokenizers` library call characters.
struct TextCharacters {
    private let indices: [String.Index]
    private let scalars: [Unicode.Scalar]

    init(_ text: String) {
        indices = Array(text.unicodeScalars.indices) + [text.endIndex]
        scalars = Array(text.unicodeScalars)
    }

    /// The range of a text between two numbers.
    func range(_ offsets: Range<Int>) -> Range<String.Index> {
        let last = indices.count - 1
        return indices[min(offsets.lowerBound, last)]..<indices[min(offsets.upperBound, last)]
    }

    /// Some of the characters; those beyond the end are none.
    subscript(offsets: Range<Int>) -> ArraySlice<Unicode.Scalar> {
        scalars[min(offsets.lowerBound, scalars.count)..<min(offsets.upperBound, scalars.count)]
    }
}
