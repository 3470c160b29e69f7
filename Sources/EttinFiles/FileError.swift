#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Why a file cannot be opened, mapped, written or put in place.
///
/// The targets above turn it into their own error, which says what the file was for.
package struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The families of problems.
    package enum Kind: String, Hashable, Sendable {
        /// There is no such file.
        case missing
        /// The operating system refused.
        case inputOutput
        /// Bytes were asked for that the file does not have.
        case outOfRange
    }

    /// The family of the problem.
    package let kind: Kind
    /// The file, as the caller named it.
    package let file: String
    /// What was found, as the predicate of a sentence.
    package let found: String
    /// What would have been accepted; nil when `found` says it all.
    package let expected: String?

    /// What the system says about its failure; nil where it was not asked.
    package let reason: String?

    package init(_ kind: Kind, file: String, found: String, expected: String? = nil, reason: String? = nil) {
        self.kind = kind
        self.file = file
        self.found = found
        self.expected = expected
        self.reason = reason
    }

    /// The error of the system call that has just failed, with the reason that the system gives.
    package static func system(_ path: String, _ found: String) -> FileError {
        let code = errno
        let reason = systemReason()
        return FileError(
            code == ENOENT || code == ENOTDIR ? .missing : .inputOutput,
            file: path,
            found: "\(found) (\(reason))",
            reason: reason
        )
    }

    /// What the system says about its last failure.
    package static func systemReason() -> String { String(cString: strerror(errno)) }

    /// `file: found; expected …` on one line.
    package var description: String { problemText(file, found: found, expected: expected) }
}
