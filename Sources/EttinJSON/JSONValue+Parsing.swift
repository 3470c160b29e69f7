/// What the parser accepts beyond, or within, the standard.
public struct JSONParsingOptions: Sendable, Hashable {
    /// The deepest nesting allowed unless stated otherwise.
    public static let defaultMaximumDepth = 512
    /// The deepest nesting that can be asked for; values are built recursively and the stack is finite.
    package static let largestMaximumDepth = 1000

    /// The deepest nesting of objects and arrays, at most `largestMaximumDepth`.
    package let maximumDepth: Int
    /// Whether the words `NaN`, `Infinity` and `-Infinity`, which Python writes, are numbers.
    package let allowsNonFiniteNumbers: Bool
    /// Whether half a surrogate pair (`\ud800`) is read as U+FFFD instead of rejected.
    ///
    /// Python's `json` keeps such halves in its strings, but can then neither encode nor tokenise them.
    package let replacesLoneSurrogates: Bool
    /// Whether `JSONReader` rejects a key that occurs twice in one object; `JSONValue` always does.
    public let rejectsDuplicateKeys: Bool

    /// Creates options; the defaults accept the standard and nothing else.
    ///
    /// - Parameters:
    ///   - maximumDepth: The deepest nesting of objects and arrays.
    ///   - allowsNonFiniteNumbers: Whether `NaN`, `Infinity` and `-Infinity` are numbers.
    ///   - replacesLoneSurrogates: Whether half a surrogate pair is read as U+FFFD.
    ///   - rejectsDuplicateKeys: Whether `JSONReader` rejects a key that occurs twice in one object.
    public init(
        maximumDepth: Int = defaultMaximumDepth,
        allowsNonFiniteNumbers: Bool = false,
        replacesLoneSurrogates: Bool = false,
        rejectsDuplicateKeys: Bool = false
    ) {
        self.maximumDepth = min(max(0, maximumDepth), Self.largestMaximumDepth)
        self.allowsNonFiniteNumbers = allowsNonFiniteNumbers
        self.replacesLoneSurrogates = replacesLoneSurrogates
        self.rejectsDuplicateKeys = rejectsDuplicateKeys
    }
}

extension JSONValue {
    /// Parses one JSON text.
    ///
    /// - Parameters:
    ///   - bytes: UTF-8, with or without a byte order mark.
    ///   - options: What to accept beyond the standard.
    /// - Throws: `JSONError` with position, expectation and finding. Duplicate keys are errors.
    package init(
        parsing bytes: UnsafeBufferPointer<UInt8>,
        options: JSONParsingOptions = JSONParsingOptions()
    ) throws(JSONError) {
        var reader = JSONReader(bytes, options: options)
        self = try reader.readValue()
        try reader.finish()
    }

    /// Parses one JSON text.
    ///
    /// - Parameters:
    ///   - bytes: UTF-8, with or without a byte order mark.
    ///   - options: What to accept beyond the standard.
    /// - Throws: `JSONError` with position, expectation and finding. Duplicate keys are errors.
    package init(
        parsing bytes: UnsafeRawBufferPointer,
        options: JSONParsingOptions = JSONParsingOptions()
    ) throws(JSONError) {
        let result = bytes.withMemoryRebound(to: UInt8.self) { buffer in
            Result { () throws(JSONError) -> JSONValue in try JSONValue(parsing: buffer, options: options) }
        }
        self = try result.get()
    }

    /// Parses one JSON text.
    ///
    /// - Parameters:
    ///   - bytes: UTF-8, with or without a byte order mark.
    ///   - options: What to accept beyond the standard.
    /// - Throws: `JSONError` with position, expectation and finding. Duplicate keys are errors.
    public init(parsing bytes: [UInt8], options: JSONParsingOptions = JSONParsingOptions()) throws(JSONError) {
        let result = bytes.withUnsafeBufferPointer { buffer in
            Result { () throws(JSONError) -> JSONValue in try JSONValue(parsing: buffer, options: options) }
        }
        self = try result.get()
    }

    /// Parses one JSON text.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - options: What to accept beyond the standard.
    /// - Throws: `JSONError` with position, expectation and finding. Duplicate keys are errors.
    public init(parsing text: String, options: JSONParsingOptions = JSONParsingOptions()) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), options: options)
    }
}
