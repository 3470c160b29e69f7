// Numbers and strings.

extension Lexer {
    /// Reads a number: decimal, hexadecimal, octal or binary integers with underscores, and floats.
    static func number(_ source: [UInt8], from start: Int) throws(TemplateFault) -> (kind: Token.Kind, end: Int) {
        func byte(_ offset: Int) -> UInt8 { offset < source.count ? source[offset] : 0 }
        func digits(from start: Int, _ isDigit: (UInt8) -> Bool) -> Int {
            var end = start
            while isDigit(byte(end)) || (byte(end) == UInt8(ascii: "_") && end > start && isDigit(byte(end + 1))) {
                end += 1
            }
            return end
        }
        func isDecimal(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
        func text(_ range: Range<Int>) -> String {
            String(decoding: source[range].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
        }
        let radixes = [UInt8(ascii: "x"): 16, UInt8(ascii: "o"): 8, UInt8(ascii: "b"): 2]
        if byte(start) == UInt8(ascii: "0"), let radix = radixes[byte(start + 1) | 0x20] {
            let end = digits(from: start + 2) { Int(String(UnicodeScalar($0)), radix: radix) != nil }
            if end > start + 2 {
                guard let value = Int(text(start + 2..<end), radix: radix) else { throw tooLarge(start) }
                return (.integer(value), end)
            }
        }
        var end = digits(from: start, isDecimal)
        var isFloat = false
        if byte(end) == UInt8(ascii: "."), isDecimal(byte(end + 1)) {
            end = digits(from: end + 1, isDecimal)
            isFloat = true
        }
        if byte(end) | 0x20 == UInt8(ascii: "e") {
            let hasSign = byte(end + 1) == UInt8(ascii: "+") || byte(end + 1) == UInt8(ascii: "-")
            let exponent = end + (hasSign ? 2 : 1)
            if isDecimal(byte(exponent)) {
                end = digits(from: exponent, isDecimal)
                isFloat = true
            }
        }
        if isFloat { return (.float(Double(text(start..<end)) ?? .infinity), end) }
        guard let value = Int(text(start..<end)) else { throw tooLarge(start) }
        return (.integer(value), end)
    }

    private static func tooLarge(_ offset: Int) -> TemplateFault {
        TemplateFault(.syntax, at: offset, "this integer does not fit 64 bits")
    }

    /// Reads a quoted string with Python's escapes.
    static func string(_ source: [UInt8], from start: Int) throws(TemplateFault) -> (text: Text, end: Int) {
        let quote = source[start]
        var text = Text(bytes: [])
        var position = start + 1
        while position < source.count, source[position] != quote {
            guard source[position] == UInt8(ascii: "\\"), position + 1 < source.count else {
                text.bytes.append(source[position])
                position += 1
                continue
            }
            position += 2
            switch source[position - 1] {
            case UInt8(ascii: "\n"): break
            case UInt8(ascii: "n"): text.bytes.append(0x0A)
            case UInt8(ascii: "t"): text.bytes.append(0x09)
            case UInt8(ascii: "r"): text.bytes.append(0x0D)
            case UInt8(ascii: "a"): text.bytes.append(0x07)
            case UInt8(ascii: "b"): text.bytes.append(0x08)
            case UInt8(ascii: "f"): text.bytes.append(0x0C)
            case UInt8(ascii: "v"): text.bytes.append(0x0B)
            case let byte where byte == UInt8(ascii: "\\") || byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\""):
                text.bytes.append(byte)
            case UInt8(ascii: "x"): try appendEscape(source, digits: 2, &position, to: &text)
            case UInt8(ascii: "u"): try appendEscape(source, digits: 4, &position, to: &text)
            case UInt8(ascii: "U"): try appendEscape(source, digits: 8, &position, to: &text)
            case UInt8(ascii: "0")...UInt8(ascii: "7"):
                var value: UInt32 = 0
                position -= 1
                for _ in 0..<3 where position < source.count && (0x30...0x37).contains(source[position]) {
                    value = value * 8 + UInt32(source[position] - 0x30)
                    position += 1
                }
                if let scalar = Unicode.Scalar(value) { text.append(scalar) }
            case UInt8(ascii: "N"):
                throw TemplateFault(.syntax, at: position - 2, "characters cannot be named; write \\u and digits")
            default: text.bytes.append(contentsOf: source[position - 2..<position])
            }
        }
        guard position < source.count else { throw TemplateFault(.syntax, at: start, "this string is not closed") }
        return (text, position + 1)
    }

    private static func appendEscape(
        _ source: [UInt8],
        digits: Int,
        _ position: inout Int,
        to text: inout Text
    ) throws(TemplateFault) {
        let spelling = String(decoding: source[position..<min(source.count, position + digits)], as: UTF8.self)
        guard spelling.utf8.count == digits, !spelling.hasPrefix("+"), !spelling.hasPrefix("-"),
            let value = UInt32(spelling, radix: 16), let scalar = Unicode.Scalar(value)
        else {
            throw TemplateFault(.syntax, at: position - 2, "expected \(digits) hexadecimal digits of a character")
        }
        text.append(scalar)
        position += digits
    }

    mutating func readNumber() throws(TemplateFault) {
        let (kind, end) = try Self.number(source, from: position)
        add(kind, at: position)
        position = end
    }

    mutating func readString() throws(TemplateFault) {
        let (text, end) = try Self.string(source, from: position)
        add(.string(text), at: position)
        position = end
    }
}
