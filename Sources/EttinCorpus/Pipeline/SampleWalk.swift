/// The samples of a part of a data set in a given order, one after the other.
struct SampleWalk {
    private enum Steps {
        case range(Range<Int>)
        case list([Int])
        case shards([Range<Int>], seed: UInt64)
    }

    private var steps: Steps
    /// The samples of the current shard, or of the whole list, in order.
    private var current: [Int] = []
    private var position = 0
    private var nextShard = 0

    init(_ dataset: MDSDataset, _ range: Range<Int>, _ order: SampleStage.Order) {
        switch order {
        case .given: steps = .range(range)
        case .permutation(let seed):
            var generator = NumPyGenerator(seed: seed, variant: .dxsm)
            steps = .list(generator.permutation(range.count).map { $0 + range.lowerBound })
        case .shards(let seed):
            var shards = dataset.index.shards.indices.map { shard -> Range<Int> in
                let first = dataset.firstSample(ofShard: shard)
                return (first..<first + dataset.index.shards[shard].sampleCount).clamped(to: range)
            }
            var generator = NumPyGenerator(seed: seed, variant: .dxsm)
            generator.shuffle(&shards)
            steps = .shards(shards.filter { !$0.isEmpty }, seed: seed)
        }
    }

    /// The next sample; nil at the end.
    mutating func next() -> Int? {
        switch steps {
        case .range(var range):
            guard let sample = range.popFirst() else { return nil }
            steps = .range(range)
            return sample
        case .list(let samples):
            guard position < samples.count else { return nil }
            defer { position += 1 }
            return samples[position]
        case .shards(let shards, let seed):
            while position == current.count {
                guard nextShard < shards.count else { return nil }
                current = Array(shards[nextShard])
                // A seed of its own for every shard, so that a walk can begin at any of them.
                var generator = NumPyGenerator(seed: seed &+ UInt64(shards[nextShard].lowerBound) &+ 1, variant: .dxsm)
                generator.shuffle(&current)
                position = 0
                nextShard += 1
            }
            defer { position += 1 }
            return current[position]
        }
    }

    /// Passes over samples.
    mutating func skip(_ count: Int) {
        switch steps {
        case .range(let range): steps = .range(min(range.upperBound, range.lowerBound + count)..<range.upperBound)
        case .list: position = count
        case .shards(let shards, _):
            var rest = count
            while nextShard < shards.count, rest >= shards[nextShard].count {
                rest -= shards[nextShard].count
                nextShard += 1
            }
            for _ in 0..<rest { _ = next() }
        }
    }
}

/// The columns to take from each sample, and the type of its ids.
struct ColumnSelection {
    let schema: MDSSchema
    private let dataset: MDSDataset
    private let tokenColumn: String
    private let element: MDSElement?

    init(_ dataset: MDSDataset, _ tokenColumn: String, _ columns: [String]?, _ element: MDSElement?) throws {
        self.dataset = dataset
        self.tokenColumn = tokenColumn
        self.element = element
        let first = dataset.index.shards.first?.schema
        let all = first?.columns.map { (name: $0.name, encoding: $0.encoding) } ?? []
        let path = dataset.folder
        func encoding(_ name: String) throws -> MDSEncoding {
            guard let position = first?.position(of: name) else {
                throw CorpusError(
                    .missing,
                    file: path,
                    item: "column \(shown(name))",
                    found: "is not there",
                    expected: "one of \(all.map { shown($0.name) }.joined(separator: ", "))"
                )
            }
            return all[position].encoding
        }
        guard case .array = try encoding(tokenColumn) else {
            throw CorpusError(
                .unsupported,
                file: path,
                item: "column \(shown(tokenColumn))",
                found: "holds \(try encoding(tokenColumn).name)",
                expected: "an ndarray of token ids"
            )
        }
        let names = columns ?? all.map(\.name)
        schema = try MDSSchema(
            names.map { name in
                let isConverted = element != nil && name == tokenColumn
                return (name, isConverted ? .array(element: element, shape: nil) : try encoding(name))
            }
        )
    }

    /// The values of a sample in the order of the schema, and the number of its tokens.
    func values(at sample: Int) throws -> (values: [MDSValue], tokenCount: Int) {
        let (position, local) = dataset.location(of: sample)
        let shard = try dataset.shard(position)
        let ids = try shard.tokenIDs(sample: local, column: shard.column(tokenColumn))
        let all = try shard.values(sample: local)
        let values = try schema.columns.map { column -> MDSValue in
            if let element, column.name == tokenColumn {
                return .array(try MDSArray(tokenIDs: ids, element: element))
            }
            let source = try shard.column(column.name)
            guard shard.schema.columns[source].encoding == column.encoding else {
                throw CorpusError(
                    .unsupported,
                    file: shard.path,
                    item: "column \(shown(column.name))",
                    found: "holds \(shard.schema.columns[source].encoding.name)",
                    expected: "\(column.encoding.name), as the first shard has it; give a type for the ids"
                )
            }
            return all[source]
        }
        return (values, ids.count)
    }
}
