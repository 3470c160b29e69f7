package import EttinFiles

/// What is wrong with the data of an evaluation, or with what was asked of it.
public struct EvaluationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The families of problems, for callers that react differently to them.
    public enum Kind: String, Hashable, Sendable {
        /// A file, column or field that must be there is not.
        case missing
        /// The operating system refused to open, map, read or write.
        case inputOutput
        /// The data contradict their format or themselves.
        case malformed
        /// Well-formed, but something this library does not evaluate.
        case unsupported
        /// An option has an impossible value.
        case invalidOption
    }

    /// The family of the problem.
    public let kind: Kind
    /// The file, the evaluator or the option.
    public let file: String
    /// The line, column or field, already quoted; nil when the whole file is meant.
    public let item: String?
    /// What was found, as the predicate of a sentence.
    package let found: String
    /// What would have been accepted, or the next step; nil when `found` says it all.
    package let expected: String?

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - kind: The family of the problem.
    ///   - file: The file, the evaluator or the option.
    ///   - item: The line, column or field, quoted.
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

extension EvaluationError.Kind: FileProblemKind {}

extension EvaluationError: FileProblem {
    /// The problem of a file as a problem of the evaluation that it belongs to.
    package init(_ error: FileError) {
        self.init(Kind(error.kind), file: error.file, found: error.found, expected: error.expected)
    }
}
