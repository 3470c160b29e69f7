import EttinTraining
import Testing
import Torch

@Suite("Exponential average")
struct ExponentialAverageTests {
    private func parameters(_ values: [Float]) -> StateDictionary {
        [("a", Tensor(values)), ("b", Tensor(values.map { $0 * 2 }, shape: [values.count, 1]))]
    }

    @Test("The average follows the formula from its start on")
    func formula() throws {
        let average = try ExponentialAverage(parameters([1, -2]), smoothing: 0.75)
        #expect(try average.state[0].tensor.array() == [1, -2] as [Float])
        average.update(from: parameters([5, 2]))
        average.update(from: parameters([9, -2]))
        // 1 → 0.75 · 1 + 0.25 · 5 = 2 → 0.75 · 2 + 0.25 · 9 = 3.75; −2 → −1 → −1.25.
        #expect(try average.state[0].tensor.array() == [3.75, -1.25] as [Float])
        #expect(try average.state[1].tensor.array() == [7.5, -2.5] as [Float])
        #expect(average.state[1].tensor.shape == [2, 1])
    }

    @Test("A half-life halves the weight of the start")
    func halfLife() throws {
        let average = try ExponentialAverage(parameters([1]), smoothing: ExponentialAverage.smoothing(halfLife: 10))
        for _ in 0..<10 { average.update(from: parameters([0])) }
        #expect(abs(try average.state[0].tensor.scalar() - 0.5) < 1e-6)
        #expect(ExponentialAverage.smoothing(halfLife: 1000, updateInterval: 10) == 0.993_092_495_437_035_9)
    }

    @Test("Going on from a saved state is the same as never stopping")
    func resuming() throws {
        let whole = try ExponentialAverage(parameters([1, 2]), smoothing: 0.9)
        whole.update(from: parameters([3, 5]))
        let resumed = try ExponentialAverage(parameters([0, 0]), smoothing: 0.9)
        try resumed.restore(whole.state.reversed())
        for average in [whole, resumed] { average.update(from: parameters([-1, 8])) }
        for (left, right) in zip(whole.state, resumed.state) {
            #expect(left.key == right.key)
            #expect(try left.tensor.array() as [Float] == right.tensor.array())
        }
    }

    @Test(
        "A state of another model is refused and changes nothing",
        arguments: [
            ([("a", [2])], "lacks \"b\""), ([("a", [2]), ("b", [2])], "has shape [2] for \"b\"; expected [2, 1]"),
            ([("a", [2]), ("b", [2, 1]), ("c", [1])], "has an unknown tensor \"c\""),
        ] as [([(String, [Int])], String)]
    )
    func otherStates(tensors: [(String, [Int])], message: String) throws {
        let average = try ExponentialAverage(parameters([1, 2]), smoothing: 0.9)
        #expect {
            try average.restore(tensors.map { ($0.0, .ones($0.1)) })
        } throws: {
            "\($0)".contains(message)
        }
        #expect(try average.state[0].tensor.array() == [1, 2] as [Float])
    }

    @Test("A smoothing outside of 0 to 1 is refused", arguments: [0, 1, -0.1, 1.5, .nan])
    func smoothing(value: Double) {
        #expect(throws: TrainingError.self) { try ExponentialAverage([], smoothing: value) }
    }

    @Test("A model has its averages for as long as a body runs, and its own gradients afterwards")
    func evaluation() throws {
        struct Failure: Error {}
        let layer = Linear(2, 1, hasBias: false)
        layer.weight = Tensor([3, 4] as [Float], shape: [1, 2])
        layer.setRequiresGradient(true)
        let average = try ExponentialAverage([("weight", Tensor([1, 1] as [Float], shape: [1, 2]))], smoothing: 0.5)
        average.update(from: layer.parameters)
        #expect(!average.state[0].tensor.requiresGradient)
        let input = Tensor([1, 10] as [Float], shape: [1, 2])
        #expect(try average.withAverages(in: layer) { try layer(input).scalar() } == 27)
        #expect(throws: Failure.self) { try average.withAverages(in: layer) { throw Failure() } }
        #expect(try layer(input).detached().scalar() == 43)
        layer(input).sum(along: 0, 1).backward()
        #expect(try layer.weight.gradient?.array() == [1, 10] as [Float]?)
    }
}
