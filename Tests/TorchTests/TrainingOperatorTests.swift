import Testing

@testable import Torch

/// Our kernels against libtorch's operators in float64, forward and backward.
@Suite struct TrainingOperatorTests {
    static func random(_ shape: [Int], _ stream: UInt64, scale: Double = 4) -> Tensor {
        let count = shape.reduce(1, *)
        return (Tensor(Philox(seed: 9, stream: stream).uniforms(count: count), shape: shape) * 2 - 1) * scale
    }

    /// bfloat16 keeps 8 bits.
    static func tolerance(_ type: DType) -> Double { type == .float32 ? 1e-5 : 1e-2 }

    static func difference(_ a: Tensor, _ b: Tensor) throws -> Double {
        try LinearCrossEntropyTests.largestDifference(a.detached().to(.float64), b.detached())
    }

    /// What `body` gives for leaves of two kinds, and their gradients, compared.
    static func compare(
        _ values: [Tensor],
        _ type: DType,
        _ body: ([Tensor]) -> [Tensor],
        _ reference: ([Tensor]) -> [Tensor]
    ) throws {
        let leaves = values.map { $0.copy() }
        let exact = values.map { $0.to(.float64) }
        for leaf in leaves + exact { leaf.setRequiresGradient(true) }
        let (results, expected) = (body(leaves), reference(exact))
        for (result, other) in zip(results, expected) {
            #expect(result.shape == other.shape)
            #expect(try difference(result, other) < tolerance(type))
        }
        // Different weights for each element, so that no part of a gradient is hidden.
        func total(_ outputs: [Tensor]) -> Tensor {
            outputs.enumerated().map { index, output in
                (output.to(.float64) * random(output.shape, UInt64(100 + index)).to(.float64)).sum()
            }.reduce(Tensor.zeros([], .float64), +)
        }
        total(results).backward()
        total(expected).backward()
        for (leaf, other) in zip(leaves, exact) {
            let (gradient, expected) = (try #require(leaf.gradient), try #require(other.gradient))
            #expect(gradient.dtype == leaf.dtype)
            #expect(try difference(gradient, expected) < tolerance(type))
        }
    }

    static let shapes = [[1, 1], [3, 16], [33, 24], [70, 49], [0, 8]]
    static let types: [DType] = [.float32, .bfloat16]

    @Test(arguments: Activation.gates, shapes)
    func gatesAsTheirDefinition(function: Activation, shape: [Int]) throws {
        try Self.compareGate(function, shape)
    }

    static func compareGate(_ function: Activation, _ shape: [Int]) throws {
        for type in types {
            let input = random([shape[0], 2 * shape[1]], 1).to(type)
            try compare([input], type) {
                [$0[0].gated(by: function)]
            } _: {
                let halves = $0[0].split(into: 2, along: 1)
                return [function(halves[0]) * halves[1]]
            }
            let composed = input.gated(by: function, isComposed: true)
            #expect(try difference(input.gated(by: function), composed.to(.float64)) < tolerance(type))
        }
    }

    @Test(arguments: shapes, [true, false])
    func addsAndNormalisesAsTheDefinition(shape: [Int], hasBias: Bool) throws {
        try Self.compareNorm(shape, hasBias)
    }

    static func compareNorm(_ shape: [Int], _ hasBias: Bool) throws {
        for type in types {
            for isComposed in [true, false] {
                let width = shape[1]
                let values =
                    [random(shape, 1), random(shape, 2).to(type), random([width], 3)]
                    + (hasBias ? [random([width], 4)] : [])
                try compare(values, type) {
                    let bias = hasBias ? $0[3] : nil
                    let (sum, normed) = $0[0].addingNormalized(
                        $0[1],
                        weight: $0[2],
                        bias: bias,
                        epsilon: 1e-2,
                        isComposed: isComposed
                    )
                    #expect(sum.dtype == .float32)
                    #expect(normed.dtype == type)
                    return [sum, normed]
                } _: {
                    let sum = $0[0] + $0[1]
                    return [sum, sum.layerNorm(weight: $0[2], bias: hasBias ? $0[3] : nil, epsilon: 1e-2)]
                }
            }
        }
    }

    /// The last norm of a model leaves the sum unused, and a caller may use the sum alone.
    @Test func eitherResultAloneHasAGradient() throws {
        let (shape, weight) = ([5, 8], Self.random([8], 3))
        for usesSum in [true, false] {
            try Self.compare([Self.random(shape, 1), Self.random(shape, 2)], .float32) {
                let (sum, normed) = $0[0].addingNormalized($0[1], weight: weight, bias: nil, epsilon: 1e-2)
                return [usesSum ? sum : normed]
            } _: {
                let sum = $0[0] + $0[1]
                return [usesSum ? sum : sum.layerNorm(weight: weight.to(.float64), bias: nil, epsilon: 1e-2)]
            }
        }
    }

    @Test func distinctRowsKeepTheirGradient() throws {
        let rows = Tensor([0, 2, 5] as [Int64])
        try Self.compare([Self.random([6, 3], 1)], .float32) {
            [$0[0].selecting(distinctRows: rows)]
        } _: {
            [$0[0].selecting(rows)]
        }
        let none = Self.random([6, 3], 1).selecting(distinctRows: Tensor([Int64]()))
        #expect(none.shape == [0, 3])
    }
}
