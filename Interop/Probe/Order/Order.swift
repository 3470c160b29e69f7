// Runs generators, orders, partitions and the packer for the comparisons with the Python libraries in Interop/test_order.py, and
// times them for Benchmarks/corpus/benchmark_order.py.
//
// Each line of the standard input is a request in JSON, each line of the standard output its answer.

import EttinCorpus
import EttinJSON

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#endif

struct RequestError: Error {}

/// The fields of a request; a missing one ends the program.
struct Request {
    let fields: JSONValue

    func int(_ key: String) throws -> Int {
        guard let value = fields[key]?.intValue else { throw RequestError() }
        return value
    }

    func optionalInt(_ key: String) -> Int? { fields[key]?.intValue }

    func unsigned(_ key: String) throws -> UInt64 {
        guard let spelling = fields[key]?.numberValue?.spelling, let value = UInt64(spelling) else {
            throw RequestError()
        }
        return value
    }

    func string(_ key: String) throws -> String {
        guard let value = fields[key]?.stringValue else { throw RequestError() }
        return value
    }

    func ints(_ key: String) throws -> [Int] {
        guard let values = fields[key]?.arrayValue?.compactMap(\.intValue) else { throw RequestError() }
        return values
    }

    func requests(_ key: String) throws -> [Request] {
        guard let values = fields[key]?.arrayValue else { throw RequestError() }
        return values.map { Request(fields: $0) }
    }
}

extension JSONValue {
    init(_ values: some Sequence<Int>) { self = .array(values.map { JSONValue($0) }) }
    init(_ value: UInt64) { self = .number(JSONNumber(value)) }
}

private func numpy(_ request: Request) throws -> JSONValue {
    let variant: PCG64.Variant = try request.string("bits") == "PCG64DXSM" ? .dxsm : .rotated
    var generator = NumPyGenerator(seed: try request.unsigned("seed"), variant: variant)
    return .array(
        try request.requests("draws").map { draw in
            switch try draw.string("draw") {
            case "raw": JSONValue(generator.next64())
            case "random": JSONValue(generator.random())
            case "uniform": JSONValue(generator.uniform(Double(try draw.int("low")), Double(try draw.int("high"))))
            case "integers": JSONValue(generator.integer(in: try draw.int("low")..<draw.int("high")))
            case "permutation": JSONValue(generator.permutation(try draw.int("count")))
            default: throw RequestError()
            }
        }
    )
}

private func legacy(_ request: Request) throws -> JSONValue {
    var generator = NumPyLegacyGenerator(seed: UInt32(try request.int("seed")))
    return JSONValue(try request.ints("limits").map { generator.integer(in: 0..<$0) })
}

private func python(_ request: Request) throws -> JSONValue {
    var generator = PythonGenerator(seed: try request.unsigned("seed"))
    return .array(
        try request.requests("draws").map { draw in
            switch try draw.string("draw") {
            case "random": return JSONValue(generator.random())
            case "bits": return JSONValue(generator.bits(try draw.int("count")))
            case "choice": return JSONValue(generator.choice(Array(0..<(try draw.int("count")))))
            case "shuffle":
                var values = Array(0..<(try draw.int("count")))
                generator.shuffle(&values)
                return JSONValue(values)
            default: throw RequestError()
            }
        }
    )
}

private func permutation(_ request: Request) throws -> JSONValue {
    let order = NumPyPermutationOrder(count: try request.int("count"), seed: try request.unsigned("seed"))
    let indices = order.permutation(epoch: try request.int("epoch")).indices
    let worldSize = try request.int("world_size")
    return .array(
        try (0..<worldSize).map { rank in
            let positions = RankPositions(
                of: indices.count,
                rank: rank,
                worldSize: worldSize,
                remainder: try request.int("drop_last") == 1 ? .dropped : .padded
            )
            return JSONValue((0..<positions.count).map { indices[positions[$0]] })
        }
    )
}

private func shuffle(_ request: Request) throws -> JSONValue {
    guard let algorithm = StreamingOrder.Algorithm(rawValue: try request.string("algorithm")) else {
        throw RequestError()
    }
    let shuffle = try StreamingShuffle(
        algorithm,
        canonicalNodes: try request.int("nodes"),
        seed: try request.unsigned("seed"),
        blockSize: request.optionalInt("block")
    )
    return JSONValue(shuffle.order(of: try request.ints("sizes"), epoch: try request.int("epoch")))
}

