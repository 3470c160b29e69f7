import Testing

@testable import Torch

// In the suite of the other kernels, because the instruction set is the whole process's and one test of it may run at a
// time.
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
            for function in GateFunction.allCases { try TrainingOperatorTests.compareGate(function, shape) }
            for hasBias in [true, false] { try TrainingOperatorTests.compareNorm(shape, hasBias) }
        }
    }
}
