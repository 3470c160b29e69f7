/// Takes a template's source apart.
///
/// White space around tags goes by the rules of Jinja: `-` inside a tag removes all of it on that side, `+` none;
/// `trim_blocks` removes the newline behind a block tag or a comment, `lstrip_blocks` the blanks in front of one that
/// begins its line.
struct Lexer {
    let source: [UInt8]
    private let trims: Bool
    var position = 0
    private var tokens: [Token] = []
    /// Whether what comes next begins a line of its own.
    private var isAtLineStart = true

    /// The tokens of a source.
    ///
    /// - Parameters:
    ///   - source: UTF-8 with line feeds alone at the ends of lines.
    ///   - trims: Whether newlines behind block tags and blanks before them go.
    /// - Returns: The tokens, the end among them.
    /// - Throws: `TemplateFault` for a tag, string or bracket that is not closed, and for what is no token.
    static func tokens(of source: [UInt8], trims: Bool) throws(TemplateFault) -> [Token] {
        var lexer = Lexer(source: source, trims: trims)
        try lexer.run()
        return lexer.tokens
    }

    private init(source: [UInt8], trims: Bool) {
        (self.source, self.trims) = (source, trims)
    }

    private mutating func run() throws(TemplateFault) {
        while position < source.count {
            let start = position
            var opening = position
            while opening < source.count, !opensTag(opening) { opening += 1 }
            guard opening < source.count else {
                add(.data(Text(source[start...])), at: start)
                position = source.count
                break
            }
            let tag = source[opening + 1]
            let sign = opening + 2 < source.count ? source[opening + 2] : 0
            let raw = tag == UInt8(ascii: "%") ? rawBegin(opening) : nil
            addData(start..<opening, sign: sign, isVariable: tag == UInt8(ascii: "{"))
            position = opening + 2
            if let raw {
                try readRaw(from: raw, opening: opening)
            } else if tag == UInt8(ascii: "#") {
                try skipComment(opening)
            } else {
                if sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { position += 1 }
                try readTag(opening, isVariable: tag == UInt8(ascii: "{"))
            }
        }
        add(.end, at: source.count)
    }

    mutating func add(_ kind: Token.Kind, at offset: Int) {
        tokens.append(Token(kind: kind, offset: offset))
    }

    private func byte(_ offset: Int) -> UInt8 { offset < source.count ? source[offset] : 0 }

    private func matches(_ text: StaticString, at offset: Int) -> Bool {
        guard offset + text.utf8CodeUnitCount <= source.count else { return false }
        return text.withUTF8Buffer { $0.elementsEqual(source[offset..<offset + $0.count]) }
    }

    private func opensTag(_ offset: Int) -> Bool {
        guard source[offset] == UInt8(ascii: "{") else { return false }
        let next = byte(offset + 1)
        return next == UInt8(ascii: "%") || next == UInt8(ascii: "{") || next == UInt8(ascii: "#")
    }

    /// Adds text in front of a tag, without the white space that the tag removes.
    private mutating func addData(_ range: Range<Int>, sign: UInt8, isVariable: Bool) {
        var end = range.upperBound
        if sign == UInt8(ascii: "-") {
            end = startOfSpace(before: end, downTo: range.lowerBound)
        } else if sign != UInt8(ascii: "+"), trims, !isVariable {
            let line = source[range].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? range.lowerBound
            if line > range.lowerBound || isAtLineStart, startOfSpace(before: end, downTo: line) == line { end = line }
        }
        isAtLineStart = false
        if end > range.lowerBound { add(.data(Text(source[range.lowerBound..<end])), at: range.lowerBound) }
    }

    /// Where the white space begins that ends at an offset.
    private func startOfSpace(before end: Int, downTo lower: Int) -> Int {
        var end = end
        while end > lower {
            var start = end - 1
            while start > lower, source[start] & 0xC0 == 0x80 { start -= 1 }
            guard let scalar = Text(source[start..<end]).scalars.first, scalar.isPythonSpace else { break }
            end = start
        }
        return end
    }

    /// Where the white space ends that begins at an offset.
    private func endOfSpace(from start: Int) -> Int {
        var position = start
        while position < source.count {
            if source[position] < 0x80 {
                guard Unicode.Scalar(source[position]).isPythonSpace else { break }
                position += 1
            } else {
                var end = position + 1
                while end < source.count, source[end] & 0xC0 == 0x80 { end += 1 }
                guard let scalar = Text(source[position..<end]).scalars.first, scalar.isPythonSpace else { break }
                position = end
            }
        }
        return position
    }

    /// Ends a tag: the sign in front of its end and the newline behind it are obeyed.
    private mutating func closeTag(_ end: Int, sign: UInt8, trimsNewline: Bool) {
        position = end
        if sign == UInt8(ascii: "-") {
            position = endOfSpace(from: end)
        } else if sign == 0, trimsNewline, trims, byte(end) == UInt8(ascii: "\n") {
            position += 1
        }
        isAtLineStart = position > 0 && source[position - 1] == UInt8(ascii: "\n")
    }

    private mutating func skipComment(_ opening: Int) throws(TemplateFault) {
        while position + 1 < source.count {
            if matches("#}", at: position) {
                let previous = position > opening + 2 ? source[position - 1] : 0
                let isSign = previous == UInt8(ascii: "-") || previous == UInt8(ascii: "+")
                return closeTag(position + 2, sign: isSign ? previous : 0, trimsNewline: true)
            }
            position += 1
        }
        throw TemplateFault(.syntax, at: opening, "this comment is not closed; expected #}")
    }

