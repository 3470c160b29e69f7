/// Any JSON document or part of one.
///
/// ```swift
/// let config = try JSONValue(parsing: bytes)
/// let width = config["hidden_size"]?.intValue
/// ```
///
/// Strings compare by their UTF-8 bytes, objects ignore the order of their members, numbers compare by spelling.
///
/// A tree of values takes some 24 bytes for an element of an array and twice that while the array grows, whatever the
/// two bytes of its text; readers of large files take them apart with `JSONReader` instead, and settings are limited in
/// size.
public enum JSONValue: Sendable {
    /// The literal `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A number, with its spelling.
    case number(JSONNumber)
    /// A string.
    case string(String)
    /// A list of values.
    case array([JSONValue])
    /// Members in file order.
    case object(JSONObject)

    /// The value of a member; nil when this is not an object or has no such key.
    ///
    /// - Parameter key: The key, compared by UTF-8 bytes.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let object) = self else { return nil }
        return object[key]
    }

    /// An element; nil when this is not an array or the position does not exist.
    ///
    /// - Parameter position: The zero-based position.
    public subscript(position: Int) -> JSONValue? {
        guard case .array(let elements) = self, elements.indices.contains(position) else { return nil }
        return elements[position]
    }

    /// Whether this is `null`.
    public var isNull: Bool {
        if case .null = self { true } else { false }
    }

    /// The Boolean, when this is one.
    public var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The number with its spelling, when this is one.
    public var numberValue: JSONNumber? {
        if case .number(let value) = self { value } else { nil }
    }

    /// The number as an integer, when it is written as one (no fraction, no exponent) and fits.
    public var intValue: Int? { numberValue?.int }

    /// The nearest double, when this is a number.
    public var doubleValue: Double? { numberValue?.double }

    /// The string, when this is one.
    public var stringValue: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The elements, when this is an array.
    public var arrayValue: [JSONValue]? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The members, when this is an object.
    public var objectValue: JSONObject? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The kind of value.
    package var kind: JSONKind {
        switch self {
        case .null: .null
        case .bool: .bool
        case .number: .number
        case .string: .string
        case .array: .array
        case .object: .object
        }
    }
}

/// The six kinds of JSON value; their raw values are the words to use in messages.
package enum JSONKind: String, Sendable, Hashable, CaseIterable {
    /// The literal `null`.
    case null
    /// `true` or `false`.
    case bool = "boolean"
    /// A number.
    case number
    /// A string.
    case string
    /// A list of values.
    case array
    /// A list of keys with values.
    case object
}

extension JSONValue: Hashable {
    /// Compares two values; strings by bytes, objects without regard to order.
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let first), .bool(let second)): first == second
        case (.number(let first), .number(let second)): first == second
        case (.string(let first), .string(let second)): sameBytes(first, second)
        case (.array(let first), .array(let second)): first == second
        case (.object(let first), .object(let second)): first == second
        default: false
        }
    }

    /// Feeds the value to a hasher in agreement with `==`.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        switch self {
        case .null: break
        case .bool(let value): hasher.combine(value)
        case .number(let value): hasher.combine(value)
        case .string(let value): hasher.combine(ByteKey(string: value))
        case .array(let value): hasher.combine(value)
        case .object(let value): hasher.combine(value)
        }
    }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// Creates `null`.
    public init(nilLiteral: ()) { self = .null }
    /// Creates a Boolean.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// Creates an integer number.
    public init(integerLiteral value: Int) { self = .number(JSONNumber(value)) }
    /// Creates a floating-point number.
    public init(floatLiteral value: Double) { self = .number(JSONNumber(value)) }
    /// Creates a string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// Creates an array.
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// Creates an object; a key that occurs again replaces the earlier value.
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }

    /// Creates an integer number.
    ///
    /// - Parameter value: The value.
    public init(_ value: Int) { self = .number(JSONNumber(value)) }
    /// Creates a floating-point number, spelled as Python spells it.
    ///
    /// - Parameter value: The value.
    public init(_ value: Double) { self = .number(JSONNumber(value)) }
    /// Creates a string.
    ///
    /// - Parameter value: The value.
    public init(_ value: String) { self = .string(value) }
    /// Creates a Boolean.
    ///
    /// - Parameter value: The value.
    public init(_ value: Bool) { self = .bool(value) }
}
