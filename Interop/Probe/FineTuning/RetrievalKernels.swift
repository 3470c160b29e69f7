// Times what sparse and late interaction models add to a training step, forward and backward, and says what memory it takes:
//
//   ettin-probe bench-splade kernel|composed DTYPE THREADS max|sum SEQUENCES TOKENS HIDDEN VOCABULARY ROUNDS
//   ettin-probe bench-splade step DTYPE THREADS kept|recomputed SIZE SEQUENCES TOKENS ROUNDS
//   ettin-probe bench-maxsim kernel|composed THREADS QUERIES ROWS DOCUMENTS ROWS WIDTH ROUNDS
//
// A `step` is one of the whole model of a size: the loss with in-batch negatives and FLOPS regularisers, its gradients and
// AdamW. Memory is the most that the process held in a round beyond what it held before: parameters, gradients and moments
// for `step`, operands and gradients of weights for the others.

import EttinJSON
import EttinModel
import EttinPrimitives
import Torch

private func random(_ shape: [Int], _ stream: UInt64, scale: Float) -> Tensor {
    let count = shape.reduce(1, *)
    return (Tensor(Philox(seed: 1, stream: stream).uniforms(count: count), shape: shape) * 2 - 1) * Double(scale)
}

/// Prints the seconds and the memory of some rounds, a line each.
private func report(rounds: Int, _ body: () throws -> [String: JSONValue]) throws {
    for _ in 0..<rounds {
        TorchRuntime.releaseKeptMemory()
        PeakMemory.reset()
        let before = PeakMemory.bytes
        var values = try body()
        values["megabytes"] = JSONValue(Double(PeakMemory.bytes - before) / 1e6)
        print(JSONValue.object(JSONObject(values.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })).text())
    }
}

private func pooling(
    isComposed: Bool,
    _ dtype: DType,
    isSum: Bool,
    _ sizes: (sequences: Int, tokens: Int, hidden: Int, vocabulary: Int),
    rounds: Int
) throws {
    let rows = sizes.sequences * sizes.tokens
    let hidden = random([rows, sizes.hidden], 1, scale: 1).to(dtype)
    let weight = random([sizes.vocabulary, sizes.hidden], 2, scale: 0.05)
    let bias = random([sizes.vocabulary], 3, scale: 0.05)
    let above = random([sizes.sequences, sizes.vocabulary], 4, scale: 1)
    let ends = (0...sizes.sequences).map { Int32($0 * sizes.tokens) }
    for leaf in [hidden, weight, bias] { leaf.setRequiresGradient(true) }
    // As in a step, where the weight has a gradient already.
    (weight.sum() * 0).backward()
    try report(rounds: rounds) {
        hidden.clearGradient()
        var pooled = hidden
        let forward = seconds {
            pooled = hidden.spladePooled(
                weight: weight,
                bias: bias,
                cuSeqlens: ends,
                rule: SpladePoolingRule(isSum: isSum),
                isComposed: isComposed
            )
        }
        let backward = seconds { pooled.backward(above) }
        let weights = try pooled.detached().array(of: Float.self)
        let active = Double(weights.count { $0 > 0 }) / Double(weights.count)
        return ["forward": JSONValue(forward), "backward": JSONValue(backward), "active": JSONValue(active)]
    }
}

