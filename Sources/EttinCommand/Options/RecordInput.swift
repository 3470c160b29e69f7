import ArgumentParser
import EttinJSON
import EttinTokenizer

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A line of JSON Lines, read by field.
struct Record {
    private let object: JSONObject
    /// The file and the number of the line.
    private let place: String

    init(_ object: JSONObject, place: String) {
        (self.object, self.place) = (object, place)
    }

    /// Whether the line has a field that is not null.
    func has(_ key: String) -> Bool { object[key].map { !$0.isNull } ?? false }

    /// A field that must be there.
    func text(_ key: String) throws -> String {
        guard let text = try optionalText(key) else { throw error("has no \"\(key)\"", expected: "a string") }
        return text
    }

    /// A field that may be absent or null.
    func optionalText(_ key: String) throws -> String? {
        guard let value = object[key], !value.isNull else { return nil }
        guard let text = value.stringValue else {
            throw error("\"\(key)\" is a JSON \(value.kind.rawValue)", expected: "a string")
        }
        return text
    }

    /// A list of at least one string.
    func texts(_ key: String) throws -> [String] {
        guard let value = object[key], !value.isNull else {
            throw error("has no \"\(key)\"", expected: "a list of strings")
        }
        guard let items = value.arrayValue else {
            throw error("\"\(key)\" is a JSON \(value.kind.rawValue)", expected: "a list of strings")
        }
        guard !items.isEmpty else { throw error("\"\(key)\" is empty", expected: "at least one string") }
        return try items.enumerated().map { index, item in
            guard let text = item.stringValue else {
                throw error("\"\(key)\"[\(index)] is a JSON \(item.kind.rawValue)", expected: "a string")
            }
            return text
        }
    }

    func error(_ found: String, expected: String) -> InvalidRecord {
        InvalidRecord(place: place, found: found, expected: expected)
    }

    /// Reads a whole file or standard input.
    ///
    /// - Parameters:
    ///   - path: The file, `-` for standard input.
    ///   - expected: What a line should be, for messages.
    /// - Returns: The lines, at least one.
    /// - Throws: `TokenizerError` for a file that cannot be read or a line that is no object; `NoTexts` for one without a
    ///   line.
    static func all(_ path: String, expected: String) throws -> [Record] {
        if path == "-", isatty(0) == 1 { Diagnostics.note("reading \(expected), one per line, until Ctrl-D") }
        // The name says nothing: every line is an object.
        var reader = try TextReader(path, format: .jsonl)
        var records: [Record] = []
        while let (object, place) = try reader.nextObject(expected: expected) {
            records.append(Record(object, place: place))
        }
        guard !records.isEmpty else { throw NoTexts(source: path == "-" ? "standard input" : path) }
        return records
    }
}

/// A line whose fields are not those of the command.
struct InvalidRecord: Error, CustomStringConvertible {
    let place: String
    let found: String
    let expected: String

    var description: String { "\(place): \(found); expected \(expected)" }
}
