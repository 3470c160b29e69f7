import EttinFiles

extension ExplicitOrder {
    /// Opens an order data set: a folder of MDS shards or of Parquet files with the columns `input_ids` and `step`, a
    /// Parquet file, or a file of JSON Lines.
    ///
    /// - Parameter path: The folder or file.
    /// - Returns: The order from its first step.
    /// - Throws: `CorpusError` when it cannot be opened.
    package static func opened(_ path: String) throws -> ExplicitOrder { try opened([path]) }

    /// Opens several order data sets as one, as a phase of the published order lies in a folder for each checkpoint.
    ///
    /// - Parameter paths: The folders or files in the order of their steps; they are opened one after the other.
    /// - Returns: The order from its first step.
    /// - Throws: `CorpusError` when one is not there or the first cannot be opened.
    public static func opened(_ paths: [String]) throws -> ExplicitOrder {
        try opened(OrderInput.find(paths), name: paths.count == 1 ? paths[0] : "\(paths.count) orders")
    }

    static func opened(_ inputs: [CorpusInput], name: String) throws -> ExplicitOrder {
        var rest = inputs[...]
        var current = try rest.popFirst().map { try OrderInput.rows($0) }
        return ExplicitOrder(name: name) {
            while let rows = current {
                if let row = try rows() { return row }
                current = try rest.popFirst().map { try OrderInput.rows($0) }
            }
            return nil
        }
    }
}

/// The files and data sets that the rows of an order come from.
enum OrderInput {
    /// The inputs that paths name, in the order of their rows: data sets of MDS shards, Parquet files, JSON Lines.
    static func find(_ paths: [String]) throws -> [CorpusInput] {
        try paths.flatMap { path -> [CorpusInput] in
            switch FilePath.kind(of: path) {
            case .absent, .file: return [try file(path, OrderSamples.isFile(path) ? .parquet : .jsonLines)]
            case .folder:
                let isMDS = FilePath.exists(FilePath.joined(path, MDSIndex.fileName))
                let names = isMDS ? [] : try CorpusError.translating { try FilePath.names(inFolder: path) }
                guard names.contains(where: OrderSamples.isFile) else {
                    let size = try MDSIndex(folder: path).shards.reduce(0) { $0 + $1.raw.byteCount }
                    return [CorpusInput(path: path, format: .mds, byteCount: size, packing: .none)]
                }
                return try OrderSamples.files(path).map { try file($0, .parquet) }
            }
        }
    }

    /// A file of rows.
    static func file(_ path: String, _ format: CorpusInput.Format) throws -> CorpusInput {
        guard FilePath.kind(of: path) != .absent else {
            throw CorpusError(.missing, file: path, found: "is not there or cannot be examined")
        }
        guard let size = FilePath.fileSize(path) else {
            throw CorpusError(.inputOutput, file: path, found: "is not a regular file", expected: "a file of rows")
        }
        return CorpusInput(path: path, format: format, byteCount: size, packing: .none)
    }

    private static func dataset(_ input: CorpusInput) throws -> MDSDataset {
        try MDSDataset(folder: input.path, decompression: .intoMemory, openShardLimit: 1)
    }

    /// The rows of an input, one after the other.
    static func rows(_ input: CorpusInput) throws -> () throws -> OrderRow? {
        switch input.format {
        case .mds: return ExplicitOrder.rows(of: try dataset(input))
        case .parquet:
            var samples = try OrderSamples(path: input.path)
            return { try samples.next() }
        case .jsonLines, .text:
            let file = try OrderRowFile(path: input.path)
            return { try file.next() }
        }
    }

    /// The step of the last row of all inputs, found without reading those before; nil when there are no rows.
    static func lastStep(_ inputs: [CorpusInput]) throws -> Int? {
        for input in inputs.reversed() {
            switch input.format {
            case .mds:
                let dataset = try dataset(input)
                guard dataset.sampleCount > 0 else { continue }
                return try ExplicitOrder.step(of: dataset.sampleCount - 1, in: dataset)
            case .parquet:
                if let step = try OrderSamples.lastStep(input.path) { return step }
            case .jsonLines, .text:
                if let row = try OrderRowFile.last(input.path) { return row.step }
            }
        }
        return nil
    }
}