private func steps(
    _ precision: Precision,
    recomputes: Bool,
    _ size: EttinSize,
    _ sizes: (sequences: Int, tokens: Int),
    rounds: Int
) throws {
    let model = LanguageModel(.ettin(size: size, kind: .encoder))
    model.initialize(.fullMegatron, seed: 1)
    model.setRequiresGradient(true)
    let optimizer = AdamW(model.parameters.map(\.tensor), learningRate: 1e-5)
    TorchRuntime.setKeptMemoryLimit(bytes: Int.max)
    let ids = Philox(seed: 1, stream: 5).uniforms(count: sizes.sequences * sizes.tokens).map { Int32($0 * 50_000) }
    let batch = PackedBatch(
        (0..<sizes.sequences).map { Array(ids[$0 * sizes.tokens..<($0 + 1) * sizes.tokens]) }
    )
    let half = sizes.sequences / 2
    func step(_ index: Int) throws -> Double {
        try withRecovery {
            var training = DropoutContext(step: index, recomputesActivations: recomputes)
            training.isSlice = true
            let hidden = model.trunk(batch, training: training, precision: precision)
            let pooled = model.spladePooled(hidden, of: batch, training: training, rule: SpladePoolingRule())
            let (queries, documents) = (
                pooled.narrowed(along: 0, from: 0, count: half), pooled.narrowed(along: 0, from: half, count: half)
            )
            let scores = queries.matmul(documents.transposed(0, 1))
            let flops = (pooled.sum(along: 0) / Double(sizes.sequences)).power(2).sum()
            let loss = scores.crossEntropy(Tensor.arange(0..<half)) + flops * 3e-5
            loss.backward()
            optimizer.step()
            let value = try loss.scalar()
            // Zero, not none, so that every round begins with gradients in memory.
            for (_, tensor) in model.parameters { tensor.gradient?.assign(.zeros([])) }
            return value
        }
    }
    // Makes gradients and moments.
    _ = try step(0)
    try report(rounds: rounds) {
        var loss = 0.0
        let time = try seconds { loss = try step(1) }
        return ["seconds": JSONValue(time), "loss": JSONValue(loss)]
    }
}

func runSpladeTiming(_ arguments: [String]) throws {
    let usage = """
        usage: ettin-probe bench-splade kernel|composed DTYPE THREADS max|sum SEQUENCES TOKENS HIDDEN VOCABULARY ROUNDS
               ettin-probe bench-splade step DTYPE THREADS kept|recomputed SIZE SEQUENCES TOKENS ROUNDS
        """
    guard arguments.count >= 8, ["float32", "bfloat16"].contains(arguments[1]),
        let threads = Int(arguments[2]), threads > 0
    else { endWithUsage(usage) }
    TorchRuntime.setThreadCount(threads)
    if arguments[0] == "step" {
        let numbers = arguments[5...].compactMap(Int.init)
        guard ["kept", "recomputed"].contains(arguments[3]), let size = EttinSize(named: arguments[4]),
            numbers.count == 3, numbers[0] % 2 == 0
        else { endWithUsage(usage) }
        return try steps(
            arguments[1] == "float32" ? .full : .mixedBFloat16,
            recomputes: arguments[3] == "recomputed",
            size,
            (numbers[0], numbers[1]),
            rounds: numbers[2]
        )
    }
    let numbers = arguments[4...].compactMap(Int.init)
    guard ["kernel", "composed"].contains(arguments[0]), ["max", "sum"].contains(arguments[3]), numbers.count == 5
    else { endWithUsage(usage) }
    try pooling(
        isComposed: arguments[0] == "composed",
        arguments[1] == "float32" ? .float32 : .bfloat16,
        isSum: arguments[3] == "sum",
        (numbers[0], numbers[1], numbers[2], numbers[3]),
        rounds: numbers[4]
    )
}

func runMaxSimTiming(_ arguments: [String]) throws {
    let numbers = arguments.dropFirst().compactMap(Int.init)
    guard let way = arguments.first, ["kernel", "composed"].contains(way), numbers.count == 7,
        numbers.allSatisfy({ $0 > 0 })
    else {
        endWithUsage("usage: ettin-probe bench-maxsim kernel|composed THREADS QUERIES ROWS DOCUMENTS ROWS WIDTH ROUNDS")
    }
    TorchRuntime.setThreadCount(numbers[0])
    let (queryCount, queryRows, documentCount, documentRows) = (numbers[1], numbers[2], numbers[3], numbers[4])
    let queries = random([queryCount * queryRows, numbers[5]], 1, scale: 0.1)
    let documents = random([documentCount * documentRows, numbers[5]], 2, scale: 0.1)
    let above = random([queryCount, documentCount], 3, scale: 1)
    for leaf in [queries, documents] { leaf.setRequiresGradient(true) }
    try report(rounds: numbers[6]) {
        for leaf in [queries, documents] { leaf.clearGradient() }
        var scores = queries
        let forward = seconds {
            scores = maxSim(
                queries: queries,
                cuQueries: (0...queryCount).map { Int32($0 * queryRows) },
                documents: documents,
                cuDocuments: (0...documentCount).map { Int32($0 * documentRows) },
                pairs: .all,
                competesWithZero: nil,
                isComposed: way == "composed"
            )
        }
        let backward = seconds { scores.backward(above) }
        return ["forward": JSONValue(forward), "backward": JSONValue(backward)]
    }
}
