extension ExplicitOrder {
    /// The order of an MDS data set with the columns `input_ids` and `step`.
    ///
    /// - Parameter dataset: The data set; its samples are read in sequence.
    public init(_ dataset: MDSDataset) {
        self.init(name: dataset.folder, rows: Self.rows(of: dataset))
    }

    static func rows(of dataset: MDSDataset) -> () throws -> OrderRow? {
        var sample = 0
        return {
            guard sample < dataset.sampleCount else { return nil }
            defer { sample += 1 }
            return OrderRow(
                step: try step(of: sample, in: dataset),
                inputIDs: try dataset.tokenIDs(at: sample)
            )
        }
    }

    static func step(of sample: Int, in dataset: MDSDataset) throws -> Int {
        let (position, local) = dataset.location(of: sample)
        let shard = try dataset.shard(position)
        switch try shard.schema.position(of: "step").map({ try shard.value(sample: local, column: $0) }) {
        case .integer(let step): return Int(step)
        case .scalar(let element, let bits) where element.isInteger:
            // The bits of narrow negative numbers are not extended, and no step is negative.
            return Int(truncatingIfNeeded: bits)
        default:
            throw CorpusError(
                .malformed,
                file: dataset.folder,
                item: "sample \(sample)",
                found: "has no integer \"step\"",
                expected: "columns input_ids and step"
            )
        }
    }
}
