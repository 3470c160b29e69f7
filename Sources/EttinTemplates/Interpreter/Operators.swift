#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

// Python's operators.

extension Interpreter {
    /// Whether a value counts as true.
    func isTrue(_ value: Value) throws -> Bool {
        switch value {
        case .undefined(let undefined):
            guard !undefined.isForbidden, environment == .chat else { throw fail(undefined.reason) }
            return false
        case .none: return false
        case .bool(let value): return value
        case .int(let value): return value != 0
        case .float(let value): return value != 0
        case .string(let text): return !text.isEmpty
        case .list(let values), .tuple(let values): return !values.isEmpty
        case .dict(let dictionary), .view(_, let dictionary): return dictionary.count > 0
        case .range(let range): return range.count > 0
        case .bigInt, .namespace, .iterator, .macro, .loop, .method, .function: return true
        }
    }

    func wrongOperand(_ symbol: String, _ value: Value) -> TemplateFault {
        if case .undefined(let undefined) = value { return fail(undefined.reason) }
        return fail("\(symbol) cannot be applied to a value of type \(value.typeName)")
    }

    func hasNo(_ what: String, _ value: Value) -> TemplateFault {
        fail("a value of type \(value.typeName) has no \(what)")
    }

    private func wrongOperands(_ symbol: String, _ left: Value, _ right: Value) -> TemplateFault {
        for value in [left, right] {
            if case .undefined(let undefined) = value { return fail(undefined.reason) }
        }
        return fail("\(symbol) cannot be applied to values of types \(left.typeName) and \(right.typeName)")
    }

    func negated(_ value: Value) throws -> Value {
        if let integer = value.integer, integer != .min { return .int(-integer) }
        guard case .float(let number) = value else { throw wrongOperand("unary -", value) }
        return .float(-number)
    }

    func arithmetic(_ symbol: Symbol, _ left: Value, _ right: Value) throws -> Value {
        switch (symbol, left, right) {
        case (.plus, .string(let first), .string(let second)):
            try take(bytes: first.bytes.count + second.bytes.count)
            return .string(first + second)
        case (.plus, .list(let first), .list(let second)):
            try take(elements: first.count + second.count)
            return .list(first + second)
        case (.plus, .tuple(let first), .tuple(let second)):
            try take(elements: first.count + second.count)
            return .tuple(first + second)
        case (.multiply, .string, _), (.multiply, .list, _), (.multiply, .tuple, _):
            if let count = right.integer { return try repeated(left, count) }
        case (.multiply, _, .string), (.multiply, _, .list), (.multiply, _, .tuple):
            if let count = left.integer { return try repeated(right, count) }
        case (.modulo, .string(let format), _): return .string(try formatted(format, percent: right))
        default: break
        }
        if let first = left.integer, let second = right.integer { return try integers(symbol, first, second) }
        if case .bigInt = left { throw tooLarge }
        if case .bigInt = right { throw tooLarge }
        guard let first = left.number, let second = right.number else {
            throw wrongOperands(symbol.rawValue, left, right)
        }
        switch symbol {
        case .plus: return .float(first + second)
        case .minus: return .float(first - second)
        case .multiply: return .float(first * second)
        case .divide, .floorDivide, .modulo:
            guard second != 0 else { throw fail("division by zero") }
            if symbol == .divide { return .float(first / second) }
            let (quotient, remainder) = Self.floored(first, second)
            return .float(symbol == .modulo ? remainder : quotient)
        default: return try power(first, second)
        }
    }

    var tooLarge: TemplateFault { fail("integers beyond 64 bits are not supported") }

    private func integers(_ symbol: Symbol, _ left: Int, _ right: Int) throws -> Value {
        let result: (partialValue: Int, overflow: Bool)
        switch symbol {
        case .plus: result = left.addingReportingOverflow(right)
        case .minus: result = left.subtractingReportingOverflow(right)
        case .multiply: result = left.multipliedReportingOverflow(by: right)
        case .divide:
            guard right != 0 else { throw fail("division by zero") }
            return .float(Double(left) / Double(right))
        case .floorDivide, .modulo:
            guard right != 0 else { throw fail("division by zero") }
            let (quotient, overflows) = left.dividedReportingOverflow(by: right)
            guard !overflows else { throw tooLarge }
            let remainder = left % right
            // Python rounds down, not to zero.
            let isBelow = remainder != 0 && (remainder < 0) != (right < 0)
            if symbol == .modulo { return .int(isBelow ? remainder + right : remainder) }
            return .int(isBelow ? quotient - 1 : quotient)
        default:
            guard right >= 0 else { return try power(Double(left), Double(right)) }
            var value = 1
            // More factors than this overflow, or change nothing but a sign.
            for _ in 0..<(left.magnitude <= 1 ? min(right, 2 + right % 2) : right) {
                let (product, overflows) = value.multipliedReportingOverflow(by: left)
                guard !overflows else { throw tooLarge }
                value = product
            }
            return .int(value)
        }
        guard !result.overflow else { throw tooLarge }
        return .int(result.partialValue)
    }

    private func power(_ base: Double, _ exponent: Double) throws -> Value {
        let result = pow(base, exponent)
        let isAllowed = base.isFinite && exponent.isFinite ? result.isFinite : true
        guard isAllowed, !(base == 0 && exponent < 0) else { throw fail("this power is not a finite number") }
        return .float(result)
    }

