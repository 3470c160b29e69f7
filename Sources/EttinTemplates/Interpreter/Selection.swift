// `map`, `select`, `reject` and their forms for attributes: generators, which do their work when they are gone through.

extension Interpreter {
    func selection(_ name: String, _ value: Value, _ arguments: CallArguments) throws -> Value? {
        switch name {
        case "map": return .iterator(try mapped(value, arguments))
        case "select", "reject", "selectattr", "rejectattr":
            return .iterator(try selected(name, value, arguments))
        default: return nil
        }
    }

    /// The elements of a value one by one.
    private func iterator(over value: Value) throws -> ValueIterator {
        if case .iterator(let iterator) = value { return iterator }
        return ValueIterator("iterator", over: try elements(of: value))
    }

    /// What a generator holds, none of it too deep for the stack.
    private func held(_ value: Value, _ arguments: CallArguments) throws -> [Value] {
        let values = [value] + arguments.positional + arguments.named.map(\.value)
        try requireShallow(values)
        return values
    }

    private func mapped(_ value: Value, _ arguments: CallArguments) throws -> ValueIterator {
        let held = try held(value, arguments)
        let source = try isTrue(value) ? iterator(over: value) : ValueIterator("iterator", over: [])
        if arguments.positional.isEmpty, let attribute = arguments.value(0, "attribute") {
            let fallback = arguments.named.first { $0.name == "default" }?.value
            if let other = arguments.named.first(where: { $0.name != "attribute" && $0.name != "default" }) {
                throw fail("map: unexpected argument '\(other.name)'")
            }
            return ValueIterator("generator", holding: held) { [unowned self] in
                try deeper { try source.next() }.map { try item(at: attribute, of: $0, default: fallback) }
            }
        }
        guard case .string(let name)? = arguments.positional.first else {
            throw fail("map needs a filter or an attribute")
        }
        let filterName = name.string
        guard TemplateFilters.names.contains(filterName) else { throw fail("unknown filter \"\(filterName)\"") }
        var rest = arguments
        rest.positional.removeFirst()
        return ValueIterator("generator", holding: held) { [unowned self] in
            try deeper { try source.next() }.map { element in
                try take(steps: 1)
                return try filter(filterName, element, rest)
            }
        }
    }

    private func selected(_ name: String, _ value: Value, _ arguments: CallArguments) throws -> ValueIterator {
        let held = try held(value, arguments)
        var rest = arguments
        var attribute: Value?
        if name.hasSuffix("attr") {
            guard let first = rest.positional.first else { throw fail("\(name) needs an attribute") }
            attribute = first
            rest.positional.removeFirst()
        }
        var test: String?
        if let first = rest.positional.first {
            guard case .string(let text) = first, TemplateTests.names.contains(text.string) else {
                throw fail("\(name): unknown test \"\((try? string(of: first).string) ?? "")\"")
            }
            test = text.string
            rest.positional.removeFirst()
        }
        let keeps = name.hasPrefix("select")
        let source = try isTrue(value) ? iterator(over: value) : ValueIterator("iterator", over: [])
        return ValueIterator("generator", holding: held) { [unowned self] in
            while let element = try deeper({ try source.next() }) {
                try take(steps: 1)
                let subject = try attribute.map { try item(at: $0, of: element) } ?? element
                let isPassed = try test.map { try passes(subject, test: $0, rest) } ?? isTrue(subject)
                if isPassed == keeps { return element }
            }
            return nil
        }
    }
}
