/// Which methods values have, and which of them a template may call.
enum ValueMethods {
    enum Access {
        case allowed
        case forbidden
        case absent
    }

    private static let ofStrings: Set<String> = [
        "capitalize", "casefold", "center", "count", "endswith", "expandtabs", "find", "format", "index", "isalnum",
        "isalpha", "isascii", "isdecimal", "isdigit", "islower", "isnumeric", "isprintable", "isspace", "istitle",
        "isupper", "join", "ljust", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind",
        "rindex", "rjust", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase",
        "title", "upper", "zfill",
    ]
    private static let ofDictionaries: Set<String> = ["copy", "get", "items", "keys", "values"]
    private static let ofSequences: Set<String> = ["count", "index"]
    /// Those that change a value, or lead out of the sandbox.
    private static let forbidden: [String: Set<String>] = [
        "str": ["encode", "format_map", "isidentifier", "maketrans", "translate"],
        "dict": ["clear", "fromkeys", "pop", "popitem", "setdefault", "update"],
        "list": ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"],
    ]

    static func access(_ name: String, _ value: Value) -> Access {
        let isAllowed =
            switch value {
            case .string: ofStrings.contains(name)
            case .dict: ofDictionaries.contains(name)
            case .list: ofSequences.contains(name) || name == "copy"
            case .tuple, .range: ofSequences.contains(name)
            case .float: name == "is_integer"
            default: false
            }
        if isAllowed { return .allowed }
        return forbidden[value.typeName]?.contains(name) == true ? .forbidden : .absent
    }
}

extension Interpreter {
    func call(_ method: BoundMethod, _ arguments: CallArguments) throws -> Value {
        let positional = arguments.positional
        switch method.receiver {
        case .string(let text): return try call(method.name, of: text, arguments)
        case .dict(let dictionary):
            switch method.name {
            case "get":
                guard (1...2).contains(positional.count), arguments.named.isEmpty else {
                    throw fail("get takes a key and a default")
                }
                try requireHashable(positional[0])
                return dictionary[positional[0]] ?? (positional.count > 1 ? positional[1] : .none)
            case "copy": return method.receiver
            default:
                guard let view = PythonDictionary.View(rawValue: method.name) else { break }
                return .view(view, dictionary)
            }
        case .list, .tuple, .range:
            if method.name == "copy" { return method.receiver }
            guard let wanted = positional.first else { throw fail("\(method.name) needs a value") }
            let values = try elements(of: method.receiver)
            if method.name == "count" { return .int(try values.count { try isEqual($0, wanted) }) }
            guard let first = try values.firstIndex(where: { try isEqual($0, wanted) }) else {
                throw fail("index: the value is not in the \(method.receiver.typeName)")
            }
            return .int(first)
        case .float(let number): return .bool(number.isFinite && number == number.rounded())
        case .loop(let loop):
            if method.name == "cycle" {
                guard !positional.isEmpty else { throw fail("cycle needs values") }
                return positional[loop.index % positional.count]
            }
            try requireShallow(positional)
            try walk(positional)
            if loop.lastSeen == nil { hold(loop) }
            let isChanged = loop.lastSeen.map { $0 != positional } ?? true
            loop.lastSeen = positional
            return .bool(isChanged)
        default: break
        }
        throw fail("a value of type \(method.receiver.typeName) has no method '\(method.name)'")
    }
}
