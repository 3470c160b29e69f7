// Compares the throughput of tasks that share a model with that of one call for all their texts.
//
//   ettin-probe share embed|rerank FOLDER THREADS TASKS TEXTS ROUNDS
//
// Each task asks for as many texts, of 4 to 300 words, in one request after another of 1 to 16. Prints for each round
// {"batch_seconds", "shared_seconds"}, at last {"ratio"}: the median of what the shared model does in the batch call's time.

import EttinInference
import EttinJSON
import EttinPrimitives
import EttinTokenizer
import Foundation
import Torch

private let words = "the of a search model text river stone and light under which year small when over city".split(
    separator: " "
)

private func texts(_ count: Int) -> [String] {
    let numbers = Philox(seed: 7, stream: 0)
    return (0..<count).map { index in
        let length = 4 + Int(Double(numbers.uniform(at: UInt64(index))) * 296)
        return (0..<length).map { words[(index * 31 + $0 * 7) % words.count] }.joined(separator: " ")
    }
}

/// Runs each task's texts through a body, request by request.
private func share(
    _ texts: [String],
    tasks: Int,
    _ body: @escaping @Sendable ([String]) async throws -> Void
) async throws {
    let count = (texts.count + tasks - 1) / tasks
    try await withThrowingTaskGroup(of: Void.self) { group in
        for task in 0..<tasks {
            group.addTask {
                var rest = texts.dropFirst(task * count).prefix(count)
                var number = 0
                while !rest.isEmpty {
                    let request = Array(rest.prefix(1 + (task + number * 5) % 16))
                    try await body(request)
                    rest = rest.dropFirst(request.count)
                    number += 1
                }
            }
        }
        try await group.waitForAll()
    }
}

private func compare(
    rounds: Int,
    batch: () throws -> Void,
    shared: () async throws -> Void
) async throws {
    var ratios: [Double] = []
    try batch()
    try await shared()
    for _ in 0..<rounds {
        let clock = ContinuousClock()
        let batchSeconds = try clock.measure(batch) / .seconds(1)
        let sharedSeconds = try await clock.measure(shared) / .seconds(1)
        ratios.append(batchSeconds / sharedSeconds)
        send(["batch_seconds": JSONValue(batchSeconds), "shared_seconds": JSONValue(sharedSeconds)])
    }
    send(["ratio": JSONValue(ratios.sorted()[ratios.count / 2])])
}

/// Runs the subcommand `share`.
func runSharing(_ arguments: [String]) async throws {
    let numbers = arguments.dropFirst(2).compactMap { Int($0) }.filter { $0 > 0 }
    guard arguments.count == 6, numbers.count == 4 else {
        throw ProbeError("unknown call; see the head of Interop/Probe/Sharing.swift")
    }
    TorchRuntime.setThreadCount(numbers[0])
    let (tasks, texts, rounds) = (numbers[1], texts(numbers[2]), numbers[3])
    let (folder, url) = (arguments[1], URL(filePath: arguments[1]))
    switch arguments[0] {
    case "embed":
        let pipeline = try TextEmbeddingPipeline(folder: folder)
        let encoder = try await TextEncoder(folder: url)
        try await compare(rounds: rounds) {
            _ = try pipeline.encode(texts)
        } shared: {
            try await share(texts, tasks: tasks) { _ = try await encoder.encode($0) }
        }
    case "rerank":
        let query = "what is the capital of france"
        let pipeline = try RerankingPipeline(folder: folder)
        let reranker = try await Reranker(folder: url)
        try await compare(rounds: rounds) {
            _ = try pipeline.predict(texts.map { TextPair(query, $0) })
        } shared: {
            try await share(texts, tasks: tasks) { _ = try await reranker.predict($0.map { TextPair(query, $0) }) }
        }
    default: throw ProbeError("no work \(arguments[0])")
    }
}
