/// What is uploaded, and how.
public struct UploadOptions: Sendable {
    /// The branch to commit to; it is created if it is absent.
    public var branch: String
    /// Whether a repository that has to be created is private.
    public var isPrivate: Bool
    /// The title of the commit.
    public var title: String
    /// More about the commit.
    public var details: String
    /// Patterns of the files to upload; all when empty.
    public var includes: [String]
    /// Patterns of files to leave out.
    public var excludes: [String]
    /// A tag to put on the commit, such as `step599525`.
    public var tag: String?
    /// The text of the card, `README.md`, to upload when the folder has none.
    public var card: String?
    /// Whether everything is looked at and nothing is changed.
    public var isDryRun: Bool

    /// Creates options.
    ///
    /// - Parameters:
    ///   - branch: The branch to commit to.
    ///   - isPrivate: Whether a repository that has to be created is private.
    ///   - title: The title of the commit.
    ///   - details: More about the commit.
    ///   - includes: Patterns of the files to upload; all when empty.
    ///   - excludes: Patterns of files to leave out.
    ///   - tag: A tag to put on the commit.
    ///   - card: The text of the card, `README.md`, to upload when the folder has none.
    ///   - isDryRun: Whether everything is looked at and nothing is changed.
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

/// What happens to a file of an upload.
public struct UploadedFile: Sendable, Hashable {
    /// How a file travels.
    public enum Mode: String, Sendable, Hashable {
        /// In the commit itself.
        case regular
        /// To the large-file store, with a pointer in the commit.
        case large
        /// Not at all, because the repository has it.
        case unchanged
        /// Not at all, because the repository ignores it.
        case ignored
    }

    /// The path in the repository.
    public let path: String
    /// The size in bytes.
    public let sizeBytes: Int
    /// How it travels.
    public let mode: Mode
}

/// What an upload has done, or would do.
public struct UploadResult: Sendable, Hashable {
    /// Whether the repository was created.
    public let createdRepository: Bool
    /// The files, sorted by path.
    public let files: [UploadedFile]
    /// The commit; nil after a dry run.
    public let commit: String?
    /// The address of the commit, or of the repository where there is none.
    public let address: String
}
