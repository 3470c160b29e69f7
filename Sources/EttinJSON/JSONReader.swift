/// Reads a JSON text piece by piece, without building values.
///
/// For documents whose strings should not become `String`s, such as a vocabulary of 50 000 tokens. The caller says what
/// it expects; anything else is a `JSONError` with the position.
///
/// ```swift
/// var reader = JSONReader(bytes)
/// try reader.beginObject()
/// while let token = try reader.nextKey() {   // decoded bytes, valid until the next string
///     table.insert(token, try reader.readInt())
/// }
/// try reader.finish()
/// ```
///
/// The grammar is RFC 8259, strictly: no comments, no trailing commas, no leading zeros, no control characters in
/// strings, valid UTF-8. A byte order mark in front is skipped. Duplicate keys are the caller's to notice unless the
/// options reject them; `JSONValue` always does.
///
/// `begin…`, `next…` calls must be properly nested. A wrong nesting in the calling code, unlike one in the text, traps.
package struct JSONReader: ~Copyable {
    let source: UnsafeBufferPointer<UInt8>
    let options: JSONParsingOptions
    var position: Int
    var scratch = ScratchBytes()
    private var containers: ContiguousArray<Container> = []

    private struct Container {
        let isObject: Bool
        var hasElements = false
        /// The keys so far, where they must differ.
        var keys: Set<ByteKey> = []
    }

    /// Starts reading at the first byte.
    ///
    /// - Parameters:
    ///   - source: The text. The caller keeps the memory alive and unchanged while the reader is used.
    ///   - options: What to accept beyond the standard.
    package init(_ source: UnsafeBufferPointer<UInt8>, options: JSONParsingOptions = JSONParsingOptions()) {
        self.source = source
        self.options = options
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        position = source.starts(with: mark) ? mark.count : 0
    }

    /// Offset of the next byte to read.
    package var offset: Int { position }

    // MARK: - Looking ahead

    /// The kind of the next value, judged by its first byte; nothing is consumed but white space.
    ///
    /// - Throws: `JSONError` when no value starts here.
    package mutating func peekKind() throws(JSONError) -> JSONKind {
        skipWhitespace()
        guard position < source.count else { throw error("expected a value, found the end of the text") }
        switch source[position] {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        case UInt8(ascii: "N"), UInt8(ascii: "I"): return .number
        default: throw error("expected a value, found \(found())")
        }
    }

    // MARK: - Containers

    /// Enters an object; continue with `nextKey()`.
    ///
    /// - Throws: `JSONError` when the next value is not an object or is nested too deeply.
    package mutating func beginObject() throws(JSONError) {
        try begin(UInt8(ascii: "{"), isObject: true)
    }

    /// Enters an array; continue with `nextElement()`.
    ///
    /// - Throws: `JSONError` when the next value is not an array or is nested too deeply.
    package mutating func beginArray() throws(JSONError) {
        try begin(UInt8(ascii: "["), isObject: false)
    }

    /// Moves to the next member of the current object, or leaves the object.
    ///
    /// - Returns: The decoded key, valid until the next string or key is read; nil when the object has ended. After a
    ///   key, exactly one value must be read or skipped.
    /// - Throws: `JSONError` when the text is malformed.
    package mutating func nextKey() throws(JSONError) -> UnsafeBufferPointer<UInt8>? {
        guard try advance(inObject: true) else { return nil }
        guard position < source.count, source[position] == UInt8(ascii: "\"") else {
            throw error("expected a key in quotes, found \(found())")
        }
        let start = position
        let key = try scanString()
        if options.rejectsDuplicateKeys { try noteKey(key, at: start) }
        skipWhitespace()
        guard position < source.count, source[position] == UInt8(ascii: ":") else {
            throw error("expected ':' after a key, found \(found())")
        }
        position += 1
        return key
    }

    private mutating func noteKey(_ key: UnsafeBufferPointer<UInt8>, at start: Int) throws(JSONError) {
        let text = String(decoding: key, as: UTF8.self)
        guard containers[containers.count - 1].keys.insert(ByteKey(string: text)).inserted else {
            throw error("the key \(JSONValue.string(text).text()) occurs twice in one object", at: start)
        }
    }

    /// Moves to the next element of the current array, or leaves the array.
    ///
    /// - Returns: Whether there is an element; if so, exactly one value must be read or skipped.
    /// - Throws: `JSONError` when the text is malformed.
    package mutating func nextElement() throws(JSONError) -> Bool {
        try advance(inObject: false)
    }

    /// Checks that only white space is left.
    ///
    /// - Throws: `JSONError` when anything follows the document.
    package mutating func finish() throws(JSONError) {
        precondition(containers.isEmpty, "JSONReader.finish() inside an object or array")
        skipWhitespace()
        guard position == source.count else {
            throw error("expected the end of the text, found \(found())")
        }
    }

    private mutating func begin(_ bracket: UInt8, isObject: Bool) throws(JSONError) {
        skipWhitespace()
        guard position < source.count, source[position] == bracket else {
            throw error("expected \(isObject ? "an object" : "an array"), found \(found())")
        }
        guard containers.count < options.maximumDepth else {
            throw error("objects and arrays are nested more than \(options.maximumDepth) deep")
        }
        position += 1
        containers.append(Container(isObject: isObject))
    }

    private mutating func advance(inObject: Bool) throws(JSONError) -> Bool {
        let current = containers.count - 1
        precondition(current >= 0 && containers[current].isObject == inObject, "JSONReader calls are not nested")
        let closing = inObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
        skipWhitespace()
        if position < source.count, source[position] == closing {
            position += 1
            containers.removeLast()
            return false
        }
        if containers[current].hasElements {
            guard position < source.count, source[position] == UInt8(ascii: ",") else {
                throw error("expected ',' or '\(inObject ? "}" : "]")', found \(found())")
            }
            position += 1
            skipWhitespace()
            if position < source.count, source[position] == closing {
                throw error("a comma must be followed by \(inObject ? "a member" : "an element")")
            }
        } else {
            containers[current].hasElements = true
        }
        return true
    }

    // MARK: - Leaves

    /// Reads `null`.
    ///
    /// - Throws: `JSONError` when the next value is something else.
    package mutating func readNull() throws(JSONError) {
        skipWhitespace()
        guard accept("null") else { throw error("expected null, found \(found())") }
    }

    /// Reads `true` or `false`.
    ///
    /// - Throws: `JSONError` when the next value is something else.
    package mutating func readBool() throws(JSONError) -> Bool {
        skipWhitespace()
        if accept("true") { return true }
        if accept("false") { return false }
        throw error("expected true or false, found \(found())")
    }

    /// Reads a string.
    ///
    /// - Returns: The decoded UTF-8 bytes, valid until the next string or key is read. They lie in the source when the
    ///   string has no escapes.
    /// - Throws: `JSONError` when the next value is not a string or is malformed.
    package mutating func readStringBytes() throws(JSONError) -> UnsafeBufferPointer<UInt8> {
        skipWhitespace()
        guard position < source.count, source[position] == UInt8(ascii: "\"") else {
            throw error("expected a string, found \(found())")
        }
        return try scanString()
    }

    /// Reads a string.
    ///
    /// - Throws: `JSONError` when the next value is not a string or is malformed.
    package mutating func readString() throws(JSONError) -> String {
        String(decoding: try readStringBytes(), as: UTF8.self)
    }

    /// Reads a number of any size.
    ///
    /// - Throws: `JSONError` when the next value is not a number or is malformed.
    package mutating func readNumber() throws(JSONError) -> JSONNumber {
        let range = try scanNumber()
        return JSONNumber(checkedSpelling: String(decoding: source[range], as: UTF8.self))
    }

    /// Reads a number that is written as an integer and fits `Int`.
    ///
    /// - Throws: `JSONError` when the next value is something else.
    package mutating func readInt() throws(JSONError) -> Int {
        let range = try scanNumber()
        let isNegative = source[range.lowerBound] == UInt8(ascii: "-")
        var value = 0
        for index in (isNegative ? range.lowerBound + 1 : range.lowerBound)..<range.upperBound {
            let digit = Int(source[index]) - Int(UInt8(ascii: "0"))
            guard digit >= 0, digit <= 9 else {
                throw error("expected an integer, found \(text(in: range))", at: range.lowerBound)
            }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(isNegative ? -digit : digit)
            guard !overflow, !carry else {
                throw error("the integer \(text(in: range)) does not fit 64 bits", at: range.lowerBound)
            }
            value = sum
        }
        return value
    }

    // MARK: - Whole values

    /// Skips the next value, checking its syntax.
    ///
    /// - Returns: The bytes of the value in the source.
    /// - Throws: `JSONError` when the value is malformed.
    @discardableResult
    package mutating func skipValue() throws(JSONError) -> Range<Int> {
        let outer = containers.count
        skipWhitespace()
        let start = position
        repeat {
            if containers.count > outer {
                let isObject = containers[containers.count - 1].isObject
                let hasNext = if isObject { try nextKey() != nil } else { try nextElement() }
                if !hasNext { continue }
            }
            switch try peekKind() {
            case .object: try beginObject()
            case .array: try beginArray()
            case .string: _ = try readStringBytes()
            case .number: _ = try scanNumber()
            case .bool: _ = try readBool()
            case .null: try readNull()
            }
        } while containers.count > outer
        return start..<position
    }

    /// Reads the next value whole; keys that repeat in one object are an error.
    ///
    /// - Throws: `JSONError` when the value is malformed.
    package mutating func readValue() throws(JSONError) -> JSONValue {
        switch try peekKind() {
        case .null:
            try readNull()
            return .null
        case .bool: return .bool(try readBool())
        case .number: return .number(try readNumber())
        case .string: return .string(try readString())
        case .array:
            var elements: [JSONValue] = []
            try beginArray()
            while try nextElement() { elements.append(try readValue()) }
            return .array(elements)
        case .object:
            var object = JSONObject()
            try beginObject()
            while let keyBytes = try nextKey() {
                let key = String(decoding: keyBytes, as: UTF8.self)
                let end = position
                guard object.appendIfAbsent(key, try readValue()) else {
                    throw error("the key \(JSONValue.string("\(key)").text()) occurs twice in one object", at: end)
                }
            }
            return .object(object)
        }
    }

    // MARK: - Errors

    /// An error at a position of this text, for a caller whose expectation about a value was not met.
    ///
    /// - Parameters:
    ///   - reason: What was expected and what was found.
    ///   - offset: Offset of the byte; the current position when nil.
    /// - Returns: The error to throw.
    package func error(_ reason: String, at offset: Int? = nil) -> JSONError {
        JSONError(offset: offset ?? position, in: source, reason: reason)
    }
}
