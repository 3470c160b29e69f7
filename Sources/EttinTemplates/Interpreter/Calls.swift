// Calls of macros, functions and methods.

extension Interpreter {
    func call(_ function: Value, _ arguments: CallArguments) throws -> Value {
        switch function {
        case .macro(let macro): return .string(try deeper { try call(macro, arguments) })
        case .function(let function): return try call(function, arguments)
        case .method(let method): return try call(method, arguments)
        case .loop(let loop):
            guard let (definition, scope) = loop.recursion, let value = arguments.positional.first else {
                throw fail("this loop is not recursive, so that it cannot be called")
            }
            return .string(
                try captured { try deeper { try run(definition, over: value, depth: loop.depth + 1, in: scope) } }
            )
        case .undefined(let undefined): throw fail(undefined.reason)
        default: throw fail("a value of type \(function.typeName) cannot be called")
        }
    }

    private func call(_ macro: Macro, _ arguments: CallArguments) throws -> Text {
        let definition = macro.definition
        let scope = Scope(inside: macro.scope)
        let place = offset
        var named = arguments.named
        for (position, parameter) in definition.parameters.enumerated() {
            // Names are searched one by one.
            try take(steps: named.count / 8)
            if position < arguments.positional.count {
                guard !named.contains(where: { $0.name == parameter.name }) else {
                    throw fail("macro '\(definition.name)': the argument '\(parameter.name)' is given twice")
                }
                scope.set(parameter.name, arguments.positional[position])
            } else if let found = named.firstIndex(where: { $0.name == parameter.name }) {
                scope.set(parameter.name, named.remove(at: found).value)
            } else if let fallback = parameter.fallback {
                scope.set(parameter.name, try evaluate(fallback, in: scope))
                offset = place
            } else {
                let reason = "parameter '\(Undefined.shortened(parameter.name))' was not provided"
                scope.set(parameter.name, .undefined(Undefined(reason: reason)))
            }
        }
        let extra = Array(arguments.positional.dropFirst(definition.parameters.count))
        guard extra.isEmpty || definition.readsExtraArguments else {
            throw fail("macro '\(definition.name)' takes \(definition.parameters.count) arguments at most")
        }
        if let first = named.first, !definition.readsExtraNames {
            throw fail("macro '\(definition.name)' has no parameter '\(first.name)'")
        }
        if definition.readsExtraArguments {
            try requireShallow(extra)
            scope.set("varargs", .tuple(extra))
        }
        if definition.readsExtraNames {
            var dictionary = PythonDictionary()
            for (name, value) in named { dictionary[.text(name)] = value }
            try requireShallow(dictionary.values)
            scope.set("kwargs", .dict(dictionary))
        }
        scope.set(
            "caller",
            arguments.caller.map(Value.macro) ?? .undefined(Undefined(reason: "No caller defined"))
        )
        return try captured { try run(definition.body, in: scope) }
    }

    private func call(_ function: TemplateFunction, _ arguments: CallArguments) throws -> Value {
        switch function {
        case .range: return try range(arguments)
        case .dict, .namespace:
            var dictionary = PythonDictionary()
            if let first = arguments.positional.first {
                if case .dict(let other) = first {
                    try take(elements: 2 * other.count)
                    dictionary = other
                } else {
                    for pair in try elements(of: first) {
                        try take(elements: 2)
                        let parts = try elements(of: pair)
                        guard parts.count == 2 else {
                            throw fail("\(function.rawValue): expected pairs of key and value")
                        }
                        try requireHashable(parts[0])
                        dictionary[parts[0]] = parts[1]
                    }
                }
            }
            for (name, value) in arguments.named { dictionary[.text(name)] = value }
            try requireShallow(dictionary.keys)
            try requireShallow(dictionary.values)
            guard function == .namespace else { return .dict(dictionary) }
            for case .string(let name) in dictionary.keys where name.string.hasPrefix("_") {
                throw fail("the attribute \"\(name.string)\" begins with an underscore, which is not allowed")
            }
            return namespace(dictionary)
        case .raiseException:
            guard let message = arguments.value(0, "message") else { throw fail("raise_exception needs a message") }
            throw TemplateFault(.raised, at: offset, try string(of: message).string)
        case .strftimeNow:
            guard case .string(let format)? = arguments.value(0, "format") else {
                throw fail("strftime_now needs a format")
            }
            return .string(Text(CurrentTime.formatted(format.string)))
        }
    }

    private func range(_ arguments: CallArguments) throws -> Value {
        let numbers = try arguments.positional.map { value in
            guard let number = value.integer else {
                if case .undefined(let undefined) = value { throw fail(undefined.reason) }
                throw fail("range needs integers, and this is of type \(value.typeName)")
            }
            // No text has as many characters.
            guard number.magnitude < 1 << 40 else { throw fail("range: \(number) is too large") }
            return number
        }
        guard (1...3).contains(numbers.count), arguments.named.isEmpty else {
            throw fail("range takes 1 to 3 integers")
        }
        let step = numbers.count > 2 ? numbers[2] : 1
        guard step != 0 else { throw fail("range cannot have step 0") }
        let range = PythonRange(
            start: numbers.count > 1 ? numbers[0] : 0,
            stop: numbers.count > 1 ? numbers[1] : numbers[0],
            step: step
        )
        guard range.count <= 100_000 else {
            throw TemplateFault(.limit, at: offset, "range has \(range.count) elements; expected 100000 at most")
        }
        return .range(range)
    }
}
