/// How a JSON text is laid out.
public enum JSONLayout: Sendable, Hashable {
    /// No white space, as Python's `json.dumps(x, separators=(",", ":"))`.
    case compact
    /// One line with a space after commas and colons, as Python's `json.dumps(x)`.
    case singleLine
    /// One member or element per line, as Python's `json.dumps(x, indent=n)`.
    case indented(Int)
}

/// How values become text.
public struct JSONWritingOptions: Sendable, Hashable {
    /// The layout.
    package var layout: JSONLayout
    /// Whether members are sorted by the code points of their keys, as Python's `sort_keys=True`.
    package var sortsKeys: Bool
    /// Whether everything outside ASCII is escaped, as Python does unless `ensure_ascii=False`.
    package var escapesNonASCII: Bool
    /// Whether non-finite numbers are spelled `NaN` and `Infinity` as Python does, which standard parsers reject;
    /// otherwise they become `null`.
    package var writesNonFiniteNumbers: Bool

    /// Creates options.
    ///
    /// - Parameters:
    ///   - layout: The layout.
    ///   - sortsKeys: Whether members are sorted by key.
    ///   - escapesNonASCII: Whether everything outside ASCII is escaped.
    ///   - writesNonFiniteNumbers: Whether `NaN` and `Infinity` are written as such instead of `null`.
    public init(
        layout: JSONLayout = .compact,
        sortsKeys: Bool = false,
        escapesNonASCII: Bool = false,
        writesNonFiniteNumbers: Bool = false
    ) {
        self.layout = layout
        self.sortsKeys = sortsKeys
        self.escapesNonASCII = escapesNonASCII
        self.writesNonFiniteNumbers = writesNonFiniteNumbers
    }
}

extension JSONValue {
    /// Writes the value as JSON text.
    ///
    /// - Parameter options: Layout and escaping.
    /// - Returns: UTF-8 without a line feed at the end.
    public func serialized(_ options: JSONWritingOptions = JSONWritingOptions()) -> [UInt8] {
        var writer = JSONWriter(options: options)
        writer.write(self)
        return writer.bytes
    }

    /// Writes the value as JSON text.
    ///
    /// - Parameter options: Layout and escaping.
    /// - Returns: The text without a line feed at the end.
    public func text(_ options: JSONWritingOptions = JSONWritingOptions()) -> String {
        String(decoding: serialized(options), as: UTF8.self)
    }
}

extension JSONValue: CustomStringConvertible {
    /// The value as compact JSON text.
    public var description: String { text() }
}

