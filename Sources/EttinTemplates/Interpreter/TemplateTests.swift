/// The tests that stand behind `is`.
enum TemplateTests {
    static let names: Set<String> = [
        "boolean", "callable", "defined", "divisibleby", "eq", "equalto", "escaped", "even", "false", "filter", "float",
        "ge", "greaterthan", "gt", "in", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne",
        "none",
        "number", "odd", "sameas", "sequence", "string", "test", "true", "undefined", "upper", "==", "!=", "<", "<=",
        ">",
        ">=",
    ]
}

extension Interpreter {
    /// Whether a value passes a test.
    func passes(_ value: Value, test name: String, _ arguments: CallArguments) throws -> Bool {
        func argument() throws -> Value {
            guard let first = arguments.positional.first ?? arguments.named.first?.value else {
                throw fail("the test \"\(name)\" needs a value")
            }
            return first
        }
        switch name {
        case "defined", "undefined":
            guard arguments.positional.isEmpty, arguments.named.isEmpty else {
                throw fail("the test \"\(name)\" takes no value")
            }
            if case .undefined = value { return name == "undefined" }
            return name == "defined"
        case "none": if case .none = value { return true }
        case "boolean": if case .bool = value { return true }
        case "true": if case .bool(true) = value { return true }
        case "false": if case .bool(false) = value { return true }
        case "integer":
            switch value {
            case .int, .bigInt: return true
            default: return false
            }
        case "float": if case .float = value { return true }
        case "number": return value.number != nil
        case "string": if case .string = value { return true }
        case "mapping": if case .dict = value { return true }
        case "sequence":
            switch value {
            case .string, .list, .tuple, .dict, .range: return true
            case .undefined(let undefined): return !undefined.isForbidden && environment == .chat
            default: return false
            }
        case "iterable":
            switch value {
            case .string, .list, .tuple, .dict, .view, .range, .iterator, .loop: return true
            case .undefined(let undefined): return !undefined.isForbidden && environment == .chat
            default: return false
            }
        case "callable":
            switch value {
            case .macro, .method, .function, .loop, .undefined: return true
            default: return false
            }
        case "escaped": return false
        case "lower", "upper":
            let text = try string(of: value)
            try take(steps: text.bytes.count / 16)
            return text.passes("is" + name) ?? false
        case "even", "odd", "divisibleby":
            let divisor = name == "divisibleby" ? try argument() : .int(2)
            let remainder = try arithmetic(.modulo, value, divisor)
            return try isEqual(remainder, .int(name == "odd" ? 1 : 0))
        case "filter", "test":
            guard case .string(let wanted) = value else { return false }
            return (name == "filter" ? TemplateFilters.names : TemplateTests.names).contains(wanted.string)
        case "sameas": return try isSame(value, argument())
        case "in": return try contains(argument(), value)
        default: return try compare(value, Self.comparison(of: name), argument())
        }
        return false
    }

    private static func comparison(of test: String) -> Comparison {
        switch test {
        case "ne", "!=": .notEqual
        case "lt", "lessthan", "<": .less
        case "le", "<=": .lessOrEqual
        case "gt", "greaterthan", ">": .greater
        case "ge", ">=": .greaterOrEqual
        default: .equal
        }
    }

    /// `is` of Python, where it does not depend on how values are kept.
    private func isSame(_ left: Value, _ right: Value) -> Bool {
        switch (left, right) {
        case (.none, .none): true
        case (.bool(let first), .bool(let second)): first == second
        case (.int(let first), .int(let second)): first == second
        case (.string(let first), .string(let second)): first == second
        case (.namespace, .namespace), (.macro, .macro), (.loop, .loop), (.iterator, .iterator): left == right
        default: false
        }
    }
}
