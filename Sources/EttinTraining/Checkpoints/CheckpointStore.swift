import EttinFiles

/// The checkpoints of a run: folders `<tag><number of batches>` that appear whole or not at all.
public struct CheckpointStore: Hashable, Sendable {
    /// One of them.
    public struct Entry: Hashable, Sendable {
        /// The number of batches.
        public let batch: Int
        /// The folder.
        public let path: String
    }

    /// Which checkpoints stay.
    public struct Retention: Hashable, Sendable {
        /// How many of the newest stay; nil for all.
        public var last: Int?
        /// Checkpoints at multiples of this many batches stay in any case.
        public var everyBatches: Int?

        /// Creates a rule.
        ///
        /// - Parameters:
        ///   - last: How many of the newest stay; nil for all.
        ///   - everyBatches: Checkpoints at multiples of this many batches stay in any case.
        public init(last: Int? = nil, everyBatches: Int? = nil) {
            self.last = last
            self.everyBatches = everyBatches
        }
    }

    /// The folder of the run.
    public let folder: String
    /// What the names of checkpoints begin with, such as `step`.
    public let tag: String

    /// Names a store.
    ///
    /// - Parameters:
    ///   - folder: The folder of the run.
    ///   - tag: What the names of checkpoints begin with.
    public init(folder: String, tag: String) {
        self.folder = folder
        self.tag = tag
    }

    /// The folder of a checkpoint.
    ///
    /// - Parameter batch: The number of batches.
    /// - Returns: Its path, whether it exists or not.
    public func path(batch: Int) -> String { FilePath.joined(folder, "\(tag)\(batch)") }

    /// All complete checkpoints, oldest first.
    ///
    /// - Returns: Those that hold a state of training.
    /// - Throws: `TrainingError` when the folder cannot be read.
    public func entries() throws -> [Entry] {
        guard FilePath.kind(of: folder) == .folder else { return [] }
        let names = try TrainingError.translating { try FilePath.names(inFolder: folder) }
        return names.compactMap { name -> Entry? in
            guard name.hasPrefix(tag), let batch = Int(name.dropFirst(tag.count)), name == "\(tag)\(batch)" else {
                return nil
            }
            let path = FilePath.joined(folder, name)
            return FilePath.exists(FilePath.joined(path, TrainerState.fileName)) ? Entry(batch: batch, path: path) : nil
        }.sorted { $0.batch < $1.batch }
    }

    /// The newest complete checkpoint.
    ///
    /// - Returns: Nil when there is none.
    /// - Throws: `TrainingError` when the folder cannot be read.
    public func newest() throws -> Entry? { try entries().last }

    /// Writes a checkpoint, which appears when all of it is on the disk; then those that need not stay go.
    ///
    /// The state after a number of batches is one state, so a checkpoint that is there already stays as it is.
    ///
    /// - Parameters:
    ///   - batch: The number of batches.
    ///   - retention: Which checkpoints stay.
    ///   - write: Writes the files into the folder it is given.
    /// - Returns: The checkpoint.
    /// - Throws: What `write` throws, and `TrainingError` when the folder cannot be put in place; earlier checkpoints are
    ///   as they were then.
    @discardableResult
    public func save(
        batch: Int,
        keeping retention: Retention = Retention(),
        write: (_ folder: String) throws -> Void
    ) throws -> Entry {
        let path = path(batch: batch)
        try TrainingError.translating {
            if !FilePath.exists(FilePath.joined(path, TrainerState.fileName)) {
                let output = try AtomicFolder(path: path)
                try write(output.temporaryPath)
                try output.commit()
            }
            try FilePath.replaceLink(FilePath.joined(folder, "latest"), to: FilePath.lastComponent(of: path))
        }
        try prune(retention, newest: batch)
        return Entry(batch: batch, path: path)
    }

    /// Removes what a process that was killed had begun to write, and with `all` every checkpoint.
    ///
    /// - Parameter all: Whether complete checkpoints go too.
    /// - Throws: `TrainingError` when something cannot be removed.
    public func clear(all: Bool) throws {
        guard FilePath.kind(of: folder) == .folder else { return }
        try TrainingError.translating {
            for name in try FilePath.names(inFolder: folder) where name.hasPrefix(".\(tag)") && name.hasSuffix(".tmp") {
                try FilePath.removeFolder(FilePath.joined(folder, name))
            }
        }
        guard all else { return }
        for entry in try entries() { try TrainingError.translating { try FilePath.removeFolder(entry.path) } }
    }

    private func prune(_ retention: Retention, newest: Int) throws {
        guard let last = retention.last else { return }
        let entries = try entries()
        for entry in entries.dropLast(max(1, last)) where entry.batch != newest {
            if let every = retention.everyBatches, every > 0, entry.batch % every == 0 { continue }
            try TrainingError.translating { try FilePath.removeFolder(entry.path) }
        }
    }
}
