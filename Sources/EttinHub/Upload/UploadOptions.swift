/// Options of an upload.
public struct UploadOptions: Sendable {
    /// The branch to commit to; created if it does not exist.
    public var branch: String
    /// Whether a newly created repository is private.
    public var isPrivate: Bool
    /// The first line of the commit message.
    public var title: String
    /// The rest of the commit message.
    public var details: String
    /// Patterns of files to upload; all files if empty.
    public var includes: [String]
    /// Patterns of files to skip.
    public var excludes: [String]
    /// A tag for the commit, such as `step599525`.
    public var tag: String?
    /// The card to upload as `README.md` if the folder has none.
    public var card: String?
    /// Whether to check everything without changing anything.
    public var isDryRun: Bool

    /// Creates options.
    ///
    /// - Parameters:
    ///   - branch: The branch to commit to.
    ///   - isPrivate: Whether a newly created repository is private.
    ///   - title: The first line of the commit message.
    ///   - details: The rest of the commit message.
    ///   - includes: Patterns of files to upload; all files if empty.
    ///   - excludes: Patterns of files to skip.
    ///   - tag: A tag for the commit.
    ///   - card: The card to upload as `README.md` if the folder has none.
    ///   - isDryRun: Whether to check everything without changing anything.
    public init(
        branch: String = HubReference.defaultRevision,
        isPrivate: Bool = false,
        title: String = "Upload with ettin",
        details: String = "",
        includes: [String] = [],
        excludes: [String] = [],
        tag: String? = nil,
        card: String? = nil,
        isDryRun: Bool = false
    ) {
        self.branch = branch
        self.isPrivate = isPrivate
        self.title = title
        self.details = details
        self.includes = includes
        self.excludes = excludes
        self.tag = tag
        self.card = card
        self.isDryRun = isDryRun
    }
}

/// A file of an upload.
public struct UploadedFile: Sendable, Hashable {
    /// How a file is uploaded.
    public enum Mode: String, Sendable, Hashable {
        /// In the commit itself.
        case regular
        /// To large-file storage (LFS), with a pointer in the commit.
        case large
        /// Not uploaded, because the repository already has it.
        case unchanged
        /// Not uploaded, because the repository ignores it.
        case ignored
    }

    /// The path in the repository.
    public let path: String
    /// The size in bytes.
    public let sizeBytes: Int
    /// How it is uploaded.
    public let mode: Mode
}

/// The result of an upload or dry run.
public struct UploadResult: Sendable, Hashable {
    /// Whether the repository was, or would be, created.
    public let createdRepository: Bool
    /// The files, sorted by path.
    public let files: [UploadedFile]
    /// The commit; nil after a dry run.
    public let commit: String?
    /// URL of the commit, or of the repository if there is no commit.
    public let address: String
}
