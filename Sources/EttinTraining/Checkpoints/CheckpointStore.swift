import EttinFiles

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The checkpoints of a run: folders `<tag><number of batches>` that appear whole or not at all.
public struct CheckpointStore: Hashable, Sendable {
    /// One of them.
    public struct Entry: Hashable, Sendable {
        /// The number of batches.
        public let batch: Int
        /// The folder.
        public let path: String

        package init(batch: Int, path: String) {
            self.batch = batch
            self.path = path
        }
    }

    /// The folder of the run.
    package let folder: String
    /// What the names of checkpoints begin with, such as `step`.
    package let tag: String
    /// The file that makes a folder a checkpoint.
    package let stateFile: String

    /// Names a store.
    ///
    /// - Parameters:
    ///   - folder: The folder of the run.
    ///   - tag: What the names of checkpoints begin with.
    public init(folder: String, tag: String) {
        self.init(folder: folder, tag: tag, stateFile: TrainerState.fileName)
    }

    /// Names a store.
    ///
    /// - Parameters:
    ///   - folder: The folder of the run.
    ///   - tag: What the names of checkpoints begin with.
    ///   - stateFile: The file that makes a folder a checkpoint.
    package init(folder: String, tag: String, stateFile: String) {
        self.folder = folder
        self.tag = tag
        self.stateFile = stateFile
    }

    /// The folder of a checkpoint.
    ///
    /// - Parameter batch: The number of batches.
    /// - Returns: Its path, whether it exists or not.
    package func path(batch: Int) -> String { FilePath.joined(folder, "\(tag)\(batch)") }

    /// Whether a checkpoint lies in the folder, whatever path leads there.
    ///
    /// - Parameter path: The folder of the checkpoint.
    /// - Returns: False too where one of the folders cannot be examined.
    package func holds(_ path: String) -> Bool {
        var (own, other) = (stat(), stat())
        return stat(folder, &own) == 0 && stat(FilePath.folder(of: path), &other) == 0
            && own.st_dev == other.st_dev && own.st_ino == other.st_ino
    }

    /// All complete checkpoints, oldest first.
    ///
    /// - Returns: Those that hold a state of training.
    /// - Throws: `TrainingError` when the folder cannot be read.
    public func entries() throws -> [Entry] {
        guard FilePath.kind(of: folder) == .folder else { return [] }
        let names = try TrainingError.translating { try FilePath.names(inFolder: folder) }
        return names.compactMap { name -> Entry? in
            guard name.hasPrefix(tag), let batch = Int(name.dropFirst(tag.count)), batch >= 0, name == "\(tag)\(batch)"
            else {
                return nil
            }
            let path = FilePath.joined(folder, name)
            return FilePath.exists(FilePath.joined(path, stateFile)) ? Entry(batch: batch, path: path) : nil
        }.sorted { $0.batch < $1.batch }
    }

    /// The newest complete checkpoint.
    ///
    /// - Returns: Nil when there is none.
    /// - Throws: `TrainingError` when the folder cannot be read.
    public func newest() throws -> Entry? { try entries().last }

    /// Writes a checkpoint, which appears when all of it is on the disk.
    ///
    /// The state after a number of batches is one state, so a checkpoint that is there already stays as it is.
    ///
    /// - Parameters:
    ///   - batch: The number of batches.
    ///   - write: Writes the files into the folder it is given.
    /// - Returns: The checkpoint.
    /// - Throws: What `write` throws, and `TrainingError` when the folder cannot be put in place; earlier checkpoints are
    ///   as they were then.
    @discardableResult
    package func save(batch: Int, write: (_ folder: String) throws -> Void) throws -> Entry {
        let path = path(batch: batch)
        try TrainingError.translating {
            if !FilePath.exists(FilePath.joined(path, stateFile)) {
                let output = try AtomicFolder(path: path)
                try write(output.temporaryPath)
                try output.commit()
            }
            try link(path)
        }
        return Entry(batch: batch, path: path)
    }

    /// Removes the checkpoints that need not stay; the newest always does.
    ///
    /// - Parameters:
    ///   - last: How many of the newest stay.
    ///   - isKept: Whether an older one stays.
    /// - Throws: `TrainingError` when one cannot be read or removed.
    package func prune(keepingLast last: Int, and isKept: (TrainerState) -> Bool) throws {
        let older = try entries().dropLast(max(1, last))
        try remove(try older.filter { try !isKept(TrainerState(folder: $0.path, name: stateFile)) })
    }

    /// Removes the oldest checkpoints until no more than a number are left, the newest and those to keep among them.
    ///
    /// - Parameters:
    ///   - limit: The number.
    ///   - kept: The batches of a checkpoint that stays.
    /// - Throws: `TrainingError` when one cannot be removed.
    package func prune(toTotal limit: Int, keeping kept: Int?) throws {
        let all = try entries()
        let removable = all.dropLast().filter { $0.batch != kept }
        let count = all.count - max(limit, all.count - removable.count)
        try remove(Array(removable.prefix(max(0, count))))
    }

    /// Prepares the folder for a run that resumes from a checkpoint of it, or begins: what a process that was killed had
    /// begun to write goes, later checkpoints go, and `latest` leads to the newest again.
    ///
    /// - Parameter batch: The batches of the checkpoint that is resumed; nil for a new run, with which
    ///   all checkpoints go.
    /// - Throws: `TrainingError` when something cannot be removed.
    package func rollBack(toBatch batch: Int?) throws {
        guard FilePath.kind(of: folder) == .folder else { return }
        try TrainingError.translating {
            for name in try FilePath.names(inFolder: folder) where name.hasPrefix(".") && name.hasSuffix(".tmp") {
                try FilePath.removeTree(FilePath.joined(folder, name))
            }
            try FilePath.removeTree(latest + ".tmp")
        }
        try remove(try entries().filter { entry in batch.map { entry.batch > $0 } ?? true })
        try TrainingError.translating {
            if let newest = try newest() { try link(newest.path) } else { try FilePath.removeTree(latest) }
        }
    }

    /// Removes all checkpoints but one, to which `latest` leads then.
    ///
    /// - Parameter entry: The one that stays.
    /// - Throws: `TrainingError` when another cannot be removed.
    package func keepOnly(_ entry: Entry) throws {
        try remove(try entries().filter { $0 != entry })
        try TrainingError.translating { try link(entry.path) }
    }

    /// Lets `best` in the folder of the run lead to a checkpoint.
    ///
    /// - Parameter batch: The batches of the checkpoint; without one, or when it is not there, the link goes.
    /// - Throws: `TrainingError` when the link cannot be replaced or removed, or is something else than a link.
    func linkBest(toBatch batch: Int?) throws {
        let link = FilePath.joined(folder, "best")
        try TrainingError.translating {
            if let path = batch.map(path), FilePath.kind(of: path) == .folder {
                try FilePath.replaceLink(link, to: FilePath.lastComponent(of: path))
            } else if FilePath.isLink(link) {
                try FilePath.removeTree(link)
            }
        }
    }

    private var latest: String { FilePath.joined(folder, "latest") }

    private func link(_ path: String) throws {
        try FilePath.replaceLink(latest, to: FilePath.lastComponent(of: path))
    }

    private func remove(_ entries: [Entry]) throws {
        try TrainingError.translating { for entry in entries { try FilePath.removeFolder(entry.path) } }
    }
}
