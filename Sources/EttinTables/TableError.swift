package import EttinCorpus
package import EttinFiles

/// What is wrong with a table, one of its files, or what was asked of it.
public struct TableError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The families of problems, for callers that react differently to them.
    public enum Kind: String, Hashable, Sendable {
        /// A file, column or split that must be there is not.
        case missing
        /// The operating system refused to open, map, read or write.
        case inputOutput
        /// The bytes contradict the format or themselves.
        case malformed
        /// Well-formed, but something this library does not read.
        case unsupported
        /// An option has an impossible value.
        case invalidOption
    }

    /// The family of the problem.
    public let kind: Kind
    /// The file or folder, as the caller named it; the name of the option for `invalidOption`.
    public let file: String
    /// The line or column, already quoted; nil when the whole file is meant.
    public let item: String?
    /// What was found, as the predicate of a sentence.
    package let found: String
    /// What would have been accepted, or the next step; nil when `found` says it all.
    package let expected: String?

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - kind: The family of the problem.
    ///   - file: The file's name, or the option's.
    ///   - item: The line or column, quoted.
    ///   - found: What was found, as the predicate of a sentence.
    ///   - expected: What would have been accepted.
    package init(_ kind: Kind, file: String, item: String? = nil, found: String, expected: String? = nil) {
        self.kind = kind
        self.file = file
        self.item = item
        self.found = found
        self.expected = expected
    }

    /// `file: item found; expected …` on one line.
    public var description: String { problemText(file, item: item, found: found, expected: expected) }
}

extension TableError.Kind: FileProblemKind {}

extension TableError: FileProblem {
    /// The problem of a file as a problem of the table that it belongs to.
    package init(_ error: FileError) {
        self.init(Kind(error.kind), file: error.file, found: error.found, expected: error.expected)
    }

    /// The problem of a data set's file as a problem of the table.
    package init(_ error: CorpusError) {
        self.init(
            Kind(rawValue: error.kind.rawValue) ?? .malformed,
            file: error.file,
            item: error.item,
            found: error.found,
            expected: error.expected
        )
    }

    /// Calls `body` and throws its errors of files and data sets as errors of this type.
    static func naming<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try translating(body)
        } catch let error as CorpusError {
            throw TableError(error)
        }
    }
}

/// Text from a file or option, in quotes and on one line, for a message.
func shown(_ text: String) -> String { quoted(text, limit: 80) }