/// The batches of epochs as a streaming loader gives them out, and of the rest of an epoch after a state.
private func loader(_ request: Request) throws -> JSONValue {
    let shape = ElasticPartition.Shape(
        physicalNodes: try request.int("physical"),
        ranksPerNode: try request.int("ranks"),
        workersPerRank: 1,
        batchSize: try request.int("batch")
    )
    let order = try StreamingOrder(
        streams: try request.requests("streams").map { stream in
            var weight = MDSStreams.Weight.once
            if let share = stream.fields["proportion"]?.doubleValue { weight = .proportion(share) }
            if let times = stream.fields["repeat"]?.doubleValue { weight = .repeated(times) }
            if let count = stream.optionalInt("choose") { weight = .samples(count) }
            return StreamingSource(shardSizes: try stream.ints("sizes"), weight: weight)
        },
        algorithm: StreamingOrder.Algorithm(rawValue: try request.string("algorithm")),
        canonicalNodes: try request.int("canonical"),
        seed: try request.unsigned("seed"),
        blockSize: request.optionalInt("block"),
        sampling: StreamingSampling(
            method: try request.string("sampling") == "fixed" ? .fixed : .balanced,
            granularity: try request.int("granularity"),
            epochSize: request.optionalInt("epoch_size")
        ),
        shape: shape
    )
    if let state = request.fields["state"] {
        let state = Request(fields: state)
        let rest = try order.sequence(
            resuming: StreamingState(
                epoch: try state.int("epoch"),
                sampleInEpoch: try state.int("sample_in_epoch"),
                canonicalNodes: try state.int("num_canonical_nodes"),
                shuffleSeed: try state.unsigned("shuffle_seed"),
                initialPhysicalNodes: state.optionalInt("initial_physical_nodes")
            ),
            shape: shape
        )
        return JSONValue(rest.samples(at: 0..<rest.count).map(\.index))
    }
    let size = shape.batchSize * shape.physicalNodes * shape.ranksPerNode
    let epochs = try request.int("epochs")
    var batches = try GlobalBatches(order, remainder: try request.int("drop_last") == 1 ? .dropped : .kept)
    var result: [JSONValue] = []
    while true {
        let batch = try batches.next(size: size)
        guard batches.position.epoch < epochs else { return .array(result) }
        result.append(JSONValue(batch.map(\.index)))
    }
}

/// All positions, batch after batch for each worker of each rank of each node; -1 for none.
private func partition(_ request: Request) throws -> JSONValue {
    let shape = ElasticPartition.Shape(
        physicalNodes: try request.int("physical"),
        ranksPerNode: try request.int("ranks"),
        workersPerRank: try request.int("workers"),
        batchSize: try request.int("batch")
    )
    let partition = try ElasticPartition(
        samples: try request.int("samples"),
        canonicalNodes: try request.int("canonical"),
        shape: shape,
        seen: try request.int("seen"),
        initialPhysicalNodes: request.optionalInt("initial")
    )
    var positions: [Int] = []
    for node in 0..<shape.physicalNodes {
        for rank in 0..<shape.ranksPerNode {
            for worker in 0..<shape.workersPerRank {
                for batch in 0..<partition.batchesPerWorker {
                    for slot in 0..<shape.batchSize {
                        let position =
                            partition.position(node: node, rank: rank, worker: worker, batch: batch, slot: slot)
                        positions.append(position ?? -1)
                    }
                }
            }
        }
    }
    return JSONValue(positions)
}

/// All batches of the originals' packer, with their masks; token ids are consecutive numbers from 1, padding is 0.
private func pack(_ request: Request) throws -> JSONValue {
    var token: Int32 = 0
    let sequences = try request.ints("lengths").map { length in
        (0..<length).map { _ in
            token += 1
            return token
        }
    }
    let batch = try request.int("batch")
    var position = 0
    var packer = try GreedyBestFitPacker(
        deviceBatch: batch,
        microbatch: try request.int("microbatch"),
        maxTokens: try request.int("tokens"),
        capacity: try request.int("capacity"),
        padding: 0
    ) {
        guard position < sequences.count else { return nil }
        defer { position += batch }
        return Array(sequences[position..<min(position + batch, sequences.count)])
    }
    var masking = PackedRowMasking(
        probability: 0.3,
        seed: try request.unsigned("seed"),
        epoch: try request.int("epoch"),
        specials: SpecialTokens(padding: 0, mask: Int32(try request.int("mask")))
    )
    func rows(_ values: [[Int32]]) -> JSONValue { .array(values.map { JSONValue($0.map { Int($0) }) }) }
    var batches: [JSONValue] = []
    while let packed = try packer.next() {
        let masked = masking.masked(packed)
        let parts = [packed.inputIDs, packed.cuSeqlens, masked.inputIDs, masked.labels]
        batches.append(.array(parts.map(rows)))
    }
    return .array(batches)
}

private func answer(_ request: Request) throws -> JSONValue {
    switch try request.string("do") {
    case "numpy": try numpy(request)
    case "legacy": try legacy(request)
    case "python": try python(request)
    case "permutation": try permutation(request)
    case "shuffle": try shuffle(request)
    case "loader": try loader(request)
    case "partition": try partition(request)
    case "pack": try pack(request)
    case "time": try timing(request)
    default: throw RequestError()
    }
}

func runOrder() {
    while let line = readLine() {
        do {
            print(try answer(Request(fields: try JSONValue(parsing: line))))
        } catch let error as CorpusError {
            print(["error": .string(error.description)] as JSONValue)
        } catch {
            print("bad request: \(line)")
            exit(1)
        }
    }
}
