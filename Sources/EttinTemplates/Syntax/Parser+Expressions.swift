// Expressions, from the loosest binding to the tightest.

extension Parser {
    /// Reads expressions with commas between them; one without a comma is itself.
    mutating func tuple(allowsConditional: Bool = true, end: String? = nil) throws(TemplateFault) -> Expression {
        let offset = current.offset
        var elements: [Expression] = []
        var isTuple = false
        while true {
            if !elements.isEmpty, endsTuple(end) { break }
            elements.append(try allowsConditional ? expression() : disjunction())
            guard skip(.comma) else { break }
            isTuple = true
        }
        return isTuple ? try node(.tuple(elements), at: offset, above: elements) : elements[0]
    }

    private func endsTuple(_ end: String?) -> Bool {
        switch current.kind {
        case .blockEnd, .variableEnd, .symbol(.rightParenthesis): true
        case .name(let name): name == end
        default: false
        }
    }

    /// Reads an expression with or without a condition.
    mutating func expression() throws(TemplateFault) -> Expression {
        try nested { parser throws(TemplateFault) in try parser.conditional() }
    }

    private mutating func node(
        _ kind: Expression.Kind,
        at offset: Int,
        above children: [Expression],
        _ arguments: Arguments? = nil
    ) throws(TemplateFault) -> Expression {
        let depth = 1 + max(children.map(\.depth).max() ?? 0, arguments?.depth ?? 0)
        guard depth <= Self.maximumExpressionDepth else {
            throw TemplateFault(
                .limit,
                at: offset,
                "this expression has more than \(Self.maximumExpressionDepth) levels"
            )
        }
        return Expression(kind, at: offset, depth: depth)
    }

    private mutating func conditional() throws(TemplateFault) -> Expression {
        var result = try disjunction()
        while isName("if") {
            let offset = current.offset
            advance()
            let test = try disjunction()
            let otherwise = skip(name: "else") ? try expression() : nil
            let children = [result, test] + [otherwise].compactMap(\.self)
            result = try node(.conditional(test, then: result, else: otherwise), at: offset, above: children)
        }
        return result
    }

    private mutating func disjunction() throws(TemplateFault) -> Expression {
        var left = try conjunction()
        while isName("or") {
            let offset = current.offset
            advance()
            let right = try conjunction()
            left = try node(.or(left, right), at: offset, above: [left, right])
        }
        return left
    }

    private mutating func conjunction() throws(TemplateFault) -> Expression {
        var left = try negation()
        while isName("and") {
            let offset = current.offset
            advance()
            let right = try negation()
            left = try node(.and(left, right), at: offset, above: [left, right])
        }
        return left
    }

    private mutating func negation() throws(TemplateFault) -> Expression {
        let offset = current.offset
        guard skip(name: "not") else { return try comparison() }
        let operand = try nested { parser throws(TemplateFault) in try parser.negation() }
        return try node(.not(operand), at: offset, above: [operand])
    }

    private mutating func comparison() throws(TemplateFault) -> Expression {
        let offset = current.offset
        let first = try sum()
        var rest: [(Comparison, Expression)] = []
        while let comparison = skipComparison() { rest.append((comparison, try sum())) }
        guard !rest.isEmpty else { return first }
        return try node(.comparison(first, rest), at: offset, above: [first] + rest.map(\.1))
    }

    private mutating func skipComparison() -> Comparison? {
        if case .symbol(let symbol) = current.kind, let comparison = Comparison(rawValue: symbol.rawValue) {
            advance()
            return comparison
        }
        if skip(name: "in") { return .isIn }
        guard isName("not"), case .name("in") = token(ahead: 1).kind else { return nil }
        advance()
        advance()
        return .isNotIn
    }

    private mutating func sum() throws(TemplateFault) -> Expression {
        var left = try concatenation()
        while case .symbol(let symbol) = current.kind, symbol == .plus || symbol == .minus {
            let offset = current.offset
            advance()
            let right = try concatenation()
            left = try node(.arithmetic(symbol, left, right), at: offset, above: [left, right])
        }
        return left
    }

    private mutating func concatenation() throws(TemplateFault) -> Expression {
        let offset = current.offset
        var parts = [try product()]
        while skip(.tilde) { parts.append(try product()) }
        return parts.count > 1 ? try node(.concatenation(parts), at: offset, above: parts) : parts[0]
    }

