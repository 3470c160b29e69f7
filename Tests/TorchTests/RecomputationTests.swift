import Foundation
import Testing

@testable import Torch

@Suite struct RecomputationTests {
    /// The outputs, and the gradients of both inputs and of the weight.
    private func run(isRecomputed: Bool, hasSecond: Bool) throws -> [[Float]] {
        let first = TrainingOperatorTests.random([6, 8], 1)
        let second = hasSecond ? TrainingOperatorTests.random([6, 8], 2) : nil
        let weight = TrainingOperatorTests.random([8, 8], 3)
        for leaf in [first, weight] + (second.map { [$0] } ?? []) { leaf.setRequiresGradient(true) }
        let pass = DropoutContext(seed: 4)
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

    @Test("parameters inside get their gradients where no input requires any", arguments: [true, false])
    func frozenInputs(isRecomputed: Bool) throws {
        let input = TrainingOperatorTests.random([6, 8], 1)
        let (trained, frozen) = (TrainingOperatorTests.random([8, 8], 2), TrainingOperatorTests.random([8, 8], 3))
        trained.setRequiresGradient(true)
        // The first output needs no gradient at all.
        let body = { (a: Tensor, _: Tensor?) -> (Tensor, Tensor) in (a.linear(frozen), a.linear(trained).gelu()) }
        let (x, y) = isRecomputed ? recomputed(input, nil, body) : body(input, nil)
        ((x * 0.5).sum() + (y * 2).sum()).backward()
        let expected = input.linear(trained).gelu() * 2
        let before = try #require(trained.gradient).copy()
        trained.clearGradient()
        expected.sum().backward()
        #expect(try TrainingOperatorTests.difference(before, #require(trained.gradient)) < 1e-6)
    }

    @Test("nothing is recorded where neither inputs nor parameters ask for gradients")
    func frozenParts() {
        let input = TrainingOperatorTests.random([2, 2], 1)
        let (x, y) = recomputed(input, nil, hasTrainedParameters: false) { a, _ in (a, a * 3) }
        #expect(!x.requiresGradient && !y.requiresGradient)
    }

    /// More than any process has addresses for.
    private static func beyondMemory() -> Tensor { .full([1 << 46], 1) }

    @Test("a part that runs out of memory fails the recovery scope", arguments: [false, true])
    func outOfMemory(whileRecording: Bool) {
        let weight = TrainingOperatorTests.random([2, 2], 1)
        weight.setRequiresGradient(true)
        #expect {
            try withRecovery {
                let result = recomputed(weight * 2, nil) { a, _ in
                    // The part runs first without recording.
                    (a * 2).requiresGradient == whileRecording ? (a, Self.beyondMemory()) : (a, a * 3)
                }
                result.1.sum().backward()
            }
        } throws: { error in
            (error as? TorchError)?.kind == .outOfMemory
        }
        // The thread computes on.
        #expect(throws: Never.self) { try withRecovery { try (weight * 2).detached().sum().scalar() } }
    }

    /// libtorch takes gradients on another thread on CUDA, and where recomputed parts lie within each other too deep.
    @Test("a part that runs out of memory on a thread of the backward pass fails the scope that started it")
    func outOfMemoryElsewhere() {
        let weight = TrainingOperatorTests.random([2, 2], 1)
        weight.setRequiresGradient(true)
        let caller = pthread_self()
        var wasElsewhere = false
        func nested(_ depth: Int, _ a: Tensor) -> Tensor {
            recomputed(a, nil) { a, _ in
                guard depth == 0 else { return (a, nested(depth - 1, a)) }
                guard (a * 2).requiresGradient else { return (a, a * 3) }
                wasElsewhere = pthread_equal(pthread_self(), caller) == 0
                return (a, Self.beyondMemory())
            }.1
        }
        #expect {
            try withRecovery { nested(70, weight * 2).sum().backward() }
        } throws: { error in
            (error as? TorchError)?.kind == .outOfMemory
        }
        #expect(wasElsewhere)
    }
}
