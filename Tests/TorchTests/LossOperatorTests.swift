import Testing

@testable import Torch

/// What losses of embeddings and passes in slices are made of.
@Suite struct LossOperatorTests {
    @Test func sumsOfExponentialsAreTaken() throws {
        let values: [Float] = [0, 1, 2, -1, 700, 699]
        let matrix = Tensor(values, shape: [2, 3])
        matrix.setRequiresGradient(true)
        let sums = matrix.logSumExp(along: 1)
        #expect(sums.shape == [2])
        #expect(abs(try sums.array(of: Float.self)[0] - 2.407606) < 1e-5)
        #expect(abs(try sums.array(of: Float.self)[1] - 700.31326) < 1e-3)
        sums.sum().backward()
        let softmax = try matrix.detached().softmax(along: 1).array(of: Float.self)
        for (a, b) in zip(try #require(matrix.gradient).array(of: Float.self), softmax) { #expect(abs(a - b) < 1e-4) }
        let cumulative = try Tensor([0, 1, 2] as [Float]).cumulativeLogSumExp(along: 0).array(of: Float.self)
        for (a, b) in zip(cumulative, [0, 1.3132617, 2.407606]) { #expect(abs(Double(a) - b) < 1e-5) }
    }

    @Test func masksAndIndicesChooseElements() throws {
        let matrix = Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
        matrix.setRequiresGradient(true)
        let mask = matrix.isLess(than: 3)
        #expect(try mask.to(.uint8).array(of: UInt8.self) == [1, 1, 0, 0, 0, 0])
        #expect(try mask.inverted().to(.uint8).array(of: UInt8.self) == [0, 0, 1, 1, 1, 1])
        #expect(try matrix.isLess(than: matrix * 2 - 3).to(.uint8).array(of: UInt8.self) == [0, 0, 0, 1, 1, 1])
        let filled = matrix.filled(with: -.infinity, where: mask)
        #expect(try filled.array(of: Float.self) == [-.infinity, -.infinity, 3, 4, 5, 6])
        let chosen = filled.gathered(Tensor([2, 0] as [Int64], shape: [2, 1]), along: 1)
        #expect(try chosen.array(of: Float.self) == [3, 4])
        chosen.backward(Tensor([10, 20] as [Float], shape: [2, 1]))
        #expect(try #require(matrix.gradient).array(of: Float.self) == [0, 0, 10, 20, 0, 0])
    }

    @Test(arguments: [1.0, 2])
    func distancesAreOfAllPairs(p: Double) throws {
        try TrainingOperatorTests.compare(
            [TrainingOperatorTests.random([3, 5], 1), TrainingOperatorTests.random([4, 5], 2)],
            .float32
        ) {
            [$0[0].distances(to: $0[1], p: p)]
        } _: { operands in
            let differences = operands[0].reshaped(3, 1, 5) - operands[1].reshaped(1, 4, 5)
            return [p == 1 ? differences.absolute().sum(along: 2) : differences.norm(along: 2)]
        }
    }

    @Test func gradientsOfEmbeddingsAreAddedInPlace() throws {
        let table = TrainingOperatorTests.random([40, 8], 1)
        let ids = (0..<3).map { pass in Tensor((0..<25).map { Int64(($0 * 7 + pass * 3) % 40) }) }
        func gradient(inPlace: Bool) throws -> Tensor {
            let table = table.copy()
            table.setRequiresGradient(true)
            for (pass, ids) in ids.enumerated() {
                let rows = table.embedding(ids, paddingID: 7, addsGradientInPlace: inPlace)
                (rows * TrainingOperatorTests.random([25, 8], UInt64(10 + pass))).sum().backward()
            }
            return try #require(table.gradient)
        }
        let (added, usual) = (try gradient(inPlace: true), try gradient(inPlace: false))
        #expect(try TrainingOperatorTests.difference(added, usual.to(.float64)) < 1e-5)
        #expect(try added.array(of: Float.self)[7 * 8..<8 * 8].allSatisfy { $0 == 0 })
    }

    /// Rows, inputs and outputs: tiles and panels that are whole and that are not, and more depth than a block has.
    static let shapes = [[1, 1, 1], [6, 64, 64], [7, 16, 65], [50, 300, 130], [601, 24, 47], [0, 8, 4]]

    @Test(arguments: shapes, [true, false])
    func linearLayersOfSlicesAreThoseOfPasses(shape: [Int], hasBias: Bool) throws {
        let (rows, inputs, outputs) = (shape[0], shape[1], shape[2])
        let (input, weight) = ([rows, inputs], [outputs, inputs])
        let values =
            [TrainingOperatorTests.random(input, 1, scale: 1), TrainingOperatorTests.random(weight, 2)]
            + (hasBias ? [TrainingOperatorTests.random([outputs], 3)] : [])
        for passes in [1, 2] {
            let (own, exact) = (values.map { $0.copy() }, values.map { $0.to(.float64) })
            for leaf in own + exact { leaf.setRequiresGradient(true) }
            for pass in 0..<passes {
                let above = TrainingOperatorTests.random([rows, outputs], UInt64(5 + pass), scale: 1)
                let result = own[0].linear(own[1], bias: hasBias ? own[2] : nil, addsGradientInPlace: true)
                let expected = exact[0].linear(exact[1], bias: hasBias ? exact[2] : nil)
                #expect(try TrainingOperatorTests.difference(result, expected) < 1e-3)
                result.backward(above)
                expected.backward(above.to(.float64))
            }
            for (leaf, other) in zip(own, exact) {
                let (gradient, expected) = (try #require(leaf.gradient), try #require(other.gradient))
                #expect(gradient.shape == leaf.shape)
                #expect(try TrainingOperatorTests.difference(gradient, expected) < 1e-3)
            }
        }
    }
}