    private mutating func product() throws(TemplateFault) -> Expression {
        var left = try power()
        while case .symbol(let symbol) = current.kind,
            [.multiply, .divide, .floorDivide, .modulo].contains(symbol)
        {
            let offset = current.offset
            advance()
            let right = try power()
            left = try node(.arithmetic(symbol, left, right), at: offset, above: [left, right])
        }
        return left
    }

    /// Powers group from the left, as Jinja has it, other than Python.
    private mutating func power() throws(TemplateFault) -> Expression {
        var left = try unary()
        while isSymbol(.power) {
            let offset = current.offset
            advance()
            let right = try unary()
            left = try node(.arithmetic(.power, left, right), at: offset, above: [left, right])
        }
        return left
    }

    private mutating func unary(withFilters: Bool = true) throws(TemplateFault) -> Expression {
        let offset = current.offset
        var result: Expression
        if isSymbol(.minus) || isSymbol(.plus) {
            let isNegative = isSymbol(.minus)
            advance()
            let operand = try nested { parser throws(TemplateFault) in try parser.unary(withFilters: false) }
            result = try node(isNegative ? .negative(operand) : .positive(operand), at: offset, above: [operand])
        } else {
            result = try primary()
        }
        result = try postfix(result)
        return withFilters ? try filtered(result) : result
    }

    private mutating func primary() throws(TemplateFault) -> Expression {
        let token = current
        switch token.kind {
        case .name(let name):
            advance()
            switch name {
            case "true", "True": return try node(.constant(.bool(true)), at: token.offset, above: [])
            case "false", "False": return try node(.constant(.bool(false)), at: token.offset, above: [])
            case "none", "None": return try node(.constant(.none), at: token.offset, above: [])
            default:
                noteRead(name)
                return try node(.name(name), at: token.offset, above: [])
            }
        case .string(var text):
            advance()
            while case .string(let more) = current.kind {
                text.bytes += more.bytes
                advance()
            }
            return try node(.constant(.string(text)), at: token.offset, above: [])
        case .integer(let value):
            advance()
            return try node(.constant(.int(value)), at: token.offset, above: [])
        case .float(let value):
            advance()
            return try node(.constant(.float(value)), at: token.offset, above: [])
        case .symbol(.leftParenthesis):
            advance()
            if skip(.rightParenthesis) { return try node(.tuple([]), at: token.offset, above: []) }
            let inner = try nested { parser throws(TemplateFault) in try parser.tuple() }
            try expect(.rightParenthesis)
            return inner
        case .symbol(.leftBracket):
            advance()
            let elements = try elements(until: .rightBracket)
            return try node(.list(elements), at: token.offset, above: elements)
        case .symbol(.leftBrace): return try dictionary()
        default: throw fault("found \(shown(token)); expected an expression")
        }
    }

    private mutating func elements(until end: Symbol) throws(TemplateFault) -> [Expression] {
        var elements: [Expression] = []
        while !isSymbol(end) {
            if !elements.isEmpty {
                try expect(.comma)
                if isSymbol(end) { break }
            }
            elements.append(try expression())
        }
        advance()
        return elements
    }

    private mutating func dictionary() throws(TemplateFault) -> Expression {
        let offset = current.offset
        advance()
        var members: [(key: Expression, value: Expression)] = []
        while !isSymbol(.rightBrace) {
            if !members.isEmpty {
                try expect(.comma)
                if isSymbol(.rightBrace) { break }
            }
            let key = try expression()
            try expect(.colon)
            members.append((key, try expression()))
        }
        advance()
        return try node(.dict(members), at: offset, above: members.flatMap { [$0.key, $0.value] })
    }

    private mutating func postfix(_ operand: Expression) throws(TemplateFault) -> Expression {
        var result = operand
        while true {
            if isSymbol(.dot) || isSymbol(.leftBracket) {
                result = try subscripted(result)
            } else if isSymbol(.leftParenthesis) {
                result = try call(result)
            } else {
                return result
            }
        }
    }

    private mutating func filtered(_ operand: Expression) throws(TemplateFault) -> Expression {
        var result = operand
        while true {
            if isSymbol(.pipe) {
                result = try filters(of: result)
            } else if isName("is") {
                result = try test(result)
            } else if isSymbol(.leftParenthesis) {
                result = try call(result)
            } else {
                return result
            }
        }
    }

    private mutating func call(_ callee: Expression) throws(TemplateFault) -> Expression {
        let offset = current.offset
        let arguments = try arguments()
        return try node(.call(callee, arguments), at: offset, above: [callee], arguments)
    }

