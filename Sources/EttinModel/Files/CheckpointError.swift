package import EttinFiles

/// What is wrong with a checkpoint's files or its configuration.
///
/// One error carries every problem that was found, so that a broken folder is repaired once and not once per attempt.
public struct CheckpointError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The families of problems, for callers that react differently to them.
    public enum Kind: String, Hashable, Sendable {
        /// A file, tensor or key that must be there is not.
        case missing
        /// The operating system refused to open, map, read or write.
        case inputOutput
        /// The bytes violate the format or contradict each other.
        case malformed
        /// Well-formed, but something this library does not read or does not allow.
        case unsupported
    }

    /// One problem, in the order file, item, what was found, what was expected.
    public struct Problem: Hashable, Sendable, CustomStringConvertible {
        /// The family of the problem.
        public let kind: Kind
        /// The file, as the caller named it or as its folder names it.
        public let file: String
        /// The tensor, key or archive entry, already quoted; nil when the whole file is meant.
        public let item: String?
        /// What was found, as the predicate of a sentence.
        public let found: String
        /// What would have been accepted, or the next step; nil when `found` says it all.
        public let expected: String?

        /// Creates a problem.
        ///
        /// - Parameters:
        ///   - kind: The family of the problem.
        ///   - file: The file's name.
        ///   - item: The tensor, key or entry, quoted.
        ///   - found: What was found, as the predicate of a sentence.
        ///   - expected: What would have been accepted.
        public init(_ kind: Kind, file: String, item: String? = nil, found: String, expected: String? = nil) {
            self.kind = kind
            self.file = file
            self.item = item
            self.found = found
            self.expected = expected
        }

        /// `file: item found; expected …` on one line.
        public var description: String { problemText(file, item: item, found: found, expected: expected) }
    }

    /// Everything that was found, at least one entry.
    public let problems: [Problem]

    /// Creates an error from all problems.
    ///
    /// - Parameter problems: What was found.
    public init(_ problems: [Problem]) {
        self.problems = problems
    }

    /// Creates an error from one problem.
    ///
    /// - Parameters:
    ///   - kind: The family of the problem.
    ///   - file: The file's name.
    ///   - item: The tensor, key or entry, quoted.
    ///   - found: What was found, as the predicate of a sentence.
    ///   - expected: What would have been accepted.
    public init(_ kind: Kind, file: String, item: String? = nil, found: String, expected: String? = nil) {
        problems = [Problem(kind, file: file, item: item, found: found, expected: expected)]
    }

    /// One line per problem.
    ///
    /// Beyond fifty problems the rest is counted, so that a wholly wrong file does not flood the terminal.
    public var description: String {
        let shown = problems.prefix(50).map(\.description)
        let rest = problems.count - shown.count
        return (shown + (rest > 0 ? ["… and \(rest) further problems"] : [])).joined(separator: "\n")
    }
}

extension CheckpointError.Kind: FileProblemKind {}

extension CheckpointError: FileProblem {
    /// The problem of a file as a problem of the checkpoint that it belongs to.
    package init(_ error: FileError) {
        self.init(Kind(error.kind), file: error.file, found: error.found, expected: error.expected)
    }
}

/// Writes a shape as Python does, `[2, 3]`.
///
/// - Parameter shape: The dimensions.
/// - Returns: The text.
package func spelled(_ shape: [Int]) -> String {
    "[" + shape.map(String.init).joined(separator: ", ") + "]"
}
