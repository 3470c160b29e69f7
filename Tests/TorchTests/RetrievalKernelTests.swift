import Foundation
import Testing

@testable import Torch

// In the suite of the other kernels, which tries every instruction set too.
extension AttentionKernelTests {
    /// Numbers between −1 and 1 that depend on the seed alone.
    private static func numbers(_ count: Int, seed: Int) -> [Float] {
        (0..<count).map { Float(sin(Double(seed * 7919 + $0 * $0 % 9973 + 3 * $0))) }
    }

    private static func largestDifference(_ a: Tensor, _ b: Tensor) throws -> Float {
        try (a.to(.float32) - b.to(.float32)).array(of: Float.self).map(\.magnitude).max() ?? 0
    }

    @Test(arguments: sets)
    func spladePoolingEqualsItsReference(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        // Widths and vocabularies that fill no tile, sequences longer and shorter than a block of rows, and empty ones.
        for (width, vocabulary, lengths) in [(7, 5, [1]), (32, 200, [3, 0, 12, 1]), (48, 131, [250, 1, 33])] {
            let rows = lengths.reduce(0, +)
            let ends = lengths.reduce(into: [Int32(0)]) { $0.append($0[$0.count - 1] + Int32($1)) }
            let hidden = Tensor(Self.numbers(rows * width, seed: width), shape: [rows, width])
            let weight = Tensor(Self.numbers(vocabulary * width, seed: vocabulary), shape: [vocabulary, width])
            let bias = Tensor(Self.numbers(vocabulary, seed: 5))
            for rule in [
                SpladePoolingRule(), SpladePoolingRule(takesLogarithmTwice: true), SpladePoolingRule(isSum: true),
            ] {
                let expected = hidden.spladePooled(
                    weight: weight,
                    bias: bias,
                    cuSeqlens: ends,
                    rule: rule,
                    chunkRows: 20,
                    isComposed: true
                )
                for (precision, tolerance) in [(ComputeDType.float32, Float(2e-6)), (.bfloat16, 0.03)] {
                    let packed = PrepackedWeight(weight, bias: bias, precision: precision)
                    let pooled = hidden.spladePooled(packed, cuSeqlens: ends, rule: rule)
                    #expect(pooled.shape == [lengths.count, vocabulary])
                    let most = try expected.array(of: Float.self).max() ?? 0
                    #expect(
                        try Self.largestDifference(pooled, expected) <= tolerance * max(1, most),
                        "\(precision) \(rule)"
                    )
                }
            }
        }
    }

    @Test(arguments: sets)
    func theLogarithmOfSmallAndLargeLogitsIsExact(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        let logits: [Float] = [-3, 0, 1e-30, 1e-7, 1e-4, 0.3, 0.41421, 0.4143, 1, 3, 100, 1e6, 1e20, 3e38]
        let weight = Tensor(logits, shape: [logits.count, 1])
        let packed = PrepackedWeight(weight, precision: .float32)
        let ones = Tensor([1] as [Float], shape: [1, 1])
        let values = try ones.spladePooled(packed, cuSeqlens: [0, 1], rule: SpladePoolingRule()).array(of: Float.self)
        for (logit, value) in zip(logits, values) {
            let expected = log1p(Double(max(0, logit)))
            #expect(abs(Double(value) - expected) <= 4e-7 * expected, "\(logit): \(value)")
        }
    }

    @Test(arguments: sets)
    func spladeKeepsWhatIsNotANumber(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        for precision in [ComputeDType.float32, .bfloat16] {
            for isSum in [false, true] {
                var hidden = [Float](repeating: 1, count: 8 * 4)
                hidden[2 * 4] = .nan
                var bias = [Float](repeating: 0, count: 70)
                (bias[3], bias[69]) = (-.infinity, .infinity)
                let packed = PrepackedWeight(
                    Tensor([Float](repeating: 1, count: 70 * 4), shape: [70, 4]),
                    bias: Tensor(bias),
                    precision: precision
                )
                let values = try Tensor(hidden, shape: [8, 4])
                    .spladePooled(packed, cuSeqlens: [0, 5, 8], rule: SpladePoolingRule(isSum: isSum))
                    .array(of: Float.self)
                #expect(values[..<70].allSatisfy { $0.isNaN }, "a token of the first sequence")
                #expect(values[70] > 0 && values[73] == 0 && values[70 + 68] > 0, "a banned entry weighs nothing")
                #expect(!values[70 + 69].isFinite)
            }
        }
    }

    @Test(arguments: sets)
    func maxSimEqualsItsReference(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        // Queries of less than a vector, of every number of vectors and of several panels; documents of any length.
        let queries = [1, 7, 20, 40, 60, 130], documents = [3, 1, 0, 75, 6, 19]
        func ends(_ lengths: [Int]) -> [Int32] {
            lengths.reduce(into: [Int32(0)]) { $0.append($0[$0.count - 1] + Int32($1)) }
        }
        for width in [1, 6, 16, 48] {
            let (q, d) = (queries.reduce(0, +), documents.reduce(0, +))
            let (left, right) = (Self.numbers(q * width, seed: 1), Self.numbers(d * width, seed: 2))
            let products = try Tensor(left, shape: [q, width])
                .matmul(Tensor(right, shape: [d, width]).transposed(0, 1)).array(of: Float.self)
            func expected(_ query: Int, _ document: Int) -> Float {
                let columns = ends(documents)[document]..<ends(documents)[document + 1]
                if columns.isEmpty { return -1e9 }
                return (ends(queries)[query]..<ends(queries)[query + 1]).reduce(0) { sum, row in
                    sum + (columns.map { products[Int(row) * d + Int($0)] }.max() ?? .nan)
                }
            }
            for isPairwise in [false, true] {
                let scores = maxSimScores(
                    queries: left,
                    ends(queries),
                    documents: right,
                    ends(documents),
                    width: width,
                    isPairwise: isPairwise
                )
                #expect(scores.count == (isPairwise ? 6 : 36))
                for (place, score) in scores.enumerated() {
                    let query = isPairwise ? place : place / documents.count
                    // A product of `width` terms of at most 1, added up over the query's rows.
                    let tolerance = 1e-5 * Float(width * queries[query])
                    #expect(abs(score - expected(query, place % documents.count)) <= tolerance)
                }
            }
        }
        let spoiled = maxSimScores(queries: [1, 2], [0, 2], documents: [.nan, 5, 1], [0, 2, 3], width: 1)
        #expect(spoiled[0].isNaN && spoiled[1] == 3)
    }

    @Test func maxSimGivesTheOriginalsNumbers() {
        // spec/finetune-colbert.md, section H: without masks.
        let queries: [Float] = [1, 0, 0, 0.6, 0.8, 0, 0, 1, 0, 0, 0.6, 0.8]
        let documents: [Float] = [0.8, 0.6, 0, 0, 0, 1, 0, 0, 0, 0, -1, 0, -0.6, 0, 0.8, -0.8, -0.6, 0]
        let scores = maxSimScores(queries: queries, [0, 2, 4], documents: documents, [0, 3, 6], width: 3)
        for (score, expected) in zip(scores, [1.76, -0.36, 1.4, 0.64] as [Float]) {
            #expect(abs(score - expected) < 1e-6)
        }
        let pairs = maxSimScores(
            queries: queries,
            [0, 2, 4],
            documents: documents,
            [0, 3, 6],
            width: 3,
            isPairwise: true
        )
        #expect(abs(pairs[0] - 1.76) < 1e-6 && abs(pairs[1] - 0.64) < 1e-6)
        // An empty document is worse than any other.
        #expect(maxSimScores(queries: [-5], [0, 1], documents: [7], [0, 0, 1], width: 1) == [-1e9, -35])
    }

    @Test(arguments: sets)
    func keysThatAreNotAttendedToAreSeenByNobody(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        let (heads, width) = (2, 16), lengths = [40, 12, 300, 5], attended: [Int32] = [7, 12, 290, 1]
        let ends = lengths.reduce(into: [Int32(0)]) { $0.append($0[$0.count - 1] + Int32($1)) }
        let tokens = lengths.reduce(0, +)
        let values = Self.numbers(tokens * 3 * heads * width, seed: 3)
        let angles = Self.numbers(tokens * width / 2, seed: 4)
        let rotation = Rotation(
            cosines: Tensor(angles.map { cos($0) }, shape: [tokens, width / 2]),
            sines: Tensor(angles.map { sin($0) }, shape: [tokens, width / 2])
        )
        for (dtype, tolerance) in [(DType.float32, Float(1e-5)), (.bfloat16, 0.02)] {
            let packed = Tensor(values, shape: [tokens, 3, heads, width]).to(dtype)
            func mixed(_ window: AttentionWindow, _ keys: [Int32]?, gradients: Bool) throws -> Tensor {
                let lengths = SequenceLengths(cuSeqlens: ends, attendedKeys: keys)
                // What gradients go through is composed of libtorch's operators.
                let input = packed.copy()
                input.setRequiresGradient(gradients)
                return Tensor.variableLengthAttention(
                    projections: input,
                    lengths: lengths,
                    window: window,
                    rotation: rotation
                )
            }
            for window in [AttentionWindow(left: nil, right: nil), AttentionWindow(left: 8, right: 8)] {
                let fused = try mixed(window, attended, gradients: false)
                let composed = try mixed(window, attended, gradients: true).detached()
                #expect(try Self.largestDifference(fused, composed) <= tolerance)
                #expect(try Self.largestDifference(fused, mixed(window, nil, gradients: false)) > 0.01)
                let whole = try mixed(window, lengths.map { Int32($0) }, gradients: false)
                #expect(try Self.largestDifference(whole, mixed(window, nil, gradients: false)) == 0)
                // The last query of the first sequence is 32 behind its last key.
                let last = try fused.to(.float32).array(of: Float.self)[39 * heads * width..<40 * heads * width]
                #expect(last.allSatisfy { $0 == 0 } == (window.left != nil))
            }
        }
    }
}
