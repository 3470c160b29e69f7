/// A string of a template: UTF-8 bytes, whose characters are Unicode scalars, as Python's are.
///
/// Swift's `String` compares by canonical equivalence and counts graphemes; both would give other results than Python.
struct Text: Hashable, Sendable {
    var bytes: [UInt8]

    init(bytes: [UInt8]) { self.bytes = bytes }

    init(_ bytes: ArraySlice<UInt8>) { self.bytes = Array(bytes) }

    init(_ string: String) { bytes = Array(string.utf8) }

    init(_ scalars: some Sequence<Unicode.Scalar>) {
        bytes = []
        for scalar in scalars { append(scalar) }
    }

    var string: String { String(decoding: bytes, as: UTF8.self) }
    var scalars: String.UnicodeScalarView { string.unicodeScalars }
    var isEmpty: Bool { bytes.isEmpty }

    /// The number of characters.
    var count: Int { bytes.count { $0 & 0xC0 != 0x80 } }

    var isASCII: Bool { bytes.allSatisfy { $0 < 0x80 } }

    mutating func append(_ scalar: Unicode.Scalar) {
        if scalar.isASCII {
            bytes.append(UInt8(scalar.value))
        } else {
            bytes.append(contentsOf: UTF8.encode(scalar).map(Array.init) ?? [])
        }
    }

    static func + (left: Text, right: Text) -> Text { Text(bytes: left.bytes + right.bytes) }

    static func < (left: Text, right: Text) -> Bool {
        // UTF-8 sorts like code points, which is how Python sorts strings.
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }

    /// The characters, each as a text.
    var characters: [Text] {
        var result: [Text] = []
        var start = 0
        for end in 1...max(1, bytes.count) where end <= bytes.count && (end == bytes.count || bytes[end] & 0xC0 != 0x80)
        {
            result.append(Text(bytes[start..<end]))
            start = end
        }
        return result
    }

    /// Where a text begins in this one, in bytes.
    func firstRange(of needle: Text, from start: Int = 0) -> Range<Int>? {
        let count = needle.bytes.count
        guard count > 0 else { return start..<start }
        guard bytes.count >= count, start <= bytes.count - count else { return nil }
        guard count <= Self.longNeedle else { return rangeByBorders(of: needle, in: start..<bytes.count) }
        let first = needle.bytes[0]
        return bytes.withUnsafeBufferPointer { hay in
            needle.bytes.withUnsafeBufferPointer { needle in
                for position in start...(hay.count - count) where hay[position] == first {
                    var index = 1
                    while index < count, hay[position + index] == needle[index] { index += 1 }
                    if index == count { return position..<position + count }
                }
                return nil
            }
        }
    }

    /// Where a text begins last in this one, in bytes.
    func lastRange(of needle: Text, before end: Int? = nil) -> Range<Int>? {
        let count = needle.bytes.count
        guard count <= Self.longNeedle else {
            return rangeByBorders(of: needle, in: 0..<(end ?? bytes.count), isBackwards: true)
        }
        var position = (end ?? bytes.count) - count
        while position >= 0 {
            if bytes[position..<position + count].elementsEqual(needle.bytes) { return position..<position + count }
            position -= 1
        }
        return nil
    }

    /// What is longer is not looked for at each position, as that is no linear search.
    private static let longNeedle = 32

    /// Knuth, Morris and Pratt's search, linear for all texts.
    private func rangeByBorders(of needle: Text, in range: Range<Int>, isBackwards: Bool = false) -> Range<Int>? {
        let count = needle.bytes.count
        func wanted(_ index: Int) -> UInt8 { needle.bytes[isBackwards ? count - 1 - index : index] }
        // How much of the needle still stands where the byte behind so much of it differs.
        var borders = [Int](repeating: 0, count: count)
        var length = 0
        for index in 1..<count {
            while length > 0, wanted(index) != wanted(length) { length = borders[length - 1] }
            if wanted(index) == wanted(length) { length += 1 }
            borders[index] = length
        }
        length = 0
        for index in 0..<range.count {
            let position = isBackwards ? range.upperBound - 1 - index : range.lowerBound + index
            while length > 0, bytes[position] != wanted(length) { length = borders[length - 1] }
            if bytes[position] == wanted(length) { length += 1 }
            guard length == count else { continue }
            return isBackwards ? position..<position + count : position + 1 - count..<position + 1
        }
        return nil
    }

    func hasPrefix(_ other: Text) -> Bool { bytes.starts(with: other.bytes) }

    func hasSuffix(_ other: Text) -> Bool {
        bytes.count >= other.bytes.count && bytes.suffix(other.bytes.count).elementsEqual(other.bytes)
    }

    func contains(_ other: Text) -> Bool { firstRange(of: other) != nil }
}

extension Unicode.Scalar {
    /// White space as Python's `str.isspace` has it.
    var isPythonSpace: Bool {
        switch value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }
}
