import EttinFiles

/// A repository at a revision, written `owner/name` or `owner/name@revision`.
public struct HubReference: Sendable, Hashable, CustomStringConvertible {
    /// The repository.
    public let repository: HubRepository
    /// A branch, a tag such as `step590532`, or a commit.
    public let revision: String

    /// The default branch.
    public static let defaultRevision = "main"

    /// Creates a reference.
    ///
    /// - Parameters:
    ///   - repository: The repository.
    ///   - revision: A branch, tag or commit.
    /// - Throws: `HubError.invalidReference` if the revision is not a valid git name.
    public init(_ repository: HubRepository, revision: String = HubReference.defaultRevision) throws {
        try Self.check(revision)
        self.repository = repository
        self.revision = revision
    }

    /// Reads `owner/name` or `owner/name@revision`.
    ///
    /// - Parameters:
    ///   - text: The reference.
    ///   - kind: The repository type.
    ///   - revision: A separately given revision; it must not contradict one in the text.
    /// - Throws: `HubError.invalidReference`.
    public init(_ text: String, kind: RepositoryKind = .model, revision: String? = nil) throws {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let written = parts.count == 2 ? parts[1] : nil
        if let written, let revision, written != revision {
            throw HubError.invalidReference(
                text,
                reason: "it already has a revision, and \(quoted(revision)) was also given"
            )
        }
        try self.init(HubRepository(parts[0], kind: kind), revision: written ?? revision ?? Self.defaultRevision)
    }

    /// The reference as `owner/name@revision`, without a default revision.
    public var description: String {
        revision == Self.defaultRevision ? repository.id : "\(repository.id)@\(revision)"
    }

    /// Whether the revision is a full commit hash, which never changes its meaning.
    var isCommit: Bool { isCommitHash(revision) }

    /// Refuses what git refuses in names, which is also all that could lead out of a folder of references.
    private static func check(_ revision: String) throws {
        let parts = revision.split(separator: "/", omittingEmptySubsequences: false)
        let isAllowed =
            revision.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"~^:?*[\\".utf8.contains($0) }
            && parts.allSatisfy { !$0.isEmpty && !$0.hasPrefix(".") && !$0.hasSuffix(".lock") }
            && !revision.contains("..") && !revision.hasSuffix(".") && !revision.hasPrefix("-")
        guard isAllowed, revision.utf8.count <= 255 else {
            throw HubError.invalidReference(revision, reason: "a revision must be a branch, tag or commit")
        }
    }
}

/// Whether a text is a full commit hash.
func isCommitHash(_ text: String) -> Bool {
    text.utf8.count == 40 && isHexadecimal(text)
}

/// Whether a text consists of lower-case hexadecimal digits.
func isHexadecimal(_ text: String) -> Bool {
    text.utf8.allSatisfy {
        ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) || ($0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "f"))
    }
}
