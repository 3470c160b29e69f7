// What the errors of the targets above have in common.

/// The families of problems that those errors share.
package protocol FileProblemKind {
    /// What must be there is not.
    static var missing: Self { get }
    /// The operating system refused to open, map, read or write.
    static var inputOutput: Self { get }
    /// The bytes contradict the format or themselves.
    static var malformed: Self { get }
}

extension FileProblemKind {
    /// The family of a file's problem.
    package init(_ kind: FileError.Kind) {
        switch kind {
        case .missing: self = .missing
        case .inputOutput: self = .inputOutput
        case .outOfRange: self = .malformed
        }
    }
}

/// An error that says what a file was for.
package protocol FileProblem: Error {
    /// The problem of a file as a problem of what it belongs to.
    init(_ error: FileError)
}

extension FileProblem {
    /// Calls `body` and throws its file errors as errors of this type.
    package static func translating<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as FileError {
            throw Self(error)
        }
    }
}

/// `place: item found; expected …` on one line, as all messages are.
package func problemText(_ place: String, item: String? = nil, found: String, expected: String?) -> String {
    escapingControls("\(place): \(item.map { $0 + " " } ?? "")\(found)\(expected.map { "; expected " + $0 } ?? "")")
}
