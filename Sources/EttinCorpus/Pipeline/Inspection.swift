public import EttinJSON

/// What a tokenised data set holds: how many sequences and tokens, how long, and from where.
public struct Inspection: Hashable, Sendable {
    /// What comes from one source.
    public struct Source: Hashable, Sendable {
        /// The folder of its shards, relative to the data set; empty for shards that lie in it directly.
        public let name: String
        /// How long its sequences are.
        public internal(set) var lengths = LengthHistogram()
    }

    /// The number of shards.
    package private(set) var shardCount = 0
    /// How long the sequences are.
    public private(set) var lengths = LengthHistogram()
    /// The sources in the order in which they appear.
    public private(set) var sources: [Source] = []

    /// Reads through a data set.
    ///
    /// - Parameters:
    ///   - dataset: The data set.
    ///   - column: The column of token ids.
    ///   - progress: Called after each shard with the number of shards done; what it throws ends the reading.
    /// - Throws: `CorpusError` when a shard is malformed or has no such column.
    public init(
        _ dataset: MDSDataset,
        column: String = "input_ids",
        progress: (Int) throws -> Void = { _ in }
    ) throws {
        for (position, description) in dataset.index.shards.enumerated() {
            let folder = description.raw.basename.split(separator: "/").dropLast().joined(separator: "/")
            if sources.last?.name != folder, !sources.contains(where: { $0.name == folder }) {
                sources.append(Source(name: folder))
            }
            guard let source = sources.lastIndex(where: { $0.name == folder }) else { continue }
            let shard = try dataset.shard(position)
            let place = try shard.column(column)
            for sample in 0..<shard.sampleCount {
                let length = try shard.tokenCount(sample: sample, column: place)
                lengths.add(length)
                sources[source].lengths.add(length)
            }
            shardCount += 1
            try progress(shardCount)
        }
    }

    /// The counts, percentiles and histogram as JSON.
    public var json: JSONValue {
        [
            "shards": JSONValue(shardCount), "samples": JSONValue(lengths.sequenceCount),
            "tokens": JSONValue(lengths.tokenCount), "percentiles": lengths.publishedPercentiles,
            "lengths": lengths.json,
            "sources": .array(
                sources.map {
                    [
                        "name": .string($0.name), "samples": JSONValue($0.lengths.sequenceCount),
                        "tokens": JSONValue($0.lengths.tokenCount),
                    ]
                }
            ),
        ]
    }
}
