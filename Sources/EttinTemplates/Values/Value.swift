import EttinJSON

/// A value of the template language: what Python would have in its place.
enum Value {
    case undefined(Undefined)
    case none
    case bool(Bool)
    case int(Int)
    /// An integer of a message beyond 64 bits, which is printed as it is written.
    case bigInt(String)
    case float(Double)
    case string(Text)
    case list([Value])
    case tuple([Value])
    case dict(PythonDictionary)
    case view(PythonDictionary.View, PythonDictionary)
    case range(PythonRange)
    case namespace(Namespace)
    case iterator(ValueIterator)
    case macro(Macro)
    case loop(LoopState)
    case method(BoundMethod)
    case function(TemplateFunction)

    static func text(_ string: String) -> Value { .string(Text(string)) }
}

/// A value that is not there, with what to say when it is used.
struct Undefined {
    let reason: String
    /// Whether reading it was forbidden, so that any use is an error.
    var isForbidden = false

    /// A name for a reason, which stays in the value: no template can make it large.
    static func shortened(_ name: String) -> String {
        name.utf8.count <= 100 ? name : String(name.unicodeScalars.prefix(100)) + "…"
    }
}

/// What `range` gives.
struct PythonRange: Hashable {
    let start: Int
    let stop: Int
    let step: Int

    var count: Int {
        if step > 0 { return start < stop ? (stop - 1 - start) / step + 1 : 0 }
        return start > stop ? (start - 1 - stop) / -step + 1 : 0
    }

    /// Whether two ranges have the same elements, which is when Python's are equal.
    func hasElements(of other: PythonRange) -> Bool {
        count == other.count && (count == 0 || start == other.start) && (count <= 1 || step == other.step)
    }

    var values: [Value] { (0..<count).map { .int(start + $0 * step) } }
}

/// What `namespace()` gives: the one thing that a template can change.
final class Namespace {
    var attributes = PythonDictionary()
}

/// A generator: each element is made when it is asked for, once.
final class ValueIterator {
    let typeName: String
    /// What the generator holds: its source, and what it was called with.
    let heldValues: [Value]
    private let produce: () throws -> Value?

    init(_ typeName: String, holding values: [Value], _ produce: @escaping () throws -> Value?) {
        (self.typeName, heldValues, self.produce) = (typeName, values, produce)
    }

    convenience init(_ typeName: String, over values: [Value]) {
        var rest = values[...]
        self.init(typeName, holding: values) { rest.popFirst() }
    }

    func next() throws -> Value? { try produce() }
}

/// A method with the value that it belongs to.
final class BoundMethod {
    let receiver: Value
    let name: String

    init(_ receiver: Value, _ name: String) { (self.receiver, self.name) = (receiver, name) }
}

/// The functions that every template can call.
enum TemplateFunction: String {
    case range, dict, namespace
    case raiseException = "raise_exception"
    case strftimeNow = "strftime_now"
}

extension Value {
    /// Python's name of the type, for messages.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "NoneType"
        case .bool: "bool"
        case .int, .bigInt: "int"
        case .float: "float"
        case .string: "str"
        case .list: "list"
        case .tuple: "tuple"
        case .dict: "dict"
        case .view(let kind, _): "dict_\(kind.rawValue)"
        case .range: "range"
        case .namespace: "Namespace"
        case .iterator(let iterator): iterator.typeName
        case .macro: "Macro"
        case .loop: "LoopContext"
        case .method: "method"
        case .function: "function"
        }
    }

    /// A value of JSON as Python reads it.
    init(_ json: JSONValue) {
        switch json {
        case .null: self = .none
        case .bool(let value): self = .bool(value)
        case .number(let number):
            if let int = number.int {
                self = .int(int)
            } else if number.isIntegral {
                self = .bigInt(number.spelling)
            } else {
                self = .float(number.double)
            }
        case .string(let text): self = .text(text)
        case .array(let elements): self = .list(elements.map(Value.init))
        case .object(let object):
            var dictionary = PythonDictionary()
            for member in object.members { dictionary[.text(member.key)] = Value(member.value) }
            self = .dict(dictionary)
        }
    }

    /// The number as Python's operators take it; a truth value counts as 0 or 1.
    var integer: Int? {
        switch self {
        case .int(let value): value
        case .bool(let value): value ? 1 : 0
        default: nil
        }
    }

    /// The number, integers converted.
    var number: Double? {
        switch self {
        case .float(let value): value
        case .bigInt(let spelling): Double(spelling)
        default: integer.map(Double.init)
        }
    }
}

// Equality is Python's: numbers by value whatever their type, containers by their elements.
extension Value: Hashable {
    static func == (left: Value, right: Value) -> Bool {
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.string(let first), .string(let second)): return first == second
        case (.list(let first), .list(let second)), (.tuple(let first), .tuple(let second)): return first == second
        case (.dict(let first), .dict(let second)): return first == second
        case (.range(let first), .range(let second)): return first.hasElements(of: second)
        case (.namespace(let first), .namespace(let second)): return first === second
        case (.iterator(let first), .iterator(let second)): return first === second
        case (.macro(let first), .macro(let second)): return first === second
        case (.loop(let first), .loop(let second)): return first === second
        case (.method(let first), .method(let second)):
            return first.name == second.name && first.receiver == second.receiver
        case (.function(let first), .function(let second)): return first == second
        case (.view(let first, let one), .view(let second, let other)): return first == second && one == other
        case (.bigInt(let first), .bigInt(let second)): return first == second
        default:
            if let first = left.integer, let second = right.integer { return first == second }
            guard let first = left.number, let second = right.number else { return false }
            // Python's containers ask first whether elements are the same object, which makes NaN one.
            return first == second || (first.isNaN && second.isNaN)
        }
    }

    func hash(into hasher: inout Hasher) {
        switch self {
        case .string(let text): hasher.combine(text)
        case .tuple(let values), .list(let values): hasher.combine(values)
        case .dict(let dictionary): hasher.combine(dictionary.count)
        case .range(let range):
            hasher.combine(range.count)
            if range.count > 0 { hasher.combine(range.start) }
        case .namespace(let namespace): hasher.combine(ObjectIdentifier(namespace))
        case .iterator(let iterator): hasher.combine(ObjectIdentifier(iterator))
        case .macro(let macro): hasher.combine(ObjectIdentifier(macro))
        case .loop(let loop): hasher.combine(ObjectIdentifier(loop))
        case .method(let method):
            hasher.combine(method.name)
            hasher.combine(method.receiver)
        default:
            // All NaN are equal, whatever their bits.
            if let number { hasher.combine(number.isNaN ? 0 : number) } else { hasher.combine(typeName) }
        }
    }

    /// Whether the value can be a key.
    var isHashable: Bool {
        switch self {
        case .list, .dict, .view: false
        case .tuple(let values): values.allSatisfy(\.isHashable)
        default: true
        }
    }
}
