// Filters of lists and mappings.

extension Interpreter {
    func sequenceFilter(_ name: String, _ value: Value, _ arguments: CallArguments) throws -> Value? {
        switch name {
        case "first":
            if case .iterator(let iterator) = value {
                return try iterator.next() ?? .undefined(Undefined(reason: "there is no first item, as there are none"))
            }
            return try elements(of: value).first
                ?? .undefined(Undefined(reason: "there is no first item, as there are none"))
        case "last":
            if case .iterator = value { throw hasNo("last item", value) }
            return try elements(of: value).last
                ?? .undefined(Undefined(reason: "there is no last item, as there are none"))
        case "join":
            var values = try elements(of: value)
            if let attribute = arguments.value(1, "attribute"), !isNone(attribute) {
                values = try values.map { try item(at: attribute, of: $0) }
            }
            try take(steps: values.count)
            let separator = try arguments.value(0, "d").map(string(of:)) ?? Text(bytes: [])
            return .string(try joined(values.map(string(of:)), by: separator))
        case "list":
            let values = try elements(of: value)
            try take(elements: values.count)
            return .list(values)
        case "items":
            switch value {
            case .dict(let dictionary):
                try take(elements: dictionary.count)
                return .iterator(ValueIterator("generator", over: dictionary.items))
            case .undefined: return .iterator(ValueIterator("generator", over: []))
            default: throw fail("items needs a mapping, found a value of type \(value.typeName)")
            }
        case "dictsort": return try sortedItems(value, arguments)
        case "reverse":
            if case .string(let text) = value {
                try take(bytes: text.bytes.count)
                return .string(Text(text.scalars.reversed()))
            }
            let values = try elements(of: value)
            try take(elements: values.count)
            return .iterator(ValueIterator("list_reverseiterator", over: values.reversed()))
        case "sort":
            let isDescending = try arguments.value(0, "reverse").map(isTrue) ?? false
            let key = try sortKey(arguments.value(1, "case_sensitive"), arguments.value(2, "attribute"))
            return .list(try sorted(elements(of: value), descending: isDescending, by: key))
        case "min", "max":
            let key = try sortKey(arguments.value(0, "case_sensitive"), arguments.value(1, "attribute"))
            let values = try elements(of: value)
            var best: (element: Value, key: Value)?
            for element in values {
                let next = try key(element)
                guard let old = best else {
                    best = (element, next)
                    continue
                }
                let order = try order(next, old.key, "<") ?? 0
                if name == "min" ? order < 0 : order > 0 { best = (element, next) }
            }
            return best?.element ?? .undefined(Undefined(reason: "there are no items"))
        case "unique":
            let key = try sortKey(arguments.value(0, "case_sensitive"), arguments.value(1, "attribute"))
            var seen: Set<Value> = []
            return .iterator(
                ValueIterator(
                    "generator",
                    over: try elements(of: value).filter { element in
                        let key = try key(element)
                        try requireHashable(key)
                        return seen.insert(key).inserted
                    }
                )
            )
        case "sum":
            var total = arguments.value(1, "start") ?? .int(0)
            for element in try elements(of: value) {
                try take(steps: 1)
                let attribute = arguments.value(0, "attribute").flatMap { isNone($0) ? nil : $0 }
                total = try arithmetic(.plus, total, try attribute.map { try item(at: $0, of: element) } ?? element)
            }
            return total
        case "batch", "slice": return try grouped(name, value, arguments)
        case "groupby":
            guard let attribute = arguments.value(0, "attribute") else { throw fail("groupby needs an attribute") }
            return try grouped(value, by: attribute, arguments)
        default: return nil
        }
    }

    private func isNone(_ value: Value) -> Bool { if case .none = value { true } else { false } }

    /// What a path such as `a.b.0` leads to.
    func item(at path: Value, of value: Value, default fallback: Value? = nil) throws -> Value {
        guard case .string(let text) = path else { return try item(path, of: value) }
        var result = value
        for part in text.split(Text("."), -1) {
            let isNumber = part.passes("isdigit") ?? false
            let key = isNumber ? Int(part.string).map(Value.int) ?? .string(part) : .string(part)
            result = try item(key, of: result)
            if case .undefined = result, let fallback { result = fallback }
        }
        return result
    }

