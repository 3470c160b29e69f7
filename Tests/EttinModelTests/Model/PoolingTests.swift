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

    @Test func halfPrecisionSumsAreTakenInFloat32() throws {
        // bfloat16 sums would stop growing at 256.
        let ones = Tensor.ones([4096, 1], .bfloat16)
        let batch = PackedBatch([[Int32](repeating: 0, count: 4096)])
        #expect(try ones.pooled(batch, by: .mean).scalar() == 1)
    }
}
