/// The rules of JSON Lines, the same for all files that are read: documents, texts, orders, metrics, ledgers, journals.
///
/// Every line is one JSON object. `NaN`, `Infinity` and `-Infinity`, which Python writes, are numbers. A key that occurs
/// twice in one object, half a surrogate pair, ill-formed UTF-8, a blank line and anything behind the object are errors.
/// A byte order mark at the start of the file is skipped, and an error anywhere else.
package enum JSONLine {
    /// What is wrong with a line; the reader adds the file and the number of the line.
    package struct Fault: Error, Hashable, CustomStringConvertible {
        /// What was found, as the predicate of a sentence.
        package let found: String
        /// What would have been accepted.
        package let expected: String

        /// Creates a fault, for readers whose expectation about a member was not met.
        package init(found: String, expected: String) {
            (self.found, self.expected) = (found, expected)
        }

        package var description: String { "\(found); expected \(expected)" }
    }

    private static let mark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// Whether a line holds nothing but white space.
    package static func isBlank(_ line: UnsafeRawBufferPointer) -> Bool {
        line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
    }

    /// The line without a byte order mark, where it may have one: at the start of a file.
    package static func withoutMark(_ line: UnsafeRawBufferPointer, isFirst: Bool) -> UnsafeRawBufferPointer {
        isFirst && line.starts(with: mark) ? UnsafeRawBufferPointer(rebasing: line[mark.count...]) : line
    }

    /// Reads the members of a line, one by one.
    ///
    /// - Parameters:
    ///   - line: The line without its line feed.
    ///   - isFirst: Whether it is the first of its file.
    ///   - expected: What the line should be, for messages: `{"text": …}`.
    ///   - replacesInvalidText: Whether ill-formed UTF-8 and half surrogate pairs become U+FFFD.
    ///   - member: Called with each key; must read or skip exactly one value.
    /// - Throws: `Fault` for a line that breaks a rule; what `member` throws.
    package static func read(
        _ line: UnsafeRawBufferPointer,
        isFirst: Bool,
        expected: String,
        replacesInvalidText: Bool = false,
        _ member: (inout JSONReader, UnsafeBufferPointer<UInt8>) throws -> Void
    ) throws {
        if replacesInvalidText, String(validating: line, as: UTF8.self) == nil {
            let repaired = Array(String(decoding: line, as: UTF8.self).utf8)
            return try repaired.withUnsafeBytes {
                try read($0, isFirst: isFirst, expected: expected, replacesInvalidText: true, member)
            }
        }
        let line = try checked(line, isFirst: isFirst, expected: expected)
        let options = JSONParsingOptions(
            allowsNonFiniteNumbers: true,
            replacesLoneSurrogates: replacesInvalidText,
            rejectsDuplicateKeys: true
        )
        do {
            try line.withMemoryRebound(to: UInt8.self) { bytes in
                var reader = JSONReader(bytes, options: options)
                let kind = try reader.peekKind()
                guard kind == .object else { throw otherKind(kind, expected) }
                try reader.beginObject()
                while let key = try reader.nextKey() { try member(&reader, key) }
                try reader.finish()
            }
        } catch let error as JSONError {
            throw fault(error, line, expected)
        }
    }

    /// Reads a line whole.
    ///
    /// - Parameters:
    ///   - line: The line without its line feed.
    ///   - isFirst: Whether it is the first of its file.
    ///   - expected: What the line should be, for messages.
    /// - Returns: The members.
    /// - Throws: `Fault` for a line that breaks a rule.
    package static func object(
        _ line: UnsafeRawBufferPointer,
        isFirst: Bool,
        expected: String
    ) throws(Fault) -> JSONObject {
        let line = try checked(line, isFirst: isFirst, expected: expected)
        let value: JSONValue
        do {
            value = try JSONValue(parsing: line, options: JSONParsingOptions(allowsNonFiniteNumbers: true))
        } catch {
            throw fault(error, line, expected)
        }
        guard let object = value.objectValue else { throw otherKind(value.kind, expected) }
        return object
    }

    private static func checked(
        _ line: UnsafeRawBufferPointer,
        isFirst: Bool,
        expected: String
    ) throws(Fault) -> UnsafeRawBufferPointer {
        let line = withoutMark(line, isFirst: isFirst)
        guard !line.starts(with: mark) else {
            throw Fault(found: "begins with a byte order mark", expected: "one at the start of the file only, if any")
        }
        guard !isBlank(line) else { throw Fault(found: "is blank", expected: "\(expected) on every line") }
        return line
    }

    private static func otherKind(_ kind: JSONKind, _ expected: String) -> Fault {
        guard kind == .array else { return Fault(found: "is a JSON \(kind.rawValue)", expected: expected) }
        return Fault(
            found: "is a JSON array, or begins one",
            expected: "\(expected) on every line; jq -c '.[]' turns an array into lines"
        )
    }

    private static func fault(_ error: JSONError, _ line: UnsafeRawBufferPointer, _ expected: String) -> Fault {
        let found = "is not JSON: column \(error.column): \(error.reason)"
        // What ends too early may go on in the next line.
        guard error.offset >= line.count else { return Fault(found: found, expected: expected) }
        return Fault(
            found: found,
            expected: "\(expected), whole on one line; jq -c . puts an object of several lines on one"
        )
    }
}
