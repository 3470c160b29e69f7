import Testing

@testable import Torch

// In the suite of the kernels, which tries every instruction set too. A number lost on the way must stay lost: training
// and evaluation find out by it.
extension AttentionKernelTests {
    @Test(arguments: sets)
    func aKeyThatIsNotANumberMakesWhatSeesItNoNumber(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        let (count, width) = (200, 32)
        for dtype in [DType.float32, .bfloat16] {
            var keys = Philox(seed: 1, stream: 2).uniforms(count: count * width)
            keys[100 * width + 3] = .nan
            let queries = Tensor(Philox(seed: 1, stream: 1).uniforms(count: count * width), shape: [count, 1, width])
            let mixed = Tensor.variableLengthAttention(
                queries: queries.to(dtype),
                keys: Tensor(keys, shape: [count, 1, width]).to(dtype),
                values: queries.to(dtype),
                lengths: SequenceLengths(cuSeqlens: [0, Int32(count)]),
                window: AttentionWindow(left: 10, right: 10)
            )
            let sums: [Float] = try mixed.to(.float32).reshaped(count, width).sum(along: 1).array()
            for (row, sum) in sums.enumerated() {
                #expect(sum.isNaN == (90...110).contains(row), "row \(row) of \(dtype), \(set)")
            }
        }
    }

    @Test(arguments: sets)
    func gatesKeepWhatIsNotANumber(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        let input = Tensor([1, .nan, -3, 40, -40, 0] as [Float], shape: [6, 1])
        for precision in [ComputeDType.float32, .bfloat16] {
            let weight = PrepackedWeight(Tensor([1] as [Float], shape: [1, 1]), bias: nil, precision: precision)
            for gate in Activation.gates {
                for dtype in [DType.float32, precision.activationDType] {
                    let gated = input.linear(weight, activation: gate, dtype: dtype)
                    let results: [Float] = try gated.to(.float32).array()
                    let expected = [false, true, false, false, false, false]
                    #expect(results.map(\.isNaN) == expected, "\(gate) \(dtype) \(set)")
                }
            }
        }
    }

    @Test(arguments: sets)
    func theGateForRoundedResultsIsAsExactAsTheyAre(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        let values = (-2000...2000).map { Float($0) / 250 }
        let input = Tensor(values, shape: [values.count, 1]).to(.bfloat16)
        let weight = PrepackedWeight(Tensor([1] as [Float], shape: [1, 1]), bias: nil, precision: .bfloat16)
        let found: [Float] = try input.linear(weight, activation: .gelu, dtype: .bfloat16).to(.float32).array()
        let expected: [Float] = try input.to(.float32).gelu().array()
        for (index, (one, other)) in zip(found, expected).enumerated() {
            // Half a step of bfloat16, and the error of the polynomial.
            #expect(abs(one - other) <= abs(other) / 256 + 6e-5, "gelu(\(values[index])), \(set)")
        }
    }
}
