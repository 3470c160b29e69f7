/// Reads the statements of a template.
///
/// The grammar is Jinja's, and so is its order of precedence. What nests deeper than ``maximumDepth`` is refused here, so
/// that neither reading nor rendering a source, whatever it holds, exhausts the stack.
struct Parser {
    static let maximumDepth = 100
    /// Of operators too, which nest on their left side without brackets.
    static let maximumExpressionDepth = 200

    private let tokens: [Token]
    private let allowsLoopControls: Bool
    private var position = 0
    var nesting = 0
    private var loops = 0
    /// The names that the innermost macro reads.
    private var names: Set<String> = []

    init(_ tokens: [Token], allowsLoopControls: Bool) {
        (self.tokens, self.allowsLoopControls) = (tokens, allowsLoopControls)
    }

    /// The statements of the whole template.
    mutating func template() throws(TemplateFault) -> [Statement] {
        let body = try statements(until: [])
        guard case .end = current.kind else { throw fault("unexpected \(shown(current))") }
        return body
    }

    // MARK: - Tokens

    var current: Token { tokens[position] }

    func token(ahead count: Int) -> Token { tokens[min(tokens.count - 1, position + count)] }

    mutating func advance() { if position < tokens.count - 1 { position += 1 } }

    func fault(_ reason: String) -> TemplateFault { TemplateFault(.syntax, at: current.offset, reason) }

    func isName(_ name: String) -> Bool {
        if case .name(name) = current.kind { true } else { false }
    }

    func isSymbol(_ symbol: Symbol) -> Bool { current.kind == .symbol(symbol) }

    mutating func skip(_ symbol: Symbol) -> Bool {
        guard isSymbol(symbol) else { return false }
        advance()
        return true
    }

    mutating func skip(name: String) -> Bool {
        guard isName(name) else { return false }
        advance()
        return true
    }

    mutating func expect(_ symbol: Symbol) throws(TemplateFault) {
        guard skip(symbol) else { throw fault("found \(shown(current)); expected \(symbol.rawValue)") }
    }

    mutating func expect(name: String) throws(TemplateFault) {
        guard skip(name: name) else { throw fault("found \(shown(current)); expected \"\(name)\"") }
    }

    mutating func anyName() throws(TemplateFault) -> String {
        guard case .name(let name) = current.kind else { throw fault("found \(shown(current)); expected a name") }
        advance()
        return name
    }

    mutating func noteRead(_ name: String) { names.insert(name) }

    func shown(_ token: Token) -> String {
        switch token.kind {
        case .data: "text"
        case .blockBegin: "{%"
        case .blockEnd: "%}, the end of the tag"
        case .variableBegin: "{{"
        case .variableEnd: "}}, the end of the tag"
        case .name(let name): "\"\(name)\""
        case .string: "a string"
        case .integer, .float: "a number"
        case .symbol(let symbol): "\"\(symbol.rawValue)\""
        case .end: "the end of the template"
        }
    }

    /// Reads what may hold itself, within the limit on depth.
    mutating func nested<Result>(
        _ read: (inout Parser) throws(TemplateFault) -> Result
    ) throws(TemplateFault) -> Result {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Self.maximumDepth else {
            throw TemplateFault(.limit, at: current.offset, "nests deeper than \(Self.maximumDepth) levels")
        }
        return try read(&self)
    }

    // MARK: - Statements

    /// Reads statements up to a tag with one of the names, whose name is next then.
    private mutating func statements(until ends: [String]) throws(TemplateFault) -> [Statement] {
        try nested { parser throws(TemplateFault) in try parser.body(until: ends) }
    }

    private mutating func body(until ends: [String]) throws(TemplateFault) -> [Statement] {
        var result: [Statement] = []
        while true {
            let offset = current.offset
            switch current.kind {
            case .data(let text):
                advance()
                result.append(Statement(kind: .data(text), offset: offset))
            case .variableBegin:
                advance()
                let expression = try tuple()
                guard current.kind == .variableEnd else { throw fault("found \(shown(current)); expected }}") }
                advance()
                result.append(Statement(kind: .output(expression), offset: offset))
            case .blockBegin:
                advance()
                if case .name(let name) = current.kind, ends.contains(name) { return result }
                result.append(Statement(kind: try statement(), offset: offset))
            default:
                guard ends.isEmpty else {
                    throw fault("found \(shown(current)); expected {% \(ends.joined(separator: " %} or {% ")) %}")
                }
                return result
            }
        }
    }

    private mutating func endTag() throws(TemplateFault) {
        guard current.kind == .blockEnd else { throw fault("found \(shown(current)); expected %}") }
        advance()
    }

    private mutating func block(until end: String) throws(TemplateFault) -> [Statement] {
        try endTag()
        let body = try statements(until: [end])
        advance()
        try endTag()
        return body
    }

