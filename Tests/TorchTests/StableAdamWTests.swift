import Testing

@testable import Torch

@Suite struct StableAdamWTests {
    /// The suite's recipe (decoupled, η 0.01, from the third step 0.005), by torch-optimi: `P` decays by 0.1, `Q` does
    /// not.
    static let trace: [(p: [Float], q: [Float])] = [
        ([0.44000009, -0.89000005, 1.78999996, 0.09], [0.99000102, -0.24000001]),
        ([0.38637596, -0.79100007, 1.60165119, 0.08099999], [0.981215, -0.23154338]),
        ([0.36229327, -0.74645007, 1.51717532, 0.07694999], [0.97706783, -0.2275916]),
        ([0.33941457, -0.70412755, 1.43716896, 0.07310249], [0.97305083, -0.22376376]),
    ]

    static func run(_ set: InstructionSet?) throws {
        if let set { try #require(set.use()) }
        let p = Tensor([0.5, -1, 2, 0.1] as [Float], shape: [2, 2])
        let q = Tensor([1, -0.25] as [Float])
        for parameter in [p, q] { parameter.setRequiresGradient(true) }
        let optimizer = StableAdamW(
            ParameterGroups([p, q], weightDecays: [0.1, 0], learningRate: 0.01, referenceRate: 0.01)
        )
        for (index, values) in trace.enumerated() {
            let t = Float(index + 1)
            if t == 3 { optimizer.learningRate = 0.005 }
            let slopes = (Tensor([0.1 * t, -0.2, 3 / t, 0], shape: [2, 2]), Tensor([0.01, -5 * t]))
            ((p * slopes.0).sum() + (q * slopes.1).sum()).backward()
            optimizer.step()
            optimizer.clearGradients()
            for (value, other) in zip(try p.detached().array(of: Float.self), values.p) {
                #expect(abs(value - other) < 1e-6)
            }
            for (value, other) in zip(try q.detached().array(of: Float.self), values.q) {
                #expect(abs(value - other) < 1e-6)
            }
        }
    }

    @Test("the published trace comes out")
    func trace() throws { try Self.run(nil) }

    /// Parameters of many sizes after three steps, by our kernel in float32 or libtorch's operators in float64.
    private func result(_ type: DType, isDecoupled: Bool) throws -> [[Double]] {
        let shapes = [[3], [129, 257], [1 << 15], [1]]
        let parameters = shapes.enumerated().map { TrainingOperatorTests.random($1, UInt64($0)).to(type) }
        for parameter in parameters { parameter.setRequiresGradient(true) }
        let optimizer = StableAdamW(
            ParameterGroups(
                parameters,
                weightDecays: [0, 1e-3, 0.5, 0],
                learningRate: 3e-3,
                referenceRate: isDecoupled ? 3e-3 : nil
            )
        )
        for step in 0..<3 {
            for (index, parameter) in parameters.enumerated() {
                let slopes = TrainingOperatorTests.random(parameter.shape, UInt64(20 + index + 9 * step)).to(type)
                (parameter * slopes * Double(1 + step)).sum().backward()
            }
            optimizer.step()
            optimizer.clearGradients()
        }
        return try parameters.map { try $0.detached().to(.float64).array() }
    }

    @Test("the kernel is the composition of libtorch's operators", arguments: [true, false])
    func kernel(isDecoupled: Bool) throws {
        for (own, reference) in zip(
            try result(.float32, isDecoupled: isDecoupled),
            try result(.float64, isDecoupled: isDecoupled)
        ) {
            #expect(zip(own, reference).allSatisfy { abs($0 - $1) < 2e-6 })
        }
    }

    @Test("a state that is restored goes on to the same bits")
    func restoring() throws {
        func optimizer() -> StableAdamW {
            let parameter = TrainingOperatorTests.random([40, 7], 1)
            parameter.setRequiresGradient(true)
            return StableAdamW(
                ParameterGroups([parameter], weightDecays: [0.1], learningRate: 1e-2, referenceRate: 1e-2)
            )
        }
        func advance(_ optimizer: StableAdamW, _ steps: Range<Int>) {
            for step in steps {
                (optimizer.parameters[0] * TrainingOperatorTests.random([40, 7], UInt64(5 + step))).sum().backward()
                optimizer.step()
                optimizer.clearGradients()
            }
        }
        let (whole, first, second) = (optimizer(), optimizer(), optimizer())
        advance(whole, 0..<6)
        advance(first, 0..<3)
        second.parameters[0].detached().assign(first.parameters[0].detached())
        second.state.restore(
            stepCount: first.state.stepCount,
            firstMoments: first.state.firstMoments,
            secondMoments: first.state.secondMoments
        )
        advance(second, 3..<6)
        let values: [Float] = try second.parameters[0].detached().array()
        #expect(try whole.parameters[0].detached().array() == values)
    }

    @Test("norms of all gradients are those of one vector, and not finite when one value is not")
    func norms() throws {
        let a = Tensor([3, 0] as [Float])
        let b = Tensor([-4] as [Float])
        for parameter in [a, b] { parameter.setRequiresGradient(true) }
        let optimizer = AdamW([a, b])
        ((a * Tensor([3, 0] as [Float])).sum() + (b * Tensor([-4] as [Float])).sum()).backward()
        #expect(optimizer.gradientNorms() == (7, 5))
        optimizer.scaleGradients(by: 0.5)
        #expect(optimizer.gradientNorms() == (3.5, 2.5))
        optimizer.clearGradients()
        (a * Tensor([Float.nan, 1])).sum().backward()
        #expect(!optimizer.gradientNorms().l2.isFinite)
    }
}
