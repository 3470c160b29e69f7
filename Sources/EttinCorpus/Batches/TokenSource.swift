/// Samples of token ids, read at random.
public protocol TokenSource: Sendable {
    /// The number of samples.
    var sampleCount: Int { get }

    /// The token ids of a sample.
    ///
    /// - Parameter sample: The number of the sample.
    /// - Returns: The ids.
    /// - Throws: `CorpusError` when the sample cannot be read.
    func tokenIDs(at sample: Int) throws -> [Int32]
}

extension MDSDataset: TokenSource {
    /// The token ids of a sample's column `input_ids`.
    ///
    /// - Parameter sample: The position in the data set.
    /// - Returns: The ids.
    /// - Throws: `CorpusError` when the shard or the sample is malformed or has no such column.
    public func tokenIDs(at sample: Int) throws -> [Int32] { try tokenIDs(at: sample, column: "input_ids") }
}

extension MDSStreams: TokenSource {
    /// The token ids of a sample's column `input_ids`.
    ///
    /// - Parameter sample: The position among all streams.
    /// - Returns: The ids.
    /// - Throws: `CorpusError` when the shard or the sample is malformed or has no such column.
    public func tokenIDs(at sample: Int) throws -> [Int32] { try tokenIDs(at: sample, column: "input_ids") }
}

/// Samples in memory.
public struct TokenArraySource: TokenSource {
    private let samples: [[Int32]]

    /// Creates a source.
    ///
    /// - Parameter samples: The token ids of each sample.
    public init(_ samples: [[Int32]]) { self.samples = samples }

    /// The number of samples.
    public var sampleCount: Int { samples.count }

    /// The token ids of a sample.
    ///
    /// - Parameter sample: The number of the sample.
    /// - Returns: The ids.
    public func tokenIDs(at sample: Int) -> [Int32] { samples[sample] }
}
