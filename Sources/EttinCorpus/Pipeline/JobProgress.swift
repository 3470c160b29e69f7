/// How far a stage of the pipeline has come.
public struct JobProgress: Hashable, Sendable {
    /// Records read: documents, or samples of the data set before.
    public internal(set) var recordCount = 0
    /// Samples written.
    public internal(set) var sampleCount = 0
    /// Tokens written.
    public internal(set) var tokenCount = 0
    /// How much of the input is behind us, earlier runs included: bytes on the disk, documents or tokens, whichever the
    /// stage knows beforehand.
    public internal(set) var workDone = 0
    /// What `workDone` will be about at the end; nil when it is not known.
    public internal(set) var workTotal: Int?
}

/// Options common to all stages of the pipeline.
public struct StageOptions {
    /// The folder to write; it is made, or an unfinished run in it is continued.
    public var output: String
    /// The part of the job to do.
    public var part: JobPart
    /// How shards are written.
    public var writing: MDSWriter.Options
    /// How many threads tokenise.
    public var threads: Int
    /// Called from time to time on the calling thread; what it throws stops the stage, which a later run resumes.
    public var progress: (JobProgress) throws -> Void

    /// Creates options.
    ///
    /// - Parameters:
    ///   - output: The folder to write.
    ///   - part: The part of the job to do.
    ///   - writing: How shards are written; the default is Zstandard with `xxh64` hashes.
    ///   - threads: How many threads tokenise.
    ///   - progress: Called now and then on the calling thread; what it throws stops the stage.
    public init(
        output: String,
        part: JobPart = .whole,
        writing: MDSWriter.Options = MDSWriter.Options(compression: .zstandard, hashes: [.xxh64]),
        threads: Int = 1,
        progress: @escaping (JobProgress) throws -> Void = { _ in }
    ) {
        self.output = output
        self.part = part
        self.writing = writing
        self.threads = threads
        self.progress = progress
    }
}
