package import EttinFiles

/// What is wrong with a recipe, a run's files, or the run itself.
public struct TrainingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The families of problems, for callers that react differently to them.
    public enum Kind: String, Hashable, Sendable {
        /// A file, key or field that must be there is not.
        case missing
        /// The operating system refused to open, map, read or write.
        case inputOutput
        /// The bytes contradict the format or themselves.
        case malformed
        /// Well-formed, but something this library does not do.
        case unsupported
        /// An option or a key of a recipe has an impossible value.
        case invalidOption
        /// Training diverged: a loss or a gradient is NaN or infinite.
        case diverged
    }

    /// The family of the problem.
    public let kind: Kind
    /// The file or folder as the caller named it, or the key of the recipe.
    public let place: String
    /// What was found, as the predicate of a sentence.
    package let found: String
    /// What would have been accepted, or the next step; nil when `found` says it all.
    package let expected: String?

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - kind: The family of the problem.
    ///   - place: The file or folder, or the key of the recipe.
    ///   - found: What was found, as the predicate of a sentence.
    ///   - expected: What would have been accepted.
    package init(_ kind: Kind, _ place: String, found: String, expected: String? = nil) {
        self.kind = kind
        self.place = place
        self.found = found
        self.expected = expected
    }

    /// `place: found; expected …` on one line.
    public var description: String { problemText(place, found: found, expected: expected) }
}

extension TrainingError.Kind: FileProblemKind {}

extension TrainingError: FileProblem {
    /// The problem of a file as a problem of the run that it belongs to.
    package init(_ error: FileError) {
        self.init(Kind(error.kind), error.file, found: error.found, expected: error.expected)
    }
}
