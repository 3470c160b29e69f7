import Testing

@testable import Torch

@Suite struct RecomputationTests {
    /// The outputs, and the gradients of both inputs and of the weight.
    private func run(isRecomputed: Bool, hasSecond: Bool) throws -> [[Float]] {
        let first = TrainingOperatorTests.random([6, 8], 1)
        let second = hasSecond ? TrainingOperatorTests.random([6, 8], 2) : nil
        let weight = TrainingOperatorTests.random([8, 8], 3)
        for leaf in [first, weight] + (second.map { [$0] } ?? []) { leaf.setRequiresGradient(true) }
        let pass = TrainingPass(seed: 4)
        let body = { (a: Tensor, b: Tensor?) -> (Tensor, Tensor) in
            let sum = b.map { a + $0 } ?? a
            return (sum, sum.linear(weight).gelu().dropout(0.2, pass, place: 1))
        }
        // The input is not a leaf, as that of a layer is not.
        let input = first * 1.5
        let (x, y) = isRecomputed ? recomputed(input, second, body) : body(input, second)
        ((x * 0.5).sum() + (y * TrainingOperatorTests.random([6, 8], 5)).sum()).backward()
        let tensors = [x.detached(), y.detached()] + [first, second, weight].compactMap { $0?.gradient }
        return try tensors.map { try $0.array() }
    }

    @Test("gradients are those of keeping everything", arguments: [true, false])
    func gradients(hasSecond: Bool) throws {
        let kept = try run(isRecomputed: false, hasSecond: hasSecond)
        #expect(kept.count == (hasSecond ? 5 : 4))
        #expect(try run(isRecomputed: true, hasSecond: hasSecond) == kept)
    }

    @Test("what a part needed is given up when nothing will ask for its gradients")
    func release() throws {
        final class Witness {}
        weak var witness: Witness?
        do {
            let owned = Witness()
            witness = owned
            let x = TrainingOperatorTests.random([2, 2], 1)
            x.setRequiresGradient(true)
            let result = recomputed(x * 2, nil) { a, _ in withExtendedLifetime(owned) { (a, a * 3) } }
            #expect(result.1.shape == [2, 2])
        }
        #expect(witness == nil)
    }
}
