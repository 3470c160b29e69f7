import Testing

@testable import Torch

// In the suite of the other kernels, which tries every instruction set too.
extension AttentionKernelTests {
    @Test(arguments: sets)
    func trainingKernelsEqualTheirReferences(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        for example in LinearCrossEntropyTests.cases {
            try LinearCrossEntropyTests.compare(example, isComposed: false)
        }
        for shape in TrainingOperatorTests.shapes {
            for function in Activation.gates { try TrainingOperatorTests.compareGate(function, shape) }
            for hasBias in [true, false] { try TrainingOperatorTests.compareNorm(shape, hasBias) }
        }
        let pass = DropoutContext(seed: 11, step: 3, precedingTokens: 1)
        let mask = try DropoutTests.values(DropoutTests.ones(50, 33).dropout(0.2, pass, place: 2))
        #expect(before.use())
        #expect(try DropoutTests.values(DropoutTests.ones(50, 33).dropout(0.2, pass, place: 2)) == mask)
        try StableAdamWTests.run(set)
    }
}
