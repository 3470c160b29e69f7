import EttinFiles

/// The list of chunks by thousands of tokens that the published pipeline leaves beside its chunks.
enum TokenDeciles {
    static let fileName = "token_decile.json"

    /// Writes `{"0k": [positions of chunks below 1000 tokens], "1k": …}`, with at least the published nine keys.
    ///
    /// The lengths are read from the shards, because a run that was continued has not seen them all. One byte per chunk
    /// is held in memory.
    static func write(_ dataset: MDSDataset, column: String, toFolder folder: String) throws {
        var thousands: [UInt8] = []
        thousands.reserveCapacity(dataset.sampleCount)
        for position in dataset.index.shards.indices {
            let shard = try dataset.shard(position)
            let place = try shard.column(column)
            for sample in 0..<shard.sampleCount {
                let length = try shard.tokenCount(sample: sample, column: place)
                thousands.append(UInt8(clamping: length / 1000))
            }
        }
        try CorpusError.translating {
            let file = try AtomicFile(path: FilePath.joined(folder, fileName))
            for thousand in 0...max(8, thousands.max() ?? 0) {
                try file.write(Array("\(thousand == 0 ? "{" : ", ")\"\(thousand)k\": [".utf8))
                var isFirst = true
                for (chunk, value) in thousands.enumerated() where value == thousand {
                    try file.write(Array("\(isFirst ? "" : ", ")\(chunk)".utf8))
                    isFirst = false
                }
                try file.write(Array("]".utf8))
            }
            try file.write(Array("}".utf8))
            try file.commit()
        }
    }
}