    /// Quotient and remainder of floats as Python's `divmod` has them.
    private static func floored(_ left: Double, _ right: Double) -> (Double, Double) {
        var remainder = fmod(left, right)
        var quotient = (left - remainder) / right
        if remainder != 0 {
            if (right < 0) != (remainder < 0) {
                remainder += right
                quotient -= 1
            }
        } else {
            remainder = copysign(0, right)
        }
        guard quotient != 0 else { return (copysign(0, left / right), remainder) }
        var floor = quotient.rounded(.down)
        if quotient - floor > 0.5 { floor += 1 }
        return (floor, remainder)
    }

    private func repeated(_ value: Value, _ count: Int) throws -> Value {
        let count = max(0, count)
        func requireSize(_ size: Int) throws {
            let (bytes, overflows) = size.multipliedReportingOverflow(by: count)
            try take(bytes: overflows ? .max : bytes)
        }
        switch value {
        case .string(let text):
            try requireSize(text.bytes.count)
            if text.isEmpty { return value }
            var bytes: [UInt8] = []
            bytes.reserveCapacity(text.bytes.count * count)
            for _ in 0..<count { bytes += text.bytes }
            return .string(Text(bytes: bytes))
        case .list(let values):
            try requireSize(64 * values.count)
            return .list(values.isEmpty ? [] : Array((0..<count).map { _ in values }.joined()))
        case .tuple(let values):
            try requireSize(64 * values.count)
            return .tuple(values.isEmpty ? [] : Array((0..<count).map { _ in values }.joined()))
        default: return value
        }
    }

    // MARK: - Comparisons

    func compare(_ left: Value, _ comparison: Comparison, _ right: Value) throws -> Bool {
        switch comparison {
        case .equal: return try isEqual(left, right)
        case .notEqual: return try !isEqual(left, right)
        case .isIn: return try contains(right, left)
        case .isNotIn: return try !contains(right, left)
        case .less, .lessOrEqual, .greater, .greaterOrEqual:
            // Numbers that cannot be ordered are in no relation.
            guard let order = try order(left, right, comparison.rawValue) else { return false }
            switch comparison {
            case .less: return order < 0
            case .lessOrEqual: return order <= 0
            case .greater: return order > 0
            default: return order >= 0
            }
        }
    }

    func isEqual(_ left: Value, _ right: Value) throws -> Bool {
        for value in [left, right] {
            if case .undefined(let undefined) = value, undefined.isForbidden || environment != .chat {
                throw fail(undefined.reason)
            }
        }
        // Not a number, which equals nothing unless it is the same element of containers.
        if case .float(let number) = left, number.isNaN { return false }
        try walk(left)
        return left == right
    }

    /// Takes the steps to compare or hash a value before that is done: values that stand in a container more than once
    /// make it a walk without end.
    func walk(_ value: Value) throws {
        switch value {
        case .string(let text): try take(steps: 1 + text.bytes.count / 64)
        case .list(let values), .tuple(let values): try walk(values)
        case .dict(let dictionary), .view(_, let dictionary):
            try walk(dictionary.keys)
            try walk(dictionary.values)
        case .method(let method): try walk([method.receiver])
        default: try take(steps: 1)
        }
    }

    func walk(_ values: [Value]) throws {
        try take(steps: 1)
        try deeper { for value in values { try walk(value) } }
    }

    /// Which of two values is greater; nil where one is not a number.
    func order(_ left: Value, _ right: Value, _ symbol: String) throws -> Int? {
        try take(steps: 1)
        switch (left, right) {
        case (.string(let first), .string(let second)):
            try take(steps: first.bytes.count / 64)
            return first == second ? 0 : first < second ? -1 : 1
        case (.list(let first), .list(let second)), (.tuple(let first), .tuple(let second)):
            for (one, other) in zip(first, second) {
                try walk(one)
                if one != other { return try deeper { try order(one, other, symbol) } }
            }
            return first.count == second.count ? 0 : first.count < second.count ? -1 : 1
        default:
            if let first = left.integer, let second = right.integer {
                return first == second ? 0 : first < second ? -1 : 1
            }
            guard let first = left.number, let second = right.number else { throw wrongOperands(symbol, left, right) }
            return first == second ? 0 : first < second ? -1 : first > second ? 1 : nil
        }
    }

    /// `element in container`.
    func contains(_ container: Value, _ element: Value) throws -> Bool {
        switch container {
        case .string(let text):
            guard case .string(let part) = element else {
                throw fail("\"in\" a string cannot be asked of a value of type \(element.typeName)")
            }
            try take(steps: text.bytes.count / 16)
            return text.contains(part)
        case .dict(let dictionary), .view(.keys, let dictionary):
            try requireHashable(element)
            return dictionary[element] != nil
        case .undefined(let undefined):
            guard !undefined.isForbidden, environment == .chat else { throw fail(undefined.reason) }
            return false
        default:
            for value in try elements(of: container) where try isEqual(value, element) { return true }
            return false
        }
    }

    /// Sorts as Python does: stable, by what can be ordered.
    func sorted<Element>(
        _ elements: [Element],
        descending: Bool = false,
        by key: (Element) throws -> Value
    ) throws -> [Element] {
        let keyed = try elements.enumerated().map {
            (position: $0.offset, key: try key($0.element), element: $0.element)
        }
        try take(elements: keyed.count)
        return try keyed.sorted { first, second in
            let order = try order(first.key, second.key, "<") ?? 0
            if order == 0 { return first.position < second.position }
            return descending ? order > 0 : order < 0
        }.map(\.element)
    }
}
