import Foundation
import Testing

@testable import Torch

/// Kernels against the reference in float64, which `AttentionTests` compares with the definition.
///
/// Memory is the whole process's, so one test runs at a time.
@Suite(.serialized) struct AttentionKernelTests {
    static let sets = InstructionSet.allCases.filter { set in
        let before = InstructionSet.current
        defer { _ = before.use() }
        return set.use()
    }

    static let precisions: [(DType, tolerance: Double)] = [(.float32, 5e-6), (.bfloat16, 1.2e-2)]

    /// Draws shapes and elements from one seed.
    private struct Draw {
        let source: Philox
        var index: UInt64 = 0

        init(seed: UInt64) { source = Philox(seed: seed, stream: 7) }

        mutating func one<Element>(of choices: [Element]) -> Element {
            index += 1
            return choices[min(Int(source.uniform(at: index) * Float(choices.count)), choices.count - 1)]
        }

        mutating func tensor(_ shape: Int..., dtype: DType) -> Tensor {
            index += 1
            let count = shape.reduce(1, *)
            let elements = Philox(seed: 3, stream: index).uniforms(count: count).map { $0 * 4 - 2 }
            return Tensor(elements, shape: shape).to(dtype)
        }
    }

    private struct Example: CustomStringConvertible {
        var queryLengths: [Int] = []
        var keyLengths: [Int] = []
        let heads: Int
        let width: Int
        let window: AttentionWindow
        let isRotated: Bool
        let isPacked: Bool

        var description: String {
            "queries \(queryLengths) keys \(keyLengths) heads \(heads) width \(width) "
                + "left \(window.left ?? -1) right \(window.right ?? -1) rotated \(isRotated) packed \(isPacked)"
        }

        init(_ draw: inout Draw) {
            heads = draw.one(of: [1, 2, 3])
            width = draw.one(of: [32, 48, 64, 80, 96, 128, 7, 18, 33])
            isPacked = draw.one(of: [true, false])
            isRotated = width.isMultiple(of: 2) && draw.one(of: [true, false])
            let bounds: [Int?] = [nil, 0, 1, 5, 31, 64, 65, 200]
            window = AttentionWindow(left: draw.one(of: bounds), right: draw.one(of: [0] + bounds))
            for _ in 0..<draw.one(of: [1, 2, 3, 5]) {
                let keys = draw.one(of: [0, 1, 2, 7, 63, 64, 65, 97, 193, 300])
                keyLengths.append(keys)
                queryLengths.append(isPacked ? keys : draw.one(of: [keys, 0, min(1, keys), keys / 2]))
            }
        }
    }

    private static func cumulative(_ lengths: [Int]) -> [Int32] {
        PackedBatch(lengths.map { [Int32](repeating: 0, count: $0) }).cuSeqlens
    }

    /// The output, and the gradients of everything it was made from.
    private static func results(_ example: Example, _ leaves: [Tensor], rotation: Rotation?, seed: Tensor) -> [Tensor] {
        leaves.forEach { $0.setRequiresGradient(true) }
        let output: Tensor
        if example.isPacked {
            output = .variableLengthAttention(
                projections: leaves[0],
                lengths: SequenceLengths(cuSeqlens: cumulative(example.keyLengths)),
                window: example.window,
                rotation: rotation
            )
        } else {
            // Keys and values are views of one matrix.
            let shape = [leaves[1].size(0), example.heads, example.width]
            let halves = leaves[1].split(into: 2, along: 1).map { $0.reshaped(to: shape) }
            output = .variableLengthAttention(
                queries: leaves[0],
                keys: halves[0],
                values: halves[1],
                lengths: SequenceLengths(
                    cuSeqlens: cumulative(example.queryLengths),
                    keys: cumulative(example.keyLengths)
                ),
                window: example.window,
                rotation: rotation
            )
        }
        (output * seed).sum().backward()
        return [output.detached()] + leaves.map { $0.gradient ?? .zeros($0.shape, $0.dtype) }
    }

    /// The norm of the difference in parts of the norm of what is expected, where that is not near zero.
    private static func error(_ found: Tensor, _ expected: Tensor) throws -> Double {
        if expected.elementCount == 0 { return found.elementCount == 0 ? 0 : .infinity }
        let difference = try (found.to(.float64) - expected).norm().scalar()
        let expectedNorm = try expected.norm().scalar()
        return difference / (expectedNorm + 0.1 * Double(expected.elementCount).squareRoot())
    }