    private mutating func statement() throws(TemplateFault) -> Statement.Kind {
        guard case .name(let tag) = current.kind else {
            throw fault("found \(shown(current)); expected the name of a tag")
        }
        let start = current
        advance()
        switch tag {
        case "if": return try branches()
        case "for": return try loop()
        case "set": return try set()
        case "macro":
            let name = try anyName()
            return .macro(try macro(name, parameters: try parameters(), end: "endmacro"))
        case "call": return try callBlock()
        case "filter":
            let filter = try filters(of: nil)
            return .filterBlock(filter, body: try block(until: "endfilter"))
        case "with": return try with()
        case "print":
            let expression = try tuple()
            try endTag()
            return .output(expression)
        case "generation" where allowsLoopControls:
            return .generation(try block(until: "endgeneration"))
        case "break" where allowsLoopControls, "continue" where allowsLoopControls:
            guard loops > 0 else { throw TemplateFault(.syntax, at: start.offset, "\"\(tag)\" is outside of a loop") }
            try endTag()
            return tag == "break" ? .breakLoop : .continueLoop
        case "include", "import", "from", "extends", "block", "autoescape", "do", "trans":
            throw TemplateFault(.syntax, at: start.offset, "the tag \"\(tag)\" is not supported in chat templates")
        default: throw TemplateFault(.syntax, at: start.offset, "unknown tag \"\(tag)\"")
        }
    }

    private mutating func branches() throws(TemplateFault) -> Statement.Kind {
        var branches: [(test: Expression, body: [Statement])] = []
        var otherwise: [Statement] = []
        var isOpen = true
        while isOpen {
            let test = try tuple(allowsConditional: false)
            try endTag()
            branches.append((test, try statements(until: ["elif", "else", "endif"])))
            let end = try anyName()
            if end == "else" { otherwise = try block(until: "endif") }
            if end == "endif" { try endTag() }
            isOpen = end == "elif"
        }
        return .branches(branches, else: otherwise)
    }

    private mutating func loop() throws(TemplateFault) -> Statement.Kind {
        let target = try target(allowsAttributes: false)
        try expect(name: "in")
        let iterable = try tuple(allowsConditional: false, end: "recursive")
        let filter = skip(name: "if") ? try expression() : nil
        let isRecursive = skip(name: "recursive")
        try endTag()
        loops += 1
        let body = try statements(until: ["endfor", "else"])
        loops -= 1
        let hasElse = isName("else")
        advance()
        let otherwise = hasElse ? try block(until: "endfor") : []
        if !hasElse { try endTag() }
        return .loop(
            Loop(
                target: target,
                iterable: iterable,
                filter: filter,
                isRecursive: isRecursive,
                body: body,
                otherwise: otherwise
            )
        )
    }

    private mutating func set() throws(TemplateFault) -> Statement.Kind {
        let target = try target(allowsAttributes: true)
        if skip(.assign) {
            let value = try tuple()
            try endTag()
            return .set(target, value)
        }
        let filter = isSymbol(.pipe) ? try filters(of: nil) : nil
        return .setBlock(target, filter: filter, body: try block(until: "endset"))
    }

    private mutating func with() throws(TemplateFault) -> Statement.Kind {
        var values: [(target: Target, value: Expression)] = []
        while current.kind != .blockEnd {
            if !values.isEmpty { try expect(.comma) }
            let name = try target(allowsAttributes: false, allowsTuples: false)
            try expect(.assign)
            values.append((name, try expression()))
        }
        return .with(values, body: try block(until: "endwith"))
    }

    private mutating func callBlock() throws(TemplateFault) -> Statement.Kind {
        let parameters = isSymbol(.leftParenthesis) ? try parameters() : []
        let offset = current.offset
        let call = try expression()
        guard case .call = call.kind else { throw TemplateFault(.syntax, at: offset, "expected the call of a macro") }
        return .callBlock(try macro("caller", parameters: parameters, end: "endcall"), call: call)
    }

    private mutating func parameters() throws(TemplateFault) -> [(name: String, fallback: Expression?)] {
        try expect(.leftParenthesis)
        var result: [(name: String, fallback: Expression?)] = []
        while !isSymbol(.rightParenthesis) {
            if !result.isEmpty { try expect(.comma) }
            let name = try anyName()
            let fallback = skip(.assign) ? try expression() : nil
            guard fallback != nil || result.last?.fallback == nil else {
                throw fault("the parameter \"\(name)\" has no default, and one before it has")
            }
            result.append((name, fallback))
        }
        advance()
        return result
    }

    private mutating func macro(
        _ name: String,
        parameters: [(name: String, fallback: Expression?)],
        end: String
    ) throws(TemplateFault) -> MacroDefinition {
        let (outer, outerLoops) = (names, loops)
        (names, loops) = ([], 0)
        let body = try block(until: end)
        defer { (names, loops) = (outer.union(names), outerLoops) }
        return MacroDefinition(name: name, parameters: parameters, body: body, names: names)
    }

    private mutating func target(
        allowsAttributes: Bool,
        allowsTuples: Bool = true
    ) throws(TemplateFault) -> Target {
        var targets: [Target] = []
        var isTuple = false
        while true {
            if !targets.isEmpty, isName("in") || isSymbol(.assign) || isSymbol(.rightParenthesis) { break }
            if allowsTuples, skip(.leftParenthesis) {
                targets.append(
                    try nested { parser throws(TemplateFault) in try parser.target(allowsAttributes: allowsAttributes) }
                )
                try expect(.rightParenthesis)
            } else {
                let name = try anyName()
                guard !["true", "false", "none", "True", "False", "None"].contains(name) else {
                    throw fault("nothing can be assigned to \"\(name)\"")
                }
                if allowsAttributes, targets.isEmpty, skip(.dot) {
                    return .attribute(namespace: name, name: try anyName())
                }
                targets.append(.name(name))
            }
            guard allowsTuples, skip(.comma) else { break }
            isTuple = true
        }
        return isTuple ? .tuple(targets) : targets[0]
    }
}
