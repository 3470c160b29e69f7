import EttinFiles

/// The files of a folder that are to be uploaded.
struct UploadPlan: Sendable {
    struct File: Sendable, Hashable {
        /// The path in the repository.
        let path: String
        /// The path here; unused for what is made on the spot.
        let localPath: String
        /// The content of what is made on the spot.
        var generated: [UInt8]?
        let sizeBytes: Int
        var mode = UploadedFile.Mode.regular
        /// The content id, once it is needed.
        var contentID: String?

        /// The first bytes, by which the Hub tells text from data.
        func sample() throws -> [UInt8] {
            if let generated { return Array(generated.prefix(512)) }
            return try HubError.translating { try OpenFile(localPath, .read).read(at: 0, count: min(512, sizeBytes)) }
        }

        /// The content of a file that goes into the commit itself.
        func content() throws -> [UInt8] {
            try generated
                ?? HubError.translating {
                    try OpenFile.contents(of: localPath, limit: UploadPlan.regularBytesLimit)
                }
        }

        /// Git's id of the content, or SHA-256 for large files.
        func computedID(isLarge: Bool) throws -> String {
            var hash = isLarge ? ContentHash.sha256 : .gitBlob(size: sizeBytes)
            if let generated {
                generated.withUnsafeBytes { hash.update($0) }
            } else {
                let file = try HubError.translating { try OpenFile(localPath, .read) }
                try hash.update(file, 0..<sizeBytes)
            }
            return hash.finalized()
        }
    }

    /// The file that the Hub reads as a repository's card.
    static let cardName = "README.md"
    /// The Hub's limits on one commit.
    static let largeFileLimit = 25_000
    static let regularBytesLimit = 1_000_000_000

    var files: [File]

    /// Looks through a folder.
    ///
    /// Version control's own files, links to folders and what downloads leave behind are passed over.
    init(folder: String, repository: HubRepository, options: UploadOptions) throws {
        guard FilePath.kind(of: folder) == .folder else {
            throw HubError.file(path: folder, reason: "it is not a folder")
        }
        let selection = FileSelection.matching(options.includes, excluding: options.excludes)
        files = try FilePath.cachedFiles(below: folder).compactMap { path in
            let parts = path.split(separator: "/")
            let isOurs = parts.contains(".git") || path.hasPrefix(".cache/huggingface/") || parts.last == ".DS_Store"
            guard !isOurs, selection.includes(path) else { return nil }
            let localPath = "\(folder)/\(path)"
            guard FilePath.kind(of: localPath) != .folder else { return nil }
            let size = try HubError.translating { try OpenFile(localPath, .read).size }
            return File(path: try RepositoryPath(path, in: repository).text, localPath: localPath, sizeBytes: size)
        }
        guard !files.isEmpty else {
            throw HubError.uploadRefused(reason: "\(quoted(folder)) has no files to upload")
        }
        if let card = options.card, selection.includes(Self.cardName),
            !files.contains(where: { $0.path == Self.cardName })
        {
            let text = Array(card.utf8)
            files.append(File(path: Self.cardName, localPath: "", generated: text, sizeBytes: text.count))
            files.sort { $0.path < $1.path }
        }
    }

    var results: [UploadedFile] {
        files.map { UploadedFile(path: $0.path, sizeBytes: $0.sizeBytes, mode: $0.mode) }
    }

    func files(_ mode: UploadedFile.Mode) -> [File] {
        files.filter { $0.mode == mode }
    }

    func checkLimits() throws {
        let large = files(.large).count
        guard large <= Self.largeFileLimit else {
            throw HubError.uploadRefused(
                reason: "a commit may have at most \(Self.largeFileLimit) large files, this one has \(large)"
            )
        }
        let bytes = files(.regular).map(\.sizeBytes).clampedSum()
        guard bytes <= Self.regularBytesLimit else {
            throw HubError.uploadRefused(
                reason: "the regular files of a commit may have at most \(Self.regularBytesLimit) bytes, these have "
                    + "\(bytes); upload in several steps"
            )
        }
    }
}
