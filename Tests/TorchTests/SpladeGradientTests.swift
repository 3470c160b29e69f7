import Testing

@testable import Torch

// In the suite of the other kernels, which tries every instruction set too.
extension AttentionKernelTests {
    /// Widths and vocabularies that fill no tile; sequences longer and shorter than a block of rows, and empty ones.
    static let spladeShapes: [(width: Int, vocabulary: Int, lengths: [Int])] = [
        (7, 5, [1]), (32, 200, [3, 0, 12, 1]), (48, 131, [250, 1, 33]), (16, 9, []), (8, 70, [0, 0]),
    ]

    static let spladeRules = [false, true].flatMap { isSum in
        [false, true].map { SpladePoolingRule(isSum: isSum, takesLogarithmTwice: $0) }
    }

    /// Hidden states, weight and bias, as a pass of some type has them.
    struct SpladeOperands {
        let hidden, weight, bias: Tensor
        let ends: [Int32]

        init(_ width: Int, _ vocabulary: Int, _ lengths: [Int], _ type: DType, bias hasBias: Bool = true) {
            ends = lengths.reduce(into: [0]) { $0.append(($0.last ?? 0) + Int32($1)) }
            let rows = lengths.reduce(0, +)
            hidden = TrainingOperatorTests.random([rows, width], 1, scale: 1).to(type)
            weight = TrainingOperatorTests.random([vocabulary, width], 2, scale: 1).to(type).to(.float32)
            bias = hasBias ? TrainingOperatorTests.random([vocabulary], 3, scale: 1) : .zeros([vocabulary])
            for leaf in leaves { leaf.setRequiresGradient(true) }
        }

        private init(exactly other: SpladeOperands) {
            (hidden, weight, bias) = (
                other.hidden.detached().to(.float64), other.weight.detached().to(.float64),
                other.bias.detached().to(.float64)
            )
            ends = other.ends
            for leaf in leaves { leaf.setRequiresGradient(true) }
        }

        var leaves: [Tensor] { [hidden, weight, bias] }
        var exact: SpladeOperands { SpladeOperands(exactly: self) }

        func pooled(_ rule: SpladePoolingRule, isComposed: Bool = false) -> Tensor {
            hidden.spladePooled(weight: weight, bias: bias, cuSeqlens: ends, rule: rule, isComposed: isComposed)
        }

        /// Gradients where those of the pooled weights are all different, and some are 0.
        func backward(_ pooled: Tensor) {
            let factors = TrainingOperatorTests.random(pooled.shape, 4, scale: 1)
            (pooled * factors.relu().to(pooled.dtype)).sum().backward()
        }
    }

    @Test(arguments: sets)
    func spladeGradientsEqualThoseOfEveryLogitInFloat64(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        for (width, vocabulary, lengths) in Self.spladeShapes {
            for rule in Self.spladeRules {
                for (type, tolerance) in [(DType.float32, 1e-5), (.bfloat16, 1e-2)] {
                    let operands = SpladeOperands(width, vocabulary, lengths, type)
                    let exact = operands.exact
                    let (pooled, expected) = (operands.pooled(rule), exact.pooled(rule, isComposed: true))
                    #expect(pooled.dtype == .float32 && pooled.shape == [lengths.count, vocabulary])
                    guard !lengths.isEmpty else { continue }
                    let place = "\(rule), \(type), \(lengths)"
                    #expect(try Self.relativeDifference(pooled, expected) < tolerance, "\(place)")
                    operands.backward(pooled)
                    // Without any token the operators have nothing to differentiate.
                    if expected.requiresGradient { exact.backward(expected) }
                    for (leaf, other) in zip(operands.leaves, exact.leaves) {
                        let gradient = try #require(leaf.gradient)
                        #expect(gradient.dtype == leaf.dtype && gradient.shape == leaf.shape)
                        let wanted = other.gradient ?? .zeros(other.shape, .float64)
                        #expect(try Self.relativeDifference(gradient, wanted) < tolerance, "\(place), \(leaf.shape)")
                    }
                    // A second pass adds to what is there.
                    operands.backward(operands.pooled(rule))
                    for (leaf, other) in zip(operands.leaves, exact.leaves) {
                        let wanted = (other.gradient ?? .zeros(other.shape, .float64)) * 2
                        #expect(try Self.relativeDifference(#require(leaf.gradient), wanted) < tolerance, "\(place)")
                    }
                }
            }
        }
    }

    /// The largest difference, of the largest number expected or 1.
    static func relativeDifference(_ a: Tensor, _ b: Tensor) throws -> Double {
        guard b.elementCount > 0 else { return 0 }
        let most = try b.detached().absolute().max().scalar()
        return try TrainingOperatorTests.difference(a, b.detached().to(.float64)) / max(1, most)
    }

    @Test func maximaOfATrainingPassAreThoseOfPackedWeights() throws {
        for precision in [ComputeDType.float32, .bfloat16] {
            let operands = SpladeOperands(48, 131, [250, 1, 33], precision == .float32 ? .float32 : .bfloat16)
            let packed = PrepackedWeight(operands.weight, bias: operands.bias, precision: precision)
            for rule in Self.spladeRules {
                let expected = operands.hidden.detached().spladePooled(packed, cuSeqlens: operands.ends, rule: rule)
                #expect(try operands.pooled(rule).detached().array(of: Float.self) == expected.array(of: Float.self))
                let unrecorded = withoutGradients { operands.pooled(rule) }
                #expect(try unrecorded.array(of: Float.self) == expected.array(of: Float.self))
            }
        }
    }

