// Attributes, items, slices and elements.

extension Interpreter {
    /// `value.name`: what Python calls an attribute, or else the item of that name.
    func attribute(_ name: String, of value: Value) throws -> Value {
        if let found = try member(name, of: value) { return found }
        if case .dict(let dictionary) = value, let found = dictionary[name] { return found }
        return try missing(name, of: value)
    }

    /// `value[key]`: the item, or else what Python calls an attribute.
    func item(_ key: Value, of value: Value) throws -> Value {
        switch value {
        case .dict(let dictionary):
            try walk(key)
            if key.isHashable, let found = dictionary[key] { return found }
        case .list(let values), .tuple(let values):
            if let index = key.integer, let position = Self.position(index, values.count) { return values[position] }
        case .string(let text):
            if let index = key.integer {
                try take(steps: text.bytes.count / 64)
                if text.isASCII {
                    if let position = Self.position(index, text.bytes.count) {
                        return .string(Text(bytes: [text.bytes[position]]))
                    }
                } else if let position = Self.position(index, text.count) {
                    let scalars = text.scalars
                    return .string(Text([scalars[scalars.index(scalars.startIndex, offsetBy: position)]]))
                }
            }
        case .range(let range):
            if let index = key.integer, let position = Self.position(index, range.count) {
                return .int(range.start + position * range.step)
            }
        default: break
        }
        guard case .string(let name) = key else {
            if case .undefined(let undefined) = value { throw fail(undefined.reason) }
            let shown = (try? string(of: key).string).map(Undefined.shortened) ?? key.typeName
            return .undefined(Undefined(reason: "\(Self.shownType(value)) has no element \(shown)"))
        }
        return try member(name.string, of: value) ?? missing(name.string, of: value)
    }

    private static func position(_ index: Int, _ count: Int) -> Int? {
        let position = index < 0 ? index.addingReportingOverflow(count).partialValue : index
        return (0..<count).contains(position) ? position : nil
    }

    private static func shownType(_ value: Value) -> String {
        if case .none = value { "None" } else { "'\(value.typeName) object'" }
    }

    private func missing(_ name: String, of value: Value) throws -> Value {
        if case .undefined(let undefined) = value { throw fail(undefined.reason) }
        return .undefined(Undefined(reason: "\(Self.shownType(value)) has no attribute '\(Undefined.shortened(name))'"))
    }

    /// What Python calls an attribute; nil where there is none.
    private func member(_ name: String, of value: Value) throws -> Value? {
        if case .undefined = value { return nil }
        guard !name.hasPrefix("_") else {
            if case .dict(let dictionary) = value, dictionary[name] != nil { return nil }
            return .undefined(
                Undefined(
                    reason: "access to attribute '\(Undefined.shortened(name))' of \(Self.shownType(value)) is unsafe",
                    isForbidden: true
                )
            )
        }
        switch value {
        case .namespace(let namespace): return namespace.attributes[name]
        case .loop(let loop): return loop.attribute(name)
        case .macro(let macro):
            switch name {
            case "name": return .text(macro.definition.name)
            case "arguments": return .tuple(macro.definition.parameters.map { .text($0.name) })
            default: return nil
            }
        case .range(let range):
            switch name {
            case "start": return .int(range.start)
            case "stop": return .int(range.stop)
            case "step": return .int(range.step)
            default: break
            }
        default: break
        }
        switch ValueMethods.access(name, value) {
        case .allowed: return .method(BoundMethod(value, name))
        case .forbidden:
            return .undefined(
                Undefined(
                    reason: "the method '\(name)' of \(Self.shownType(value)) is not allowed here",
                    isForbidden: true
                )
            )
        case .absent: return nil
        }
    }

    // MARK: - Elements

    /// The elements of what can be gone through.
    func elements(of value: Value) throws -> [Value] {
        switch value {
        case .list(let values), .tuple(let values): return values
        case .string(let text):
            try take(elements: text.bytes.count)
            return text.characters.map(Value.string)
        case .dict(let dictionary): return dictionary.keys
        case .view(let view, let dictionary):
            try take(elements: dictionary.count)
            return dictionary.elements(of: view)
        case .range(let range):
            try take(elements: range.count)
            return range.values
        case .iterator(let iterator):
            var values: [Value] = []
            while let value = try iterator.next() {
                try take(elements: 1)
                values.append(value)
            }
            return values
        case .undefined(let undefined):
            guard !undefined.isForbidden, environment == .chat else { throw fail(undefined.reason) }
            return []
        case .loop(let loop):
            try requireShallow([value])
            try take(elements: loop.values.count - loop.index)
            return loop.values.suffix(from: loop.index).map { .tuple([$0, value]) }
        default: throw fail("a value of type \(value.typeName) has no elements to go through")
        }
    }

