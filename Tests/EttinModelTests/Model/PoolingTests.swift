import Testing
import Torch

@testable import EttinModel

@Suite struct PoolingTests {
    /// Two sequences of three and four tokens; the values and results are those of sentence-transformers 6.2.
    static let hidden: [Float] = [
        1, 2, -1, 0.5, -1, 3, 2, 0, 1, 0.25, 1, 0, -1, 2, 2, 4, -3, 0.5, 1, 1, -2,
    ]
    static let batch = PackedBatch([[1, 2, 3], [1, 2, 3, 4]])

    struct Golden: CustomStringConvertible, Sendable {
        let pooling: Pooling
        let whole: [Float]
        let withoutFirstToken: [Float]
        var description: String { pooling.rawValue }
    }

    static let goldens = [
        Golden(
            pooling: .cls,
            whole: [1, 2, -1, 0.25, 1, 0],
            withoutFirstToken: [0.5, -1, 3, -1, 2, 2]
        ),
        Golden(
            pooling: .max,
            whole: [2, 2, 3, 4, 2, 2],
            withoutFirstToken: [2, 0, 3, 4, 2, 2]
        ),
        Golden(
            pooling: .mean,
            whole: [1.1666666, 0.33333334, 1, 1.0625, 0.25, 0.125],
            withoutFirstToken: [1.25, -0.5, 2, 1.3333334, 0, 0.16666667]
        ),
        Golden(
            pooling: .meanSqrtLen,
            whole: [2.020726, 0.57735026, 1.7320509, 2.125, 0.5, 0.25],
            withoutFirstToken: [1.767767, -0.70710677, 2.8284271, 2.309401, 0, 0.28867513]
        ),
        Golden(
            pooling: .weightedMean,
            whole: [1.3333334, 0, 1.3333334, 1.425, 0, -0.25],
            withoutFirstToken: [1.4, -0.40000001, 1.8, 1.5555556, -0.11111111, -0.27777779]
        ),
        Golden(
            pooling: .lastToken,
            whole: [2, 0, 1, 1, 1, -2],
            withoutFirstToken: [2, 0, 1, 1, 1, -2]
        ),
    ]

    @Test(arguments: goldens)
    func vectorsEqualTheOriginals(golden: Golden) throws {
        let hidden = Tensor(Self.hidden, shape: [7, 3])
        for (skipped, expected) in [(nil, golden.whole), ([1, 1], golden.withoutFirstToken)] {
            let pooled = try hidden.pooled(Self.batch, by: golden.pooling, skipping: skipped).array(of: Float.self)
            #expect(zip(pooled, expected).allSatisfy { abs($0 - $1) < 2e-6 }, "\(pooled)")
        }
    }

    @Test(arguments: Pooling.allCases)
    func sequencesWithoutTokensGiveZeros(pooling: Pooling) throws {
        let hidden = Tensor(Self.hidden, shape: [7, 3])
        let batch = PackedBatch([[], [1, 2, 3, 4, 5], [1, 2], []])
        let pooled = hidden.pooled(batch, by: pooling, skipping: [0, 0, 9, 0])
        #expect(pooled.shape == [4, 3])
        let values = try pooled.array(of: Float.self)
        #expect(values[..<3].allSatisfy { $0 == 0 } && values[6...].allSatisfy { $0 == 0 })
        #expect(values[3..<6].contains { $0 != 0 })
        let nothing = Tensor.zeros([0, 3]).pooled(PackedBatch([[]]), by: pooling)
        #expect(try nothing.array(of: Float.self) == [0, 0, 0])
    }

    @Test(arguments: Pooling.allCases)
    func afterAFailureTheScopeThrows(pooling: Pooling) {
        #expect(throws: TorchError.self) {
            try withRecovery {
                _ = Tensor.uninitialized([1 << 50, 3]).pooled(Self.batch, by: pooling, skipping: [1, 0])
            }
        }
    }

    @Test func halfPrecisionSumsAreTakenInFloat32() throws {
        // bfloat16 sums would stop growing at 256.
        let ones = Tensor.ones([4096, 1], .bfloat16)
        let batch = PackedBatch([[Int32](repeating: 0, count: 4096)])
        #expect(try ones.pooled(batch, by: .mean).scalar() == 1)
    }

    /// As one operator for each sequence would give it.
    @Test(arguments: [DType.float32, .bfloat16])
    func theMaximumOfAllSequencesAtOnceIsThatOfEach(dtype: DType) throws {
        let values = Philox(seed: 3).uniforms(count: 40 * 5)
        let (packed, alone) = (Tensor(values, shape: [40, 5]).to(dtype), Tensor(values, shape: [40, 5]).to(dtype))
        for leaf in [packed, alone] { leaf.setRequiresGradient(true) }
        let batch = PackedBatch([7, 0, 1, 20, 12].map { [Int32](repeating: 5, count: $0) })
        let skipped = [2, 0, 0, 0, 12]
        let result = packed.pooled(batch, by: .max, skipping: skipped)
        let parts = (0..<5).map { sequence -> Tensor in
            let rows = batch.range(of: sequence).dropFirst(skipped[sequence])
            guard let first = rows.first else { return .zeros([1, 5], dtype) }
            return alone.narrowed(along: 0, from: first, count: rows.count).max(along: 0, keepingDimensions: true)
        }
        let expected = Tensor.concatenate(parts)
        #expect(try result.isEqual(to: expected))
        let factors = Tensor((0..<25).map { Float($0) }, shape: [5, 5]).to(dtype)
        (result * factors).sum().backward()
        (expected * factors).sum().backward()
        #expect(try #require(packed.gradient).isEqual(to: #require(alone.gradient)))
    }

    @Test func aMaximumOfEqualValuesIsTheFirstAndNaNStays() throws {
        let hidden = Tensor([1, 1, 0, .nan, 5, 2] as [Float], shape: [6, 1])
        hidden.setRequiresGradient(true)
        let pooled = hidden.pooled(PackedBatch([[1, 2, 3], [4, 5, 6]]), by: .max)
        let values = try pooled.array(of: Float.self)
        #expect(values[0] == 1 && values[1].isNaN)
        pooled.sum().backward()
        #expect(try hidden.gradient?.array(of: Float.self) == [1, 0, 0, 1, 0, 0])
    }

    @Test(arguments: Pooling.allCases)
    func gradientsAreThoseOfEachSequenceAlone(pooling: Pooling) throws {
        let values = Tensor(Self.hidden, shape: [7, 3])
        let packed = values.copy()
        packed.setRequiresGradient(true)
        let factors = Tensor((1...6).map { Float($0) }, shape: [2, 3])
        (packed.pooled(Self.batch, by: pooling, skipping: [1, 0]) * factors).sum().backward()
        var parts: [Float] = []
        for (sequence, skipped) in [(0, 1), (1, 0)] {
            let range = Self.batch.range(of: sequence)
            let alone = values.narrowed(along: 0, from: range.lowerBound, count: range.count).copy()
            alone.setRequiresGradient(true)
            let batch = PackedBatch([[Int32](repeating: 1, count: range.count)])
            let row = factors.narrowed(along: 0, from: sequence, count: 1)
            (alone.pooled(batch, by: pooling, skipping: [skipped]) * row).sum().backward()
            parts += try #require(alone.gradient).array(of: Float.self)
        }
        #expect(try packed.gradient?.array(of: Float.self) == parts)
    }
}