    @Test(arguments: sets)
    func ofEqualLogitsTheFirstTokenGetsTheGradient(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        // The second entry is 0 at its largest, the third below: neither gets any.
        let hidden = Tensor([1, 3, 3, 2, 3] as [Float], shape: [5, 1])
        let weight = Tensor([2, 0, -1] as [Float], shape: [3, 1])
        for isComposed in [false, true] {
            for leaf in [hidden, weight] {
                leaf.clearGradient()
                leaf.setRequiresGradient(true)
            }
            hidden.spladePooled(
                weight: weight,
                bias: nil,
                cuSeqlens: [0, 5],
                rule: SpladePoolingRule(),
                isComposed: isComposed
            ).sum().backward()
            let gradients = try [hidden, weight].map { try #require($0.gradient).array(of: Float.self) }
            for (value, expected) in zip(gradients.flatMap(\.self), [0, 2 / 7.0, 0, 0, 0, 3 / 7.0, 0, 0]) {
                #expect(abs(Double(value) - expected) < 1e-6)
            }
        }
    }

    @Test(arguments: sets)
    func spladeGradientsKeepWhatIsNotANumber(set: InstructionSet) throws {
        let before = InstructionSet.current
        defer { _ = before.use() }
        try #require(set.use())
        for rule in Self.spladeRules {
            let hidden = Tensor([1, .nan, 1, 1, 1, 1] as [Float], shape: [6, 1])
            let weight = Tensor([Float](repeating: 1, count: 70), shape: [70, 1])
            for leaf in [hidden, weight] { leaf.setRequiresGradient(true) }
            let pooled = hidden.spladePooled(weight: weight, bias: nil, cuSeqlens: [0, 3, 6], rule: rule)
            pooled.sum().backward()
            let values = try pooled.detached().array(of: Float.self)
            #expect(values[..<70].allSatisfy { $0.isNaN } && values[70...].allSatisfy { $0 > 0 })
            let gradient = try #require(hidden.gradient).array(of: Float.self)
            #expect(gradient[1].isNaN && gradient[3...].allSatisfy { $0.isFinite })
            #expect(try #require(weight.gradient).array(of: Float.self).allSatisfy { $0.isNaN })
        }
    }

    @Test func spladeGradientsAreWantedOneByOne() throws {
        let operands = SpladeOperands(32, 200, [3, 0, 12, 1], .float32)
        operands.backward(operands.pooled(SpladePoolingRule()))
        let expected = try operands.leaves.map { try #require($0.gradient).array(of: Float.self) }
        for (index, wanted) in operands.leaves.enumerated() {
            for leaf in operands.leaves {
                leaf.clearGradient()
                leaf.setRequiresGradient(false)
            }
            wanted.setRequiresGradient(true)
            operands.backward(operands.pooled(SpladePoolingRule()))
            for (other, leaf) in operands.leaves.enumerated() {
                #expect((leaf.gradient != nil) == (other == index))
            }
            #expect(try #require(wanted.gradient).array(of: Float.self) == expected[index])
        }
        for leaf in operands.leaves { leaf.setRequiresGradient(false) }
        #expect(!operands.pooled(SpladePoolingRule()).requiresGradient)
    }

    @Test func spladeGradientsPassThroughWhatIsRecomputed() throws {
        let operands = SpladeOperands(32, 200, [3, 0, 12, 1], .float32)
        operands.backward(operands.pooled(SpladePoolingRule()))
        let expected = try operands.leaves.map { try #require($0.gradient).array(of: Float.self) }
        for leaf in operands.leaves { leaf.clearGradient() }
        operands.backward(
            recomputed(operands.hidden, hasTrainedParameters: true) { hidden in
                hidden.spladePooled(
                    weight: operands.weight,
                    bias: operands.bias,
                    cuSeqlens: operands.ends,
                    rule: SpladePoolingRule()
                )
            }
        )
        for (leaf, values) in zip(operands.leaves, expected) {
            #expect(try #require(leaf.gradient).array(of: Float.self) == values)
        }
    }

    @Test func spladeGradientsHaveTheSameBitsAtAnyNumberOfThreads() async {
        await #expect(processExitsWith: .success) {
            for type in [DType.float32, .bfloat16] {
                var first: [[Float]] = []
                for threads in [1, 2, 3, 7] {
                    TorchRuntime.setThreadCount(threads)
                    let operands = SpladeOperands(48, 1031, [250, 1, 0, 33, 90], type)
                    let pooled = operands.pooled(SpladePoolingRule())
                    operands.backward(pooled)
                    let values = try ([pooled] + operands.leaves.map { try #require($0.gradient) })
                        .map { try $0.detached().to(.float32).array(of: Float.self) }
                    if first.isEmpty { first = values }
                    #expect(values == first, "\(threads) threads, \(type)")
                }
            }
        }
    }

    @Test func spladePoolingRefusesWhatDoesNotFit() async throws {
        let results = try await #require(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = Tensor.ones([4, 3]).spladePooled(
                weight: .ones([5, 3]),
                bias: .ones([4]),
                cuSeqlens: [0, 4],
                rule: SpladePoolingRule()
            )
        }
        let message = String(decoding: results.standardErrorContent, as: UTF8.self)
        #expect(message.contains("bias [4] for weight [5, 3]"))
    }
}