    private mutating func subscripted(_ operand: Expression) throws(TemplateFault) -> Expression {
        let offset = current.offset
        if skip(.dot) {
            if case .integer(let position) = current.kind {
                let key = try node(.constant(.int(position)), at: current.offset, above: [])
                advance()
                return try node(.item(operand, key), at: offset, above: [operand])
            }
            return try node(.attribute(operand, try anyName()), at: offset, above: [operand])
        }
        advance()
        let start = isSymbol(.colon) ? nil : try expression()
        guard isSymbol(.colon) else {
            guard let start else { throw fault("expected an index") }
            guard isSymbol(.comma) else {
                try expect(.rightBracket)
                return try node(.item(operand, start), at: offset, above: [operand, start])
            }
            advance()
            let keys = [start] + (try elements(until: .rightBracket))
            let key = try node(.tuple(keys), at: start.offset, above: keys)
            return try node(.item(operand, key), at: offset, above: [operand, key])
        }
        var bounds: [Expression?] = [start]
        while skip(.colon) {
            guard bounds.count < 3 else { throw fault("a slice has three parts at most") }
            bounds.append(isSymbol(.colon) || isSymbol(.rightBracket) ? nil : try expression())
        }
        try expect(.rightBracket)
        let step = bounds.count > 2 ? bounds[2] : nil
        return try node(
            .slice(operand, start: start, stop: bounds[1], step: step),
            at: offset,
            above: [operand] + bounds.compactMap(\.self)
        )
    }

    private mutating func arguments() throws(TemplateFault) -> Arguments {
        try expect(.leftParenthesis)
        var result = Arguments()
        var isFirst = true
        while !isSymbol(.rightParenthesis) {
            if !isFirst {
                try expect(.comma)
                if isSymbol(.rightParenthesis) { break }
            }
            isFirst = false
            if skip(.multiply) {
                guard result.list == nil, result.mapping == nil else { throw fault("one * at most can be in a call") }
                result.list = try expression()
            } else if skip(.power) {
                guard result.mapping == nil else { throw fault("one ** at most can be in a call") }
                result.mapping = try expression()
            } else if case .name(let name) = current.kind, case .symbol(.assign) = token(ahead: 1).kind {
                guard result.mapping == nil else { throw fault("no argument can follow **") }
                advance()
                advance()
                result.named.append((name, try expression()))
            } else {
                guard result.named.isEmpty, result.list == nil, result.mapping == nil else {
                    throw fault("an argument without a name cannot follow one with a name")
                }
                result.positional.append(try expression())
            }
        }
        advance()
        return result
    }

    /// Reads `|name(…)` once or more often; without an operand the first name stands without its bar.
    mutating func filters(of operand: Expression?) throws(TemplateFault) -> Expression {
        var result = operand
        while isSymbol(.pipe) || result == nil {
            _ = skip(.pipe)
            let offset = current.offset
            let name = try dottedName()
            guard TemplateFilters.names.contains(name) else {
                throw TemplateFault(.syntax, at: offset, "unknown filter \"\(name)\"")
            }
            let arguments = isSymbol(.leftParenthesis) ? try arguments() : Arguments()
            result = try node(
                .filter(result, name, arguments),
                at: offset,
                above: [result].compactMap(\.self),
                arguments
            )
        }
        guard let result else { throw fault("expected a filter") }
        return result
    }

    private mutating func dottedName() throws(TemplateFault) -> String {
        var name = try anyName()
        while skip(.dot) { name += "." + (try anyName()) }
        return name
    }

    private mutating func test(_ operand: Expression) throws(TemplateFault) -> Expression {
        let offset = current.offset
        advance()
        let isNegated = skip(name: "not")
        let nameOffset = current.offset
        let name = try dottedName()
        guard TemplateTests.names.contains(name) else {
            throw TemplateFault(.syntax, at: nameOffset, "unknown test \"\(name)\"")
        }
        var arguments = Arguments()
        if isSymbol(.leftParenthesis) {
            arguments = try self.arguments()
        } else if startsTestArgument() {
            if isName("is") { throw fault("tests with \"is\" cannot be chained") }
            let argument = try nested { parser throws(TemplateFault) in
                try parser.postfix(parser.primary())
            }
            arguments.positional = [argument]
        }
        let result = try node(.test(operand, name, arguments), at: offset, above: [operand], arguments)
        return isNegated ? try node(.not(result), at: offset, above: [result]) : result
    }

    private func startsTestArgument() -> Bool {
        switch current.kind {
        case .name(let name): !["else", "or", "and"].contains(name)
        case .string, .integer, .float, .symbol(.leftParenthesis), .symbol(.leftBracket), .symbol(.leftBrace): true
        default: false
        }
    }
}