/// Writes a JSON text piece by piece, for documents that are too large to build as values.
///
/// ```swift
/// var writer = JSONWriter(options: JSONWritingOptions(layout: .indented(2)))
/// writer.beginObject()
/// writer.key("ids")
/// writer.write([1, 2])
/// writer.endObject()
/// ```
/// Calls that do not make a well-formed text trap. `sortsKeys` applies to values written whole.
package struct JSONWriter {
    /// The text so far.
    package private(set) var bytes: [UInt8] = []
    private let options: JSONWritingOptions
    private var containers: [Container] = []
    private var awaitsValue = false

    private struct Container {
        let isObject: Bool
        var isEmpty = true
    }

    /// Creates a writer with an empty text.
    ///
    /// - Parameter options: Layout and escaping.
    package init(options: JSONWritingOptions = JSONWritingOptions()) {
        self.options = options
    }

    /// Starts an object, to be ended by `endObject()`.
    package mutating func beginObject() {
        begin(UInt8(ascii: "{"), isObject: true)
    }

    /// Starts an array, to be ended by `endArray()`.
    package mutating func beginArray() {
        begin(UInt8(ascii: "["), isObject: false)
    }

    /// Ends the current object.
    package mutating func endObject() {
        end(UInt8(ascii: "}"), isObject: true)
    }

    /// Ends the current array.
    package mutating func endArray() {
        end(UInt8(ascii: "]"), isObject: false)
    }

    /// Writes the key of the next member; one value must follow.
    ///
    /// - Parameter key: The key.
    package mutating func key(_ key: String) {
        beginKey()
        appendQuoted(key)
        endKey()
    }

    /// Writes the key of the next member; one value must follow.
    ///
    /// - Parameter bytes: The key in valid UTF-8; ill-formed parts become U+FFFD.
    package mutating func key(utf8 bytes: UnsafeBufferPointer<UInt8>) {
        beginKey()
        appendQuoted(bytes)
        endKey()
    }

    /// Writes a string value.
    ///
    /// - Parameter bytes: The string in valid UTF-8; ill-formed parts become U+FFFD.
    package mutating func write(utf8 bytes: UnsafeBufferPointer<UInt8>) {
        beginValue()
        appendQuoted(bytes)
    }

    /// Writes a value whole.
    ///
    /// - Parameter value: The value.
    package mutating func write(_ value: JSONValue) {
        switch value {
        case .null:
            beginValue()
            bytes.append(contentsOf: "null".utf8)
        case .bool(let flag):
            beginValue()
            bytes.append(contentsOf: (flag ? "true" : "false").utf8)
        case .number(let number):
            beginValue()
            let isWritable = options.writesNonFiniteNumbers || number.isFinite
            bytes.append(contentsOf: (isWritable ? number.spelling : "null").utf8)
        case .string(let string):
            beginValue()
            appendQuoted(string)
        case .array(let elements):
            beginArray()
            for element in elements { write(element) }
            endArray()
        case .object(let object):
            beginObject()
            // UTF-8 sorts like code points, which is how Python sorts strings.
            let members =
                options.sortsKeys
                ? object.members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) } : object.members
            for member in members {
                key(member.key)
                write(member.value)
            }
            endObject()
        }
    }

    // MARK: - Structure

    private mutating func begin(_ bracket: UInt8, isObject: Bool) {
        beginValue()
        bytes.append(bracket)
        containers.append(Container(isObject: isObject))
    }

    private mutating func end(_ bracket: UInt8, isObject: Bool) {
        precondition(!awaitsValue, "JSONWriter: a key has no value")
        guard let container = containers.popLast(), container.isObject == isObject else {
            preconditionFailure("JSONWriter calls are not nested")
        }
        if !container.isEmpty { breakLine() }
        bytes.append(bracket)
    }

    private mutating func beginKey() {
        precondition(containers.last?.isObject == true && !awaitsValue, "JSONWriter: no key can stand here")
        beginElement()
    }

    private mutating func endKey() {
        bytes.append(UInt8(ascii: ":"))
        if options.layout != .compact { bytes.append(UInt8(ascii: " ")) }
        awaitsValue = true
    }

    private mutating func beginValue() {
        if awaitsValue {
            awaitsValue = false
        } else if let container = containers.last {
            precondition(!container.isObject, "JSONWriter: a value in an object needs a key")
            beginElement()
        } else {
            precondition(bytes.isEmpty, "JSONWriter: a text has one value")
        }
    }

    private mutating func beginElement() {
        let current = containers.count - 1
        if !containers[current].isEmpty {
            bytes.append(UInt8(ascii: ","))
            if options.layout == .singleLine { bytes.append(UInt8(ascii: " ")) }
        }
        containers[current].isEmpty = false
        breakLine()
    }

    private mutating func breakLine() {
        guard case .indented(let width) = options.layout else { return }
        bytes.append(UInt8(ascii: "\n"))
        bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: containers.count * max(0, width)))
    }

    // MARK: - Strings

    private mutating func appendQuoted(_ string: String) {
        var string = string
        string.withUTF8 { appendQuoted($0) }
    }

    private mutating func appendQuoted(_ string: UnsafeBufferPointer<UInt8>) {
        bytes.append(UInt8(ascii: "\""))
        if string.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            bytes.append(contentsOf: string)
        } else {
            for scalar in String(decoding: string, as: UTF8.self).unicodeScalars { append(escaping: scalar) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func append(escaping scalar: Unicode.Scalar) {
        switch scalar {
        case "\"": bytes.append(contentsOf: "\\\"".utf8)
        case "\\": bytes.append(contentsOf: "\\\\".utf8)
        case "\n": bytes.append(contentsOf: "\\n".utf8)
        case "\r": bytes.append(contentsOf: "\\r".utf8)
        case "\t": bytes.append(contentsOf: "\\t".utf8)
        case "\u{08}": bytes.append(contentsOf: "\\b".utf8)
        case "\u{0C}": bytes.append(contentsOf: "\\f".utf8)
        case "\u{00}"..<" ": append(unit: UInt16(scalar.value))
        case " "..<"\u{7F}": bytes.append(UInt8(scalar.value))
        default:
            if options.escapesNonASCII {
                for unit in UTF16.encode(scalar).map(Array.init) ?? [] { append(unit: unit) }
            } else {
                bytes.append(contentsOf: UTF8.encode(scalar).map(Array.init) ?? [])
            }
        }
    }

    private mutating func append(unit: UInt16) {
        bytes.append(contentsOf: "\\u".utf8)
        for shift in [12, 8, 4, 0] as [UInt16] {
            let digit = UInt8(unit >> shift & 0xF)
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }
}
