// Measures exact search on random vectors, beside the plain products it consists of.
//
//   ettin-probe search QUERIES DOCUMENTS DIMENSIONS K SIMILARITY PRECISION
//
// Prints {"search_seconds", "search_gflops", "packed_gflops", "plain_gflops"}: the whole search, the same products with
// packed blocks alone, and those of libtorch, each two operations for a multiplication.

import EttinEvaluation
import EttinInference
import EttinJSON
import EttinModel
import EttinPrimitives
import Torch

func runSearch(_ arguments: [String]) throws {
    let numbers = arguments.prefix(4).compactMap { Int($0) }
    guard arguments.count == 6, numbers.count == 4, numbers.allSatisfy({ $0 > 0 }),
        let similarity = EmbeddingSimilarity(rawValue: arguments[4]),
        let precision = SearchPrecision(rawValue: arguments[5])
    else { throw ProbeError("unknown call; see the head of Interop/Probe/Search.swift") }
    let (queryCount, count, width, k) = (numbers[0], numbers[1], numbers[2], numbers[3])
    let (queries, corpus) = (vectors(queryCount, width, seed: 1), vectors(count, width, seed: 2))
    let operations = 2 * Double(queryCount) * Double(count) * Double(width)
    var found = 0
    let searchSeconds = try seconds {
        found = try ExactSearch(corpus: corpus, similarity: similarity, precision: precision)
            .topK(queries, k: k).reduce(0) { $0 + $1.count }
    }
    guard found == queryCount * min(k, count) else { throw ProbeError("found \(found) of \(queryCount * k)") }
    // The products of one block of queries and one of the corpus, again and again.
    let (rows, columns) = (min(queryCount, 512), min(count, 2048))
    let repeats = max(1, Int(operations / (2 * Double(rows) * Double(columns) * Double(width)) / 8))
    var rates: [Double] = []
    try withRecovery {
        try withoutGradients {
            let left = Tensor(Array(queries.values[..<(rows * width)]), shape: [rows, width])
            let right = Tensor(Array(corpus.values[..<(columns * width)]), shape: [columns, width])
            let packed = PrepackedWeight(right, precision: precision == .bfloat16 ? .bfloat16 : .float32)
            for product in [{ left.linear(packed, dtype: .float32) }, { left.linear(right) }] {
                let time = try seconds {
                    for _ in 0..<repeats {
                        // A device may still be computing; reading waits for it.
                        _ = try product().narrowed(along: 0, from: 0, count: 1).array(of: Float.self)
                    }
                }
                rates.append(2 * Double(repeats * rows) * Double(columns) * Double(width) / time / 1e9)
            }
        }
    }
    send([
        "search_seconds": JSONValue(searchSeconds), "search_gflops": JSONValue(operations / searchSeconds / 1e9),
        "packed_gflops": JSONValue(rates[0]), "plain_gflops": JSONValue(rates[1]),
    ])
}

private func vectors(_ count: Int, _ width: Int, seed: UInt64) -> TextEmbeddings {
    TextEmbeddings(
        values: Philox(seed: seed).uniforms(count: count * width).map { $0 - 0.5 },
        dimensions: width,
        isTruncated: [Bool](repeating: false, count: count)
    )
}