    /// `len(value)`; nil where there is none.
    func length(of value: Value) throws -> Int? {
        switch value {
        case .string(let text):
            try take(steps: text.bytes.count / 64)
            return text.count
        case .list(let values), .tuple(let values): return values.count
        case .dict(let dictionary), .view(_, let dictionary): return dictionary.count
        case .range(let range): return range.count
        case .loop(let loop): return loop.values.count
        case .undefined(let undefined):
            guard !undefined.isForbidden, environment == .chat else { throw fail(undefined.reason) }
            return 0
        default: return nil
        }
    }

    /// A count from an argument, bounded.
    func size(_ value: Value, _ name: String, limit: Int = 1 << 24) throws -> Int {
        guard let size = value.integer else { throw fail("\(name) is of type \(value.typeName); expected an integer") }
        guard size <= limit else { throw fail("\(name) is \(size); expected \(limit) at most") }
        return max(0, size)
    }

    // MARK: - Slices

    /// `value[start:stop:step]`.
    func slice(_ value: Value, _ bounds: [Value]) throws -> Value {
        let numbers = try bounds.map { bound -> Int? in
            if case .none = bound { return nil }
            guard let number = bound.integer else {
                if case .undefined(let undefined) = bound { throw fail(undefined.reason) }
                throw fail("a slice needs integers, and this is of type \(bound.typeName)")
            }
            return number
        }
        switch value {
        case .list(let values): return .list(try Self.sliced(values, indices(numbers, values.count)))
        case .tuple(let values): return .tuple(try Self.sliced(values, indices(numbers, values.count)))
        case .range(let range):
            return .range(try sliced(range, by: indices(numbers, range.count)))
        case .string(let text):
            if text.isASCII {
                return .string(Text(bytes: try Self.sliced(text.bytes, indices(numbers, text.bytes.count))))
            }
            let scalars = Array(text.scalars)
            return .string(Text(try Self.sliced(scalars, indices(numbers, scalars.count))))
        case .undefined(let undefined): throw fail(undefined.reason)
        default: throw fail("a value of type \(value.typeName) has no slices")
        }
    }

    private func indices(_ bounds: [Int?], _ count: Int) throws -> PythonRange {
        let step = bounds[2] ?? 1
        guard step != 0 else { throw fail("a slice cannot have step 0") }
        // Steps beyond the length take one element, whatever their size.
        let bounded = max(-count - 1, min(count + 1, step))
        func place(_ bound: Int?, otherwise: Int) -> Int {
            guard let bound else { return otherwise }
            let (low, high) = step > 0 ? (0, count) : (-1, count - 1)
            return max(low, min(high, bound < 0 ? (bound < -count ? low : bound + count) : bound))
        }
        let start = place(bounds[0], otherwise: step > 0 ? 0 : count - 1)
        let stop = place(bounds[1], otherwise: step > 0 ? count : -1)
        let range = PythonRange(start: start, stop: stop, step: bounded)
        try take(bytes: 16 * range.count)
        return range
    }

    private func sliced(_ range: PythonRange, by places: PythonRange) throws -> PythonRange {
        func place(_ index: Int) throws -> Int {
            let (distance, isFar) = index.multipliedReportingOverflow(by: range.step)
            let (place, isBeyond) = range.start.addingReportingOverflow(distance)
            guard !isFar, !isBeyond else { throw tooLarge }
            return place
        }
        let (step, overflows) = range.step.multipliedReportingOverflow(by: places.step)
        guard !overflows, step != .min else { throw tooLarge }
        return PythonRange(start: try place(places.start), stop: try place(places.stop), step: step)
    }

    private static func sliced<Element>(_ elements: [Element], _ range: PythonRange) -> [Element] {
        if range.step == 1 { return range.count > 0 ? Array(elements[range.start..<range.stop]) : [] }
        return (0..<range.count).map { elements[range.start + $0 * range.step] }
    }
}
