import Testing

@testable import Torch

/// Products of bfloat16 that are taken in float32, as on processors that do not have them.
@Suite struct BFloat16ProductTests {
    /// Runs a body with the kernels of a processor without products of bfloat16.
    static func withoutProducts<Result>(_ body: () throws -> Result) throws -> Result {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(InstructionSet.portable.use())
        return try body()
    }

    /// The output and all gradients of a product, in bfloat16.
    static func run(_ shape: [Int], hasBias: Bool) throws -> [Tensor] {
        let input = TrainingOperatorTests.random(shape, 1, scale: 1).to(.bfloat16)
        let weight = TrainingOperatorTests.random([24, shape[shape.count - 1]], 2, scale: 1).to(.bfloat16)
        let bias = hasBias ? TrainingOperatorTests.random([24], 3, scale: 1).to(.bfloat16) : nil
        let leaves = [input, weight] + (bias.map { [$0] } ?? [])
        for leaf in leaves { leaf.setRequiresGradient(true) }
        let output = input.linear(weight, bias: bias)
        (output * TrainingOperatorTests.random(output.shape, 4, scale: 1).to(.bfloat16)).sum().backward()
        return try [output.detached()] + leaves.map { try #require($0.gradient) }
    }

    static func expectClose(_ results: [Tensor], _ expected: [Tensor]) throws {
        #expect(results.count == expected.count)
        for (result, other) in zip(results, expected) {
            #expect(result.shape == other.shape && result.dtype == other.dtype)
            guard other.elementCount > 0 else { continue }
            // Two roundings to 8 bits apart at most.
            let largest = try other.to(.float32).norm().scalar() / Double(other.elementCount).squareRoot()
            #expect(try TrainingOperatorTests.difference(result.to(.float32), other.to(.float32)) <= 0.03 * largest)
        }
    }

    static let shapes = [[7, 16], [3, 5, 32], [1, 64], [0, 8]]

    #if arch(x86_64)
        @Test("are the processor's own to rounding, forward and backward", arguments: shapes, [true, false])
        func linear(shape: [Int], hasBias: Bool) throws {
            let own = try Self.run(shape, hasBias: hasBias)
            let other = try Self.withoutProducts {
                #expect(!InstructionSet.multipliesBFloat16)
                return try Self.run(shape, hasBias: hasBias)
            }
            try Self.expectClose(other, own)
        }

        @Test("round once: what float32 gives of the same operands")
        func rounding() throws {
            let (a, b) = (TrainingOperatorTests.random([5, 33], 1).to(.bfloat16), Tensor.full([33, 9], 1, .bfloat16))
            let product = try Self.withoutProducts { a.matmul(b) }
            #expect(try product.isEqual(to: a.to(.float32).matmul(b.to(.float32)).to(.bfloat16)))
            let output = try Self.withoutProducts { a.linear(b.transposed(0, 1)) }
            #expect(try output.isEqual(to: product))
        }
    #endif
}