    @Test(arguments: sets, precisions)
    func outputAndGradientsEqualTheReference(set: InstructionSet, precision: (DType, tolerance: Double)) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        let (dtype, tolerance) = precision
        var draw = Draw(seed: 11)
        for _ in 0..<24 {
            let example = Example(&draw)
            let (heads, width) = (example.heads, example.width)
            let (queries, keys) = (example.queryLengths.reduce(0, +), example.keyLengths.reduce(0, +))
            let leaves =
                example.isPacked
                ? [draw.tensor(keys, 3, heads, width, dtype: dtype)]
                : [draw.tensor(queries, heads, width, dtype: dtype), draw.tensor(keys, 2, heads, width, dtype: dtype)]
            let angles = draw.tensor(keys, width / 2, dtype: .float32) * 3
            let rotation = example.isRotated ? Rotation(cosines: angles.cosine(), sines: angles.sine()) : nil
            let seed = draw.tensor(queries, heads, width, dtype: dtype)
            let found = Self.results(example, leaves, rotation: rotation, seed: seed)
            let exact = leaves.map { $0.detached().to(.float64) }
            let expected = Self.results(example, exact, rotation: rotation, seed: seed.to(.float64))
            for (index, pair) in zip(found, expected).enumerated() {
                #expect(pair.0.shape == pair.1.shape)
                let error = try Self.error(pair.0, pair.1)
                #expect(error < tolerance, "\(index == 0 ? "output" : "gradient \(index)") of \(example)")
            }
        }
    }

    @Test(arguments: sets, precisions)
    func decodingEqualsTheReference(set: InstructionSet, precision: (DType, tolerance: Double)) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        let (dtype, tolerance) = precision
        var draw = Draw(seed: 5)
        for counts in [[1], [1, 7, 64, 65], [700, 1, 300], [1500], [130, 130]] as [[Int32]] {
            let (heads, width) = (draw.one(of: [1, 2, 3]), draw.one(of: [32, 64, 80, 128, 18]))
            let pageSize = draw.one(of: [64, 7, Int(counts.max() ?? 0) + 3])
            // Pages of a sequence lie apart, and not in order.
            let pageCounts = counts.map { (Int($0) + pageSize - 1) / pageSize }
            let pageCount = pageCounts.reduce(0, +)
            var unused = (0..<pageCount).map { Int32(pageCount - $0) }
            let pages = pageCounts.map { count in (0..<count).map { _ in unused.remove(at: unused.count / 3) } }
            let projections = draw.tensor(counts.count, 3, heads, width, dtype: dtype)
            let angles = draw.tensor(counts.count, width / 2, dtype: .float32) * 3
            let rotation = Rotation(cosines: angles.cosine(), sines: angles.sine())
            let caches = (0..<2).map { _ in draw.tensor(pageCount + 1, pageSize, heads, width, dtype: dtype) }
            let places = CachePlaces(
                pages: pages,
                pageSize: pageSize,
                counts: counts,
                newPlaces: counts.map { draw.one(of: [0, $0 / 2, $0 - 1]) }
            )
            func step(_ projections: Tensor, _ caches: [Tensor]) -> [Tensor] {
                let stepped = Tensor.decodingStep(
                    projections: projections,
                    rotation: rotation,
                    keys: caches[0],
                    values: caches[1],
                    places: places
                )
                let parts = projections.split(into: 3, along: 1)
                let queries = parts[0].reshaped(counts.count, heads, width)
                let attended = Tensor.decodingAttention(
                    queries: queries,
                    keys: caches[0],
                    values: caches[1],
                    places: places
                )
                return [stepped, attended] + caches
            }
            let exact = caches.map { $0.to(.float64) }
            let found = step(projections, caches.map { $0.copy() })
            let expected = step(projections.to(.float64), exact)
            for (index, pair) in zip(found, expected).enumerated() {
                let error = try Self.error(pair.0, pair.1)
                #expect(error < tolerance, "result \(index) of counts \(counts), heads \(heads), width \(width)")
            }
        }
    }

    @Test(arguments: InstructionSet.allCases)
    func everySetHasTheNumberTheKernelsKnowItBy(set: InstructionSet) {
        let before = InstructionSet.current
        defer { _ = before.use() }
        #expect(set.use() == Self.sets.contains(set))
        #expect(InstructionSet.current == (Self.sets.contains(set) ? set : before))
    }

    #if os(Linux)
        /// Weights or scores of all pairs would take 2 GB in bfloat16 alone; other tests may run meanwhile.
        @Test func memoryOfTheGradientGrowsWithTokensAlone() throws {
            let tokens = 32768
            var draw = Draw(seed: 1)
            let projections = draw.tensor(tokens, 3, 1, 32, dtype: .bfloat16)
            projections.setRequiresGradient(true)
            let before = try resident(peak: false)
            try "5".write(toFile: "/proc/self/clear_refs", atomically: false, encoding: .utf8)
            let output = Tensor.variableLengthAttention(
                projections: projections,
                lengths: SequenceLengths(cuSeqlens: [0, Int32(tokens)]),
                window: AttentionWindow(left: nil, right: nil)
            )
            output.sum().backward()
            #expect(projections.gradient?.shape == projections.shape)
            #expect(try resident(peak: true) - before < 1 << 30)
        }

        /// Bytes of memory the process has, or has had at most since the peak was last cleared.
        private func resident(peak: Bool) throws -> Int {
            let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
            let field = peak ? "VmHWM:" : "VmRSS:"
            let line = try #require(status.split(separator: "\n").first { $0.hasPrefix(field) })
            return try #require(line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }) * 1024
        }
    #endif
}
