/// Renders a template.
///
/// Values are Python's, and so are their operators, methods and printed forms. Nothing that a template does reaches
/// beyond its variables.
final class Interpreter {
    /// Evaluating nests no deeper; what a stack of half a megabyte holds.
    private static let maximumDepth = 300

    /// What runs on behind a statement.
    private enum Flow {
        case next
        case breakLoop
        case continueLoop
    }

    let environment: ChatTemplate.Environment
    private(set) var budget: Budget
    /// Where in the source the node is that is being evaluated.
    var offset = 0
    private var depth = 0
    private var output: [UInt8] = []
    /// What was rendered before the outermost block whose text is a value.
    private var outerCount: Int?
    private var generationSpans: [Range<Int>] = []
    /// Scopes that hold macros, which hold them, and namespaces, which can hold themselves: emptied at the end.
    private var heldScopes: [Scope] = []
    private var heldNamespaces: [Namespace] = []
    /// Loops that were asked whether something changed: what they saw last can hold them.
    private var heldLoops: [LoopState] = []

    init(environment: ChatTemplate.Environment, budget: Budget) {
        (self.environment, self.budget) = (environment, budget)
    }

    /// Renders a template's statements.
    ///
    /// - Returns: The text, and the parts of it, in bytes, that stand between generation markers.
    func render(_ statements: [Statement], variables: Scope) throws -> (text: [UInt8], generationSpans: [Range<Int>]) {
        defer {
            heldScopes.forEach { $0.removeAll() }
            heldNamespaces.forEach { $0.attributes = PythonDictionary() }
            heldLoops.forEach { $0.lastSeen = nil }
        }
        _ = try execute(statements, in: Scope(inside: variables))
        return (output, generationSpans)
    }

    /// Empties a scope at the end of the rendering, as it may hold itself.
    func hold(_ scope: Scope) { heldScopes.append(scope) }

    /// Empties what a loop saw last at the end of the rendering.
    func hold(_ loop: LoopState) { heldLoops.append(loop) }

    /// Makes a namespace.
    func namespace(_ attributes: PythonDictionary) -> Value {
        let namespace = Namespace()
        namespace.attributes = attributes
        heldNamespaces.append(namespace)
        return .namespace(namespace)
    }

    // MARK: - Limits

    func fail(_ reason: String) -> TemplateFault { TemplateFault(.evaluation, at: offset, reason) }

    private static func tooMuch(_ what: String) -> String {
        "the template \(what) than is allowed for this conversation"
    }

    /// Takes steps for looking at elements.
    func take(steps: Int) throws {
        if !budget.takeSteps(steps) {
            throw TemplateFault(.limit, at: offset, Self.tooMuch("does more work"))
        }
    }

    /// Takes memory before a value is made.
    func take(bytes: Int) throws {
        if !budget.takeMemory(bytes) {
            throw TemplateFault(.limit, at: offset, Self.tooMuch("takes more memory"))
        }
    }

    /// Takes memory before a list is made.
    func take(elements: Int) throws {
        let (bytes, overflows) = elements.multipliedReportingOverflow(by: 64)
        try take(bytes: overflows ? .max : bytes)
    }

    /// Evaluates a level deeper.
    func deeper<Result>(_ body: () throws -> Result) throws -> Result {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else {
            throw TemplateFault(.limit, at: offset, "macros or values nest too deeply")
        }
        return try body()
    }

    /// Refuses elements for a container that nest deeper than the stack allows, on which values are released, compared
    /// and hashed.
    func requireShallow(_ values: [Value]) throws {
        try take(steps: 1 + values.count / 16)
        for value in values {
            switch value {
            case .list(let inner), .tuple(let inner): try deeper { try requireShallow(inner) }
            case .dict(let dictionary), .view(_, let dictionary):
                try deeper {
                    try requireShallow(dictionary.keys)
                    try requireShallow(dictionary.values)
                }
            case .method(let method): try deeper { try requireShallow([method.receiver]) }
            case .loop(let loop): try deeper { try requireShallow(loop.values) }
            case .iterator(let iterator): try deeper { try requireShallow(iterator.heldValues) }
            default: break
            }
        }
    }

    // MARK: - Output

    private func write(_ bytes: [UInt8]) throws {
        let isAllowed = outerCount == nil ? budget.takeOutput(bytes.count) : budget.takeMemory(bytes.count)
        if !isAllowed {
            throw TemplateFault(.limit, at: offset, Self.tooMuch("renders more text"))
        }
        output += bytes
    }

    /// What a body renders, as a text.
    func captured(_ body: () throws -> Void) throws -> Text {
        let isOutermost = outerCount == nil
        if isOutermost { outerCount = output.count }
        var before: [UInt8] = []
        swap(&before, &output)
        defer {
            swap(&before, &output)
            if isOutermost { outerCount = nil }
        }
        try body()
        return Text(bytes: output)
    }

    // MARK: - Statements

