package import EttinFiles

/// What is wrong with a recipe, or with another document of its kind.
///
/// The targets above turn it into their own error, which says what the document was for.
package struct RecipeError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The families of problems.
    package enum Kind: String, Hashable, Sendable, FileProblemKind {
        /// A file or key that must be there is not.
        case missing
        /// The operating system refused to read.
        case inputOutput
        /// The bytes contradict the format or themselves.
        case malformed
        /// Well-formed, but something that nothing here does.
        case unsupported
        /// A key or an override has an impossible value.
        case invalidOption
    }

    /// The family of the problem.
    package let kind: Kind
    /// The file as the caller named it, with line and key where they are known.
    package let place: String
    /// The line, where it is not part of the place.
    package let item: String?
    /// What was found, as the predicate of a sentence.
    package let found: String
    /// What would have been accepted, or the next step; nil when `found` says it all.
    package let expected: String?

    package init(_ kind: Kind, _ place: String, item: String? = nil, found: String, expected: String? = nil) {
        self.kind = kind
        self.place = place
        self.item = item
        self.found = found
        self.expected = expected
    }

    /// `place: found; expected …` on one line.
    package var description: String { problemText(place, item: item, found: found, expected: expected) }
}

extension RecipeError: FileProblem {
    /// The problem of a file as a problem of the recipe in it.
    package init(_ error: FileError) {
        self.init(Kind(error.kind), error.file, found: error.found, expected: error.expected)
    }
}