    // MARK: - Raw text

    /// The offset behind `{% raw %}`, when a tag is that.
    private func rawBegin(_ opening: Int) -> Int? {
        var position = opening + 2
        if byte(position) == UInt8(ascii: "-") || byte(position) == UInt8(ascii: "+") { position += 1 }
        position = endOfSpace(from: position)
        guard matches("raw", at: position) else { return nil }
        position = endOfSpace(from: position + 3)
        if matches("-%}", at: position) { return endOfSpace(from: position + 3) }
        return matches("%}", at: position) ? position + 2 : nil
    }

    private mutating func readRaw(from start: Int, opening: Int) throws(TemplateFault) {
        isAtLineStart = source[start - 1] == UInt8(ascii: "\n")
        var tag = start
        while tag + 1 < source.count {
            defer { tag += 1 }
            guard matches("{%", at: tag) else { continue }
            let sign = byte(tag + 2)
            let hasSign = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
            var end = endOfSpace(from: tag + (hasSign ? 3 : 2))
            guard matches("endraw", at: end) else { continue }
            end = endOfSpace(from: end + 6)
            let closing = byte(end)
            let hasClosing = closing == UInt8(ascii: "-") || closing == UInt8(ascii: "+")
            guard matches("%}", at: hasClosing ? end + 1 : end) else { continue }
            addData(start..<tag, sign: hasSign ? sign : 0, isVariable: false)
            return closeTag(hasClosing ? end + 3 : end + 2, sign: hasClosing ? closing : 0, trimsNewline: true)
        }
        throw TemplateFault(.syntax, at: opening, "raw text is not closed; expected {% endraw %}")
    }

    // MARK: - Inside tags

    private mutating func readTag(_ opening: Int, isVariable: Bool) throws(TemplateFault) {
        add(isVariable ? .variableBegin : .blockBegin, at: opening)
        var brackets: [(closing: Symbol, offset: Int)] = []
        while position < source.count {
            position = endOfSpace(from: position)
            if brackets.isEmpty, let end = tagEnd(isVariable) {
                add(isVariable ? .variableEnd : .blockEnd, at: position)
                let sign = byte(position)
                let hasSign = sign == UInt8(ascii: "-") || (sign == UInt8(ascii: "+") && !isVariable)
                return closeTag(end, sign: hasSign ? sign : 0, trimsNewline: !isVariable)
            }
            guard position < source.count else { break }
            try readToken(&brackets)
        }
        throw TemplateFault(
            .syntax,
            at: brackets.last?.offset ?? opening,
            brackets.last.map { "this bracket is not closed; expected \($0.closing.rawValue)" }
                ?? "this tag is not closed; expected \(isVariable ? "}}" : "%}")"
        )
    }

    private func tagEnd(_ isVariable: Bool) -> Int? {
        if isVariable {
            if matches("-}}", at: position) { return position + 3 }
            return matches("}}", at: position) ? position + 2 : nil
        }
        if matches("-%}", at: position) || matches("+%}", at: position) { return position + 3 }
        return matches("%}", at: position) ? position + 2 : nil
    }

    private mutating func readToken(_ brackets: inout [(closing: Symbol, offset: Int)]) throws(TemplateFault) {
        let start = position
        switch source[start] {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): try readNumber()
        case UInt8(ascii: "'"), UInt8(ascii: "\""): try readString()
        default:
            if readName() { return }
            guard let symbol = Symbol.allCases.first(where: { source[start...].starts(with: $0.rawValue.utf8) }) else {
                let shown = Text(source[start...].prefix(4)).scalars.first.map { String($0) } ?? ""
                throw TemplateFault(.syntax, at: start, "unexpected character \"\(shown)\"")
            }
            switch symbol {
            case .leftBracket: brackets.append((.rightBracket, start))
            case .leftParenthesis: brackets.append((.rightParenthesis, start))
            case .leftBrace: brackets.append((.rightBrace, start))
            case .rightBracket, .rightParenthesis, .rightBrace:
                guard let expected = brackets.popLast() else {
                    throw TemplateFault(.syntax, at: start, "unexpected \(symbol.rawValue)")
                }
                guard expected.closing == symbol else {
                    let text = "unexpected \(symbol.rawValue); expected \(expected.closing.rawValue)"
                    throw TemplateFault(.syntax, at: start, text)
                }
            default: break
            }
            position = start + symbol.rawValue.utf8.count
            add(.symbol(symbol), at: start)
        }
    }

    private mutating func readName() -> Bool {
        let start = position
        let rest = source[start...]
        let ascii = rest.prefix { byte in
            byte == UInt8(ascii: "_") || (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z"))
                || (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"))
        }
        var end = ascii.endIndex
        if end < source.count, source[end] >= 0x80 {
            // Identifiers of other scripts, which are rare.
            var name = Text(bytes: [])
            for scalar in Text(rest.prefix(400)).scalars {
                guard scalar == "_" || scalar.properties.isXIDContinue else { break }
                name.append(scalar)
            }
            end = start + name.bytes.count
        }
        guard end > start else { return false }
        add(.name(String(decoding: source[start..<end], as: UTF8.self)), at: start)
        position = end
        return true
    }
}
