import Testing

@testable import Torch

@Suite struct AttentionTests {
    struct Case: CustomStringConvertible, Sendable {
        let lengths: [Int]
        let left: Int?
        let right: Int?
        var description: String { "\(lengths) left \(left ?? -1) right \(right ?? -1)" }
    }

    /// Every path of the operator: unbounded, causal, banded over several blocks, masked, mixed lengths, empty ones.
    static let cases: [Case] = [
        Case(lengths: [5], left: nil, right: nil), Case(lengths: [1, 7, 7, 0, 3], left: nil, right: nil),
        Case(lengths: [6, 2], left: nil, right: 0), Case(lengths: [9], left: 2, right: 2),
        Case(lengths: [300, 300, 4], left: 3, right: 3), Case(lengths: [257], left: 63, right: 0),
        Case(lengths: [1], left: 0, right: 0), Case(lengths: [129], left: 0, right: 0),
        Case(lengths: [300, 5], left: .max, right: .max), Case(lengths: [9, 40], left: .max, right: 0),
        Case(lengths: [40], left: 3, right: .max), Case(lengths: [9], left: Int(Int32.max) - 1, right: Int(Int32.max)),
    ]

    /// float32 has kernels, float64 only the reference that kernels are compared with.
    @Test(arguments: cases, [DType.float32, .float64])
    func equalsTheDefinitionForEachQuery(example: Case, dtype: DType) throws {
        let batch = PackedBatch(example.lengths.map { [Int32](repeating: 0, count: $0) })
        let (heads, width) = (2, 4)
        let count = batch.tokenCount * heads * width
        func values(_ stream: UInt64) -> [Float] {
            Philox(seed: 1, stream: stream).uniforms(count: count).map { $0 * 4 - 2 }
        }
        let (q, k, v) = (values(0), values(1), values(2))
        let shape = [batch.tokenCount, heads, width]
        let output = try Tensor.variableLengthAttention(
            queries: Tensor(q, shape: shape).to(dtype),
            keys: Tensor(k, shape: shape).to(dtype),
            values: Tensor(v, shape: shape).to(dtype),
            lengths: SequenceLengths(cuSeqlens: batch.cuSeqlens),
            window: AttentionWindow(left: example.left, right: example.right)
        ).to(.float32).array(of: Float.self)

        var largest: Float = 0
        for sequence in 0..<batch.sequenceCount {
            let rows = batch.range(of: sequence)
            for row in rows {
                let first = max(rows.lowerBound, example.left.map { row - min($0, 1 << 40) } ?? rows.lowerBound)
                let last = min(rows.upperBound - 1, example.right.map { row + min($0, 1 << 40) } ?? rows.upperBound - 1)
                for head in 0..<heads {
                    func at(_ values: [Float], _ row: Int, _ lane: Int) -> Double {
                        Double(values[(row * heads + head) * width + lane])
                    }
                    // Scores lie within ±8, so the plain exponential is safe; width 4 makes the scale ½.
                    let weights = (first...last).map { key in
                        pow((0..<width).reduce(0) { $0 + at(q, row, $1) * at(k, key, $1) } / 2)
                    }
                    let total = weights.reduce(0, +)
                    for lane in 0..<width {
                        let expected = zip(first...last, weights).reduce(0) { $0 + $1.1 * at(v, $1.0, lane) } / total
                        largest = max(largest, abs(Float(expected) - output[(row * heads + head) * width + lane]))
                    }
                }
            }
        }
        #expect(output.count == count)
        #expect(largest < 1e-5)
    }

    @Test func lengthsAndPlacesOfAFailedScopeTrapInWordsBehindIt() async throws {
        func stops(_ text: String, _ result: ExitTest.Result) {
            let message = String(decoding: result.standardErrorContent, as: UTF8.self)
            #expect(message.contains(text), "\(message)")
        }
        stops(
            "sequence lengths were not made",
            try await #require(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                var lengths: SequenceLengths?
                try? withRecovery {
                    _ = Tensor.uninitialized([1 << 50])
                    lengths = SequenceLengths(cuSeqlens: [0, 1])
                }
                _ = Tensor.variableLengthAttention(
                    projections: .zeros([1, 3, 1, 4]),
                    lengths: try #require(lengths),
                    window: AttentionWindow(left: nil, right: 0)
                )
            }
        )
        stops(
            "cache places were not made",
            try await #require(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                var places: CachePlaces?
                try? withRecovery {
                    _ = Tensor.uninitialized([1 << 50])
                    places = CachePlaces(pages: [[0]], pageSize: 4, counts: [1])
                }
                _ = Tensor.decodingAttention(
                    queries: .zeros([1, 1, 4]),
                    keys: .zeros([1, 4, 1, 4]),
                    values: .zeros([1, 4, 1, 4]),
                    places: try #require(places)
                )
            }
        )
    }

    @Test func countsThatDoNotAgreeTrapInWords() async throws {
        let result = try await #require(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = SequenceLengths(cuSeqlens: [0, 1], keys: [0, 1, 2])
        }
        let message = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(message.contains("2 cumulative lengths of queries, 3 of keys"), "\(message)")
    }

    /// eˣ by the Taylor series of x / 256, squared eight times: keeps the test free of Foundation.
    private func pow(_ x: Double) -> Double {
        let y = x / 256
        var result = 1 + y * (1 + y / 2 * (1 + y / 3 * (1 + y / 4)))
        for _ in 0..<8 { result *= result }
        return result
    }
}
