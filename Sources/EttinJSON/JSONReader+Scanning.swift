// The byte level of the reader: white space, literals, numbers, strings with escapes, UTF-8.

extension JSONReader {
    mutating func skipWhitespace() {
        while position < source.count {
            switch source[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    /// Consumes a word when it is next.
    mutating func accept(_ word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        guard source.count - position >= length else { return false }
        for index in 0..<length where source[position + index] != word.utf8Start[index] { return false }
        position += length
        return true
    }

    /// What stands at the current position, for messages.
    func found() -> String {
        guard position < source.count else { return "the end of the text" }
        let byte = source[position]
        if byte >= 0x20, byte < 0x7F { return "'\(Unicode.Scalar(byte))'" }
        let hexadecimal = String(byte, radix: 16, uppercase: true)
        return "byte 0x\(byte < 16 ? "0" : "")\(hexadecimal)"
    }

    /// A part of the source for messages, cut when long.
    func text(in range: Range<Int>) -> String {
        let shown = range.prefix(40)
        let text = String(decoding: source[shown], as: UTF8.self)
        return shown.count < range.count ? text + "…" : text
    }

    // MARK: - Numbers

    /// Checks the number at the current position and moves behind it.
    mutating func scanNumber() throws(JSONError) -> Range<Int> {
        skipWhitespace()
        let start = position
        for word: StaticString in ["NaN", "Infinity", "-Infinity"] where accept(word) {
            guard options.allowsNonFiniteNumbers else {
                throw error("\(word) is not a JSON number", at: start)
            }
            return start..<position
        }
        if position < source.count, source[position] == UInt8(ascii: "-") { position += 1 }
        let integerStart = position
        guard skipDigits() else { throw error("expected a number, found \(found())", at: start) }
        if source[integerStart] == UInt8(ascii: "0"), position > integerStart + 1 {
            throw error("a number must not start with a zero: \(text(in: start..<position))", at: start)
        }
        if position < source.count, source[position] == UInt8(ascii: ".") {
            position += 1
            guard skipDigits() else { throw error("expected a digit after the decimal point, found \(found())") }
        }
        if position < source.count, source[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < source.count, source[position] == UInt8(ascii: "+") || source[position] == UInt8(ascii: "-") {
                position += 1
            }
            guard skipDigits() else { throw error("expected a digit in the exponent, found \(found())") }
        }
        return start..<position
    }

    private mutating func skipDigits() -> Bool {
        let start = position
        while position < source.count, source[position] >= UInt8(ascii: "0"), source[position] <= UInt8(ascii: "9") {
            position += 1
        }
        return position > start
    }

    // MARK: - Strings

    /// Decodes the string whose opening quote is at the current position.
    mutating func scanString() throws(JSONError) -> UnsafeBufferPointer<UInt8> {
        position += 1
        let start = position
        try skipPlainBytes()
        if position < source.count, source[position] == UInt8(ascii: "\"") {
            position += 1
            return UnsafeBufferPointer(rebasing: source[start..<position - 1])
        }
        scratch.removeAll()
        scratch.append(source[start..<position])
        while position < source.count {
            if source[position] == UInt8(ascii: "\"") {
                position += 1
                return scratch.bytes
            }
            // `skipPlainBytes` stops at a quote, a backslash or the end only.
            try decodeEscape()
            let plainStart = position
            try skipPlainBytes()
            scratch.append(source[plainStart..<position])
        }
        throw error("expected '\"' at the end of a string, found the end of the text")
    }

    /// Moves to the next quote or backslash, or to the end, checking what lies between.
    private mutating func skipPlainBytes() throws(JSONError) {
        while position < source.count {
            let byte = source[position]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return }
            if byte < 0x20 {
                throw error("control characters in a string must be escaped, found \(found())")
            }
            if byte < 0x80 {
                position += 1
            } else {
                let length = validSequenceLength(at: position)
                guard length > 0 else { throw error("the text is not valid UTF-8") }
                position += length
            }
        }
    }

    /// Length of the well-formed multi-byte UTF-8 sequence at an offset, or 0.
    private func validSequenceLength(at offset: Int) -> Int {
        let lead = source[offset]
        let length: Int
        var secondRange: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0xC2...0xDF: length = 2
        case 0xE0:
            length = 3
            secondRange = 0xA0...0xBF
        case 0xED:
            length = 3
            secondRange = 0x80...0x9F
        case 0xE1...0xEF: length = 3
        case 0xF0:
            length = 4
            secondRange = 0x90...0xBF
        case 0xF4:
            length = 4
            secondRange = 0x80...0x8F
        case 0xF1...0xF3: length = 4
        default: return 0
        }
        guard source.count - offset >= length, secondRange.contains(source[offset + 1]) else { return 0 }
        for index in 2..<max(2, length) where source[offset + index] & 0xC0 != 0x80 { return 0 }
        return length
    }

    /// Decodes the escape sequence at the current position into the scratch bytes.
    private mutating func decodeEscape() throws(JSONError) {
        let start = position
        position += 1
        guard position < source.count else { throw error("expected an escape sequence, found the end of the text") }
        let byte = source[position]
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scratch.append(byte)
        case UInt8(ascii: "b"): scratch.append(0x08)
        case UInt8(ascii: "f"): scratch.append(0x0C)
        case UInt8(ascii: "n"): scratch.append(0x0A)
        case UInt8(ascii: "r"): scratch.append(0x0D)
        case UInt8(ascii: "t"): scratch.append(0x09)
        case UInt8(ascii: "u"):
            position += 1
            try decodeUnicodeEscape(start: start)
            return
        default: throw error("'\\' must be followed by one of \" \\ / b f n r t u, found \(found())")
        }
        position += 1
    }

