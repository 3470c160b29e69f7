// Times orders, packers, masks and loading and the Parquet reader for the programs in Benchmarks/corpus.

import EttinCorpus
import EttinJSON
import EttinPrimitives

/// Seconds of the best of three runs; `body` returns something that depends on all its work.
private func bestSeconds(_ body: () throws -> Int) rethrows -> JSONValue {
    var best = Double.infinity
    var checksum = 0
    for _ in 0..<3 {
        let start = ContinuousClock.now
        checksum = try body()
        let elapsed = ContinuousClock.now - start
        best = min(best, Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18)
    }
    return ["seconds": JSONValue(best), "checksum": JSONValue(checksum)]
}

/// Reads an order in pieces, as a loader does.
private func timeOrder(_ order: any SampleOrder, positions: Int) -> JSONValue {
    bestSeconds {
        let sequence = order.sequence(epoch: 1)
        var sum = 0
        for start in stride(from: 0, to: positions, by: 4096) {
            for sample in sequence.samples(at: start..<min(start + 4096, positions)) { sum &+= sample.index }
        }
        return sum
    }
}

private func timePacking(_ request: Request) throws -> JSONValue {
    let lengths = try request.ints("lengths")
    let tokens = try request.int("tokens")
    let window = try request.int("window")
    var bins = 0
    let time = try bestSeconds {
        var packer = WindowPacker<Int>(tokensPerBin: tokens, window: window)
        bins = 0
        for (item, length) in lengths.enumerated() where try packer.append(item, tokens: length) != nil { bins += 1 }
        while packer.next() != nil { bins += 1 }
        return bins
    }
    return ["time": time, "bins": JSONValue(bins)]
}

/// The originals' packer, with a microbatch of so many sequences as give a row of `tokens` tokens.
private func timeGreedyPacking(_ request: Request) throws -> JSONValue {
    let sequences = try request.ints("lengths").map { [Int32](repeating: 7, count: $0) }
    let microbatch = try request.int("microbatch")
    let batch = try request.int("rows") * microbatch
    var rows = 0
    let time = try bestSeconds {
        var position = 0
        var packer = try GreedyBestFitPacker(
            deviceBatch: batch,
            microbatch: microbatch,
            maxTokens: try request.int("tokens") / microbatch
        ) {
            guard position < sequences.count else { return nil }
            defer { position += batch }
            return Array(sequences[position..<min(position + batch, sequences.count)])
        }
        rows = 0
        var tokens = 0
        while let packed = try packer.next() {
            rows += packed.inputIDs.count
            tokens += packed.inputIDs.reduce(0) { $0 + $1.count { $0 == 7 } }
        }
        return tokens
    }
    return ["time": time, "rows": JSONValue(rows)]
}

private func timeObjective(_ request: Request) throws -> JSONValue {
    let samples = try request.ints("lengths").enumerated().map { index, length in
        TokenSample(
            reference: SampleReference(index: index, pass: 0),
            ids: (0..<length).map { Int32(($0 * 31 + index) % 50_000) }
        )
    }
    let objective: any LanguageModelObjective =
        try request.string("objective") == "causal" ? CausalObjective() : MaskedObjective(probability: 0.3, seed: 1)
    return bestSeconds {
        stride(from: 0, to: samples.count, by: 16).reduce(0) { sum, start in
            sum + objective.batch(Array(samples[start..<min(start + 16, samples.count)])).labelledCount
        }
    }
}

/// Shuffled, masked and packed batches of an MDS data set, through a prefetching thread.
private func timeLoading(_ request: Request) throws -> JSONValue {
    let dataset = try MDSDataset(folder: try request.string("folder"))
    let steps = try request.int("steps")
    let budget = try request.int("tokens")
    let batch = try request.int("batch")
    return try bestSeconds {
        let objective = try MaskedObjective(probability: 0.3, seed: 1)
        var loader = try BatchLoader(
            dataset,
            batches: try GlobalBatches(KeyedOrder(count: dataset.sampleCount, seed: 1), remainder: .dropped),
            BatchLoader.Settings(
                preparation: SamplePreparation(maxTokens: 1024, appendsEnd: false),
                readings: [SampleReading(appendsEnd: true, objective: objective)],
                batchSize: .constant(batch),
                microbatchSize: .tokens(budget)
            )
        )
        let prefetcher = Prefetcher(capacity: 4) { try loader.next() }
        var tokens = 0
        for _ in 0..<steps {
            guard let batch = try prefetcher.next() else { break }
            tokens += batch.readings[0].reduce(0) { $0 + $1.packed.tokenCount }
        }
        return tokens
    }
}

/// Reads columns of a Parquet file to values, all rows.
private func timeParquet(_ request: Request) throws -> JSONValue {
    let path = try request.string("path")
    let column = try request.string("column")
    return try bestSeconds {
        var rows = try ParquetFile(path: path).rows(of: [column])
        var bytes = 0
        while let values = try rows.next() {
            switch values[0] {
            case .string(let text): bytes += text.utf8.count
            case .list(let elements): bytes += 4 * elements.count
            default: throw RequestError()
            }
        }
        return bytes
    }
}

func timing(_ request: Request) throws -> JSONValue {
    switch try request.string("what") {
    case "keyed":
        let order = KeyedOrder(count: try request.int("count"), seed: 1)
        return timeOrder(order, positions: try request.int("positions"))
    case "numpy":
        let order = NumPyPermutationOrder(count: try request.int("count"), seed: 1)
        return bestSeconds { order.permutation(epoch: 0).sample(at: 0).index }
    case "mixture":
        let sources = try request.ints("drawn").map { try MixtureSource(count: max(1, $0), drawn: $0) }
        return timeOrder(MixedOrder(sources, seed: 1), positions: try request.int("positions"))
    case "pack": return try timePacking(request)
    case "greedy": return try timeGreedyPacking(request)
    case "objective": return try timeObjective(request)
    case "parquet": return try timeParquet(request)
    case "load": return try timeLoading(request)
    default: throw RequestError()
    }
}