    func run(_ statements: [Statement], in scope: Scope) throws { _ = try execute(statements, in: scope) }

    private func execute(_ statements: [Statement], in scope: Scope) throws -> Flow {
        for statement in statements {
            try take(steps: 1)
            offset = statement.offset
            let flow = try execute(statement.kind, in: scope)
            if flow != .next { return flow }
        }
        return .next
    }

    private func execute(_ statement: Statement.Kind, in scope: Scope) throws -> Flow {
        switch statement {
        case .data(let text): try write(text.bytes)
        case .output(let expression):
            let value = try evaluate(expression, in: scope)
            offset = expression.offset
            try write(string(of: value).bytes)
        case .branches(let branches, let otherwise):
            for branch in branches where try isTrue(evaluate(branch.test, in: scope)) {
                return try deeper { try execute(branch.body, in: scope) }
            }
            return try deeper { try execute(otherwise, in: scope) }
        case .loop(let loop):
            let values = try evaluate(loop.iterable, in: scope)
            offset = loop.iterable.offset
            try deeper { try run(loop, over: values, depth: 1, in: scope) }
        case .set(let target, let expression):
            try assign(evaluate(expression, in: scope), to: target, in: scope, at: expression.offset)
        case .setBlock(let target, let filter, let body):
            let offset = offset
            var value = Value.string(try captured { try deeper { try run(body, in: Scope(inside: scope)) } })
            if let filter { value = try apply(filter, to: value, in: scope) }
            try assign(value, to: target, in: scope, at: offset)
        case .macro(let definition):
            scope.set(definition.name, .macro(Macro(definition, in: scope)))
            hold(scope)
        case .callBlock(let definition, let call):
            guard case .call(let callee, let arguments) = call.kind else { break }
            let function = try evaluate(callee, in: scope)
            var values = try evaluate(arguments, in: scope)
            values.caller = Macro(definition, in: scope)
            hold(scope)
            offset = call.offset
            let result = try deeper { try self.call(function, values) }
            try write(string(of: result).bytes)
        case .filterBlock(let filter, let body):
            let text = try captured { try deeper { try run(body, in: Scope(inside: scope)) } }
            try write(string(of: apply(filter, to: .string(text), in: scope)).bytes)
        case .with(let values, let body):
            let inner = Scope(inside: scope)
            for (target, value) in values {
                try assign(evaluate(value, in: scope), to: target, in: inner, at: value.offset)
            }
            return try deeper { try execute(body, in: inner) }
        case .generation(let body):
            let text = try captured { try deeper { try run(body, in: Scope(inside: scope)) } }
            let start = outerCount ?? output.count
            generationSpans.append(start..<start + text.bytes.count)
            try write(text.bytes)
        case .breakLoop: return .breakLoop
        case .continueLoop: return .continueLoop
        }
        return .next
    }

    func run(_ loop: Loop, over value: Value, depth: Int, in scope: Scope) throws {
        var values = try elements(of: value)
        if let filter = loop.filter {
            values = try values.filter { value in
                let inner = Scope(inside: scope)
                try assign(value, to: loop.target, in: inner, at: loop.iterable.offset)
                return try isTrue(evaluate(filter, in: inner))
            }
        }
        let state = LoopState(values, depth: depth, recursion: loop.isRecursive ? (loop, scope) : nil)
        // A value that holds the loop holds its scope, and that the values of earlier loops.
        if loop.isRecursive { hold(scope) }
        var hasEndedRound = false
        for (index, value) in values.enumerated() {
            try take(steps: 1)
            state.index = index
            let inner = Scope(inside: scope)
            inner.set("loop", .loop(state))
            try assign(value, to: loop.target, in: inner, at: loop.iterable.offset)
            let flow = try execute(loop.body, in: inner)
            if flow == .next { hasEndedRound = true }
            if flow == .breakLoop { break }
        }
        // As in Jinja, rounds that "break" and "continue" end count as none.
        if !hasEndedRound { try run(loop.otherwise, in: Scope(inside: scope)) }
    }

    private func assign(_ value: Value, to target: Target, in scope: Scope, at place: Int) throws {
        switch target {
        case .name(let name): scope.set(name, value)
        case .attribute(let name, let attribute):
            offset = place
            guard case .namespace(let namespace) = scope.value(of: name) else {
                throw fail("\"\(name)\" is no namespace, whose attributes alone can be set")
            }
            guard !attribute.hasPrefix("_") else {
                throw fail("the attribute \"\(attribute)\" begins with an underscore, which is not allowed")
            }
            namespace.attributes[.text(attribute)] = value
        case .tuple(let targets):
            offset = place
            let values = try elements(of: value)
            guard values.count == targets.count else {
                throw fail("\(values.count) values cannot be assigned to \(targets.count) names")
            }
            for (target, value) in zip(targets, values) { try assign(value, to: target, in: scope, at: place) }
        }
    }
}
