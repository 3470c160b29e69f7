// Expressions.

extension Interpreter {
    func evaluate(_ node: Expression, in scope: Scope) throws -> Value {
        try take(steps: 1)
        switch node.kind {
        case .constant(let value): return value
        case .name(let name): return lookUp(name, in: scope)
        default: return try deeper { try evaluateInner(node, in: scope) }
        }
    }

    private func lookUp(_ name: String, in scope: Scope) -> Value {
        if let value = scope.value(of: name) { return value }
        if let function = TemplateFunction(rawValue: name), environment.functions.contains(function) {
            return .function(function)
        }
        return .undefined(Undefined(reason: "'\(Undefined.shortened(name))' is undefined"))
    }

    private func evaluateInner(_ node: Expression, in scope: Scope) throws -> Value {
        switch node.kind {
        case .constant(let value): return value
        case .name(let name): return lookUp(name, in: scope)
        case .attribute(let operand, let name):
            let value = try evaluate(operand, in: scope)
            offset = node.offset
            return try attribute(name, of: value)
        case .item(let operand, let key):
            let (value, key) = (try evaluate(operand, in: scope), try evaluate(key, in: scope))
            offset = node.offset
            return try item(key, of: value)
        case .slice(let operand, let start, let stop, let step):
            let value = try evaluate(operand, in: scope)
            let bounds = try [start, stop, step].map { try $0.map { try evaluate($0, in: scope) } ?? .none }
            offset = node.offset
            return try slice(value, bounds)
        case .call(let callee, let arguments):
            let function = try evaluate(callee, in: scope)
            let values = try evaluate(arguments, in: scope)
            offset = node.offset
            return try call(function, values)
        case .filter(let operand, _, _):
            return try apply(node, to: operand.map { try evaluate($0, in: scope) } ?? .none, in: scope)
        case .test(let operand, let name, let arguments):
            let value = try evaluate(operand, in: scope)
            let values = try evaluate(arguments, in: scope)
            offset = node.offset
            return .bool(try passes(value, test: name, values))
        case .not(let operand): return .bool(try !isTrue(evaluate(operand, in: scope)))
        case .negative(let operand):
            let value = try evaluate(operand, in: scope)
            offset = node.offset
            return try negated(value)
        case .positive(let operand):
            let value = try evaluate(operand, in: scope)
            offset = node.offset
            guard value.number != nil else { throw wrongOperand("unary +", value) }
            return value.integer.map(Value.int) ?? value
        case .and(let left, let right):
            let value = try evaluate(left, in: scope)
            return try isTrue(value) ? evaluate(right, in: scope) : value
        case .or(let left, let right):
            let value = try evaluate(left, in: scope)
            return try isTrue(value) ? value : evaluate(right, in: scope)
        case .arithmetic(let symbol, let left, let right):
            let (first, second) = (try evaluate(left, in: scope), try evaluate(right, in: scope))
            offset = node.offset
            return try arithmetic(symbol, first, second)
        case .comparison(let first, let rest):
            var left = try evaluate(first, in: scope)
            for (comparison, operand) in rest {
                let right = try evaluate(operand, in: scope)
                offset = node.offset
                guard try compare(left, comparison, right) else { return .bool(false) }
                left = right
            }
            return .bool(true)
        case .concatenation(let parts):
            var text = Text(bytes: [])
            for part in parts {
                let value = try evaluate(part, in: scope)
                offset = part.offset
                let piece = try string(of: value)
                try take(bytes: piece.bytes.count)
                text.bytes += piece.bytes
            }
            return .string(text)
        case .conditional(let test, let first, let second):
            if try isTrue(evaluate(test, in: scope)) { return try evaluate(first, in: scope) }
            return try second.map { try evaluate($0, in: scope) }
                ?? .undefined(Undefined(reason: "the condition is false, and there is no \"else\""))
        case .list(let elements):
            try take(elements: elements.count)
            let values = try elements.map { try evaluate($0, in: scope) }
            try requireShallow(values)
            return .list(values)
        case .tuple(let elements):
            try take(elements: elements.count)
            let values = try elements.map { try evaluate($0, in: scope) }
            try requireShallow(values)
            return .tuple(values)
        case .dict(let members):
            try take(elements: 2 * members.count)
            var dictionary = PythonDictionary()
            for (keyNode, valueNode) in members {
                let (key, value) = (try evaluate(keyNode, in: scope), try evaluate(valueNode, in: scope))
                offset = keyNode.offset
                try requireHashable(key)
                dictionary[key] = value
            }
            try requireShallow(dictionary.keys)
            try requireShallow(dictionary.values)
            return .dict(dictionary)
        }
    }

    func requireHashable(_ key: Value) throws {
        try walk(key)
        guard key.isHashable else { throw fail("a value of type \(key.typeName) cannot be a key") }
    }

    /// Applies the filter of a node to a value.
    func apply(_ node: Expression, to value: Value, in scope: Scope) throws -> Value {
        guard case .filter(let operand, let name, let arguments) = node.kind else { return value }
        // A chain that belongs to a block has the block's text at its inner end.
        var value = value
        if let operand, case .filter = operand.kind, isBlockFilter(operand) {
            value = try apply(operand, to: value, in: scope)
        }
        let values = try evaluate(arguments, in: scope)
        offset = node.offset
        return try deeper { try filter(name, value, values) }
    }

    private func isBlockFilter(_ node: Expression) -> Bool {
        guard case .filter(let operand, _, _) = node.kind else { return false }
        return operand.map(isBlockFilter) ?? true
    }

    /// Evaluates arguments, those behind `*` and `**` among them.
    func evaluate(_ arguments: Arguments, in scope: Scope) throws -> CallArguments {
        guard !arguments.isEmpty else { return CallArguments() }
        var result = CallArguments()
        result.positional = try arguments.positional.map { try evaluate($0, in: scope) }
        for (name, node) in arguments.named { result.named.append((name, try evaluate(node, in: scope))) }
        if let node = arguments.list {
            let value = try evaluate(node, in: scope)
            offset = node.offset
            let values = try elements(of: value)
            try take(elements: values.count)
            result.positional += values
        }
        if let node = arguments.mapping {
            let value = try evaluate(node, in: scope)
            offset = node.offset
            guard case .dict(let dictionary) = value else { throw fail("what follows ** is no mapping") }
            try take(elements: 2 * dictionary.count)
            for (key, value) in zip(dictionary.keys, dictionary.values) {
                guard case .string(let name) = key else { throw fail("a key behind ** is no string") }
                result.named.append((name.string, value))
            }
        }
        return result
    }
}

/// The values that a function, filter or test is called with.
struct CallArguments {
    var positional: [Value] = []
    var named: [(name: String, value: Value)] = []
    var caller: Macro?

    /// The argument at a position or with a name.
    func value(_ position: Int, _ name: String) -> Value? {
        if position < positional.count { return positional[position] }
        return named.first { $0.name == name }?.value
    }
}