    private mutating func decodeUnicodeEscape(start: Int) throws(JSONError) {
        let first = try readHexadecimalUnit()
        var code = UInt32(first)
        if first & 0xFC00 == 0xD800, position + 1 < source.count, source[position] == UInt8(ascii: "\\"),
            source[position + 1] == UInt8(ascii: "u")
        {
            let afterFirst = position
            position += 2
            let second = try readHexadecimalUnit()
            if second & 0xFC00 == 0xDC00 {
                code = 0x10000 + (UInt32(first & 0x3FF) << 10 | UInt32(second & 0x3FF))
            } else {
                position = afterFirst
            }
        }
        guard let scalar = Unicode.Scalar(code) else {
            guard options.replacesLoneSurrogates else {
                throw error(
                    "\(text(in: start..<start + 6)) is half of a surrogate pair, which stands for no character",
                    at: start
                )
            }
            scratch.append(scalar: "\u{FFFD}")
            return
        }
        scratch.append(scalar: scalar)
    }

    private mutating func readHexadecimalUnit() throws(JSONError) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard position < source.count, let digit = hexadecimalValue(source[position]) else {
                throw error("expected four hexadecimal digits after \\u, found \(found())")
            }
            unit = unit << 4 | digit
            position += 1
        }
        return unit
    }

    private func hexadecimalValue(_ byte: UInt8) -> UInt16? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt16(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt16(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}

/// Growable memory whose address is stable between reads, so that decoded strings can be handed out without copying.
struct ScratchBytes: ~Copyable {
    private var memory = UnsafeMutableBufferPointer<UInt8>(start: nil, count: 0)
    private var count = 0

    deinit {
        memory.deallocate()
    }

    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: UnsafeBufferPointer(memory)[0..<count]) }

    mutating func removeAll() {
        count = 0
    }

    mutating func append(_ byte: UInt8) {
        reserve(1)
        memory[count] = byte
        count += 1
    }

    mutating func append(_ part: Slice<UnsafeBufferPointer<UInt8>>) {
        reserve(part.count)
        for byte in part {
            memory[count] = byte
            count += 1
        }
    }

    mutating func append(scalar: Unicode.Scalar) {
        for byte in UTF8.encode(scalar).map(Array.init) ?? [] { append(byte) }
    }

    private mutating func reserve(_ additional: Int) {
        guard memory.count - count < additional else { return }
        let grown = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(256, (count + additional) * 2))
        _ = grown.update(fromContentsOf: UnsafeBufferPointer(memory)[0..<count])
        memory.deallocate()
        memory = grown
    }
}