    /// What elements are sorted by: themselves or an attribute, texts without regard to case unless it matters.
    private func sortKey(_ isCaseSensitive: Value?, _ attribute: Value?) throws -> (Value) throws -> Value {
        let keepsCase = try isCaseSensitive.map(isTrue) ?? false
        let attribute = attribute.flatMap { isNone($0) ? nil : $0 }
        return { [unowned self] element in
            var key = element
            if let attribute {
                // Several attributes stand between commas.
                if case .string(let text) = attribute, text.contains(Text(",")) {
                    return .list(
                        try text.split(Text(","), -1).map { part in
                            folded(try item(at: .string(part), of: element), keepsCase)
                        }
                    )
                }
                key = try item(at: attribute, of: element)
            }
            return folded(key, keepsCase)
        }
    }

    private func folded(_ key: Value, _ keepsCase: Bool) -> Value {
        if case .string(let text) = key, !keepsCase { return .string(text.lowercased) }
        return key
    }

    private func sortedItems(_ value: Value, _ arguments: CallArguments) throws -> Value {
        guard case .dict(let dictionary) = value else {
            throw fail("dictsort needs a mapping, found a value of type \(value.typeName)")
        }
        let keepsCase = try arguments.value(0, "case_sensitive").map(isTrue) ?? false
        let by: Text = if case .string(let text)? = arguments.value(1, "by") { text } else { Text("key") }
        guard by == Text("key") || by == Text("value") else { throw fail("dictsort: expected to sort by key or value") }
        let isDescending = try arguments.value(2, "reverse").map(isTrue) ?? false
        try take(elements: dictionary.count)
        let items = zip(dictionary.keys, dictionary.values).map { (key: $0, value: $1) }
        let sorted = try sorted(items, descending: isDescending) {
            folded(by == Text("key") ? $0.key : $0.value, keepsCase)
        }
        return .list(sorted.map { .tuple([$0.key, $0.value]) })
    }

    /// `batch` and `slice`: lists of a size, or a number of lists.
    private func grouped(_ name: String, _ value: Value, _ arguments: CallArguments) throws -> Value {
        guard let first = arguments.positional.first ?? arguments.named.first?.value else {
            throw fail("\(name) needs a count")
        }
        let count = try size(first, name, limit: 100_000)
        guard count > 0 else { throw fail("\(name): the count is 0; expected 1 or more") }
        let fill = arguments.value(1, "fill_with").flatMap { isNone($0) ? nil : $0 }
        let values = try elements(of: value)
        try requireShallow(values)
        try take(elements: values.count + count)
        var lists: [[Value]] = []
        if name == "batch" {
            for start in stride(from: 0, to: values.count, by: count) {
                lists.append(Array(values[start..<min(values.count, start + count)]))
            }
            if let fill, let last = lists.last {
                lists[lists.count - 1] += Array(repeating: fill, count: count - last.count)
            }
        } else {
            let (size, longer) = (values.count / count, values.count % count)
            var start = 0
            for index in 0..<count {
                let end = start + size + (index < longer ? 1 : 0)
                var list = Array(values[start..<end])
                if let fill, index >= longer { list.append(fill) }
                lists.append(list)
                start = end
            }
        }
        return .iterator(ValueIterator("generator", over: lists.map(Value.list)))
    }

    private func grouped(_ value: Value, by attribute: Value, _ arguments: CallArguments) throws -> Value {
        let keepsCase = try arguments.value(2, "case_sensitive").map(isTrue) ?? false
        let fallback = arguments.value(1, "default")
        let values = try elements(of: value)
        try requireShallow(values)
        let keyed = try values.map { element in
            let key = try item(at: attribute, of: element, default: fallback)
            return (key: key, folded: folded(key, keepsCase), element: element)
        }
        var groups: [(key: Value, folded: Value, elements: [Value])] = []
        for entry in try sorted(keyed, by: { $0.folded }) {
            if let last = groups.last, try isEqual(last.folded, entry.folded) {
                groups[groups.count - 1].elements.append(entry.element)
            } else {
                groups.append((entry.key, entry.folded, [entry.element]))
            }
        }
        return .list(groups.map { .tuple([$0.key, .list($0.elements)]) })
    }
}
