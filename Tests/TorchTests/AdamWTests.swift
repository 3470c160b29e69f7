import Testing

@testable import Torch

@Suite struct AdamWTests {
    /// Values of torch.optim.AdamW 2.13 with lr 0.01 (0.005 in the third step), betas 0.9 and 0.98, eps 1e-6 and weight
    /// decay 0.1; gradients of step t are [0.1 t, -0.2, 3 / t, 0] and [[0.01], [-5 t]].
    static let expected: [(first: [Float], second: [Float])] = [
        ([0.48950011, -0.98900008, 1.988, 0.0999], [0.98900104, -0.23975]),
        ([0.47938651, -0.97801119, 1.9766634, 0.099800102], [0.9780131, -0.2298861]),
        ([0.47438291, -0.97252214, 1.9712816, 0.099750198], [0.97252452, -0.22500722]),
    ]

    @Test func stepsAsTorchDoes() throws {
        let first = Tensor([0.5, -1, 2, 0.1] as [Float])
        let second = Tensor([1, -0.25] as [Float], shape: [2, 1])
        // Without a gradient a parameter stays as it is.
        let untouched = Tensor([7] as [Float])
        for parameter in [first, second, untouched] { parameter.setRequiresGradient(true) }
        let optimizer = AdamW(
            [first, untouched, second],
            learningRate: 0.01,
            betas: (0.9, 0.98),
            epsilon: 1e-6,
            weightDecay: 0.1
        )
        for (index, values) in Self.expected.enumerated() {
            let t = Float(index + 1)
            if t == 3 { optimizer.learningRate = 0.005 }
            // The gradient of a sum of products is the other factor.
            let slopes = (Tensor([0.1 * t, -0.2, 3 / t, 0]), Tensor([0.01, -5 * t], shape: [2, 1]))
            ((first * slopes.0).sum() + (second * slopes.1).sum()).backward()
            optimizer.step()
            optimizer.clearGradients()
            for (value, other) in zip(try first.detached().array(of: Float.self), values.first) {
                #expect(abs(value - other) < 1e-6)
            }
            for (value, other) in zip(try second.detached().array(of: Float.self), values.second) {
                #expect(abs(value - other) < 1e-6)
            }
            #expect(first.gradient == nil)
        }
        #expect(optimizer.state.stepCount == 3)
        #expect(try untouched.detached().array(of: Float.self) == [7])
    }

    final class Memory {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 8)
        init() { bytes.initializeMemory(as: UInt8.self, repeating: 0) }
        deinit { bytes.deallocate() }

        var tensor: Tensor {
            Tensor(borrowing: UnsafeRawBufferPointer(bytes), owner: self, shape: [4], dtype: .float32)
        }
    }

    @Test func tensorsOverBorrowedMemoryAreKnownAndTheirCopiesAreNot() {
        let borrowed = Memory().tensor
        #expect(borrowed.isBorrowed && borrowed.narrowed(along: 0, from: 1, count: 2).isBorrowed)
        #expect(!borrowed.copy().isBorrowed && !borrowed.to(.bfloat16).isBorrowed && !Tensor.zeros([4]).isBorrowed)
    }

    @Test func aStepThatWouldWriteIntoAFileTraps() async throws {
        let result = try await #require(
            processExitsWith: .failure,
            observing: [\.standardErrorContent]
        ) {
            let parameter = Memory().tensor
            parameter.setRequiresGradient(true)
            (parameter * 2).sum().backward()
            AdamW([parameter]).step()
        }
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text.contains("AdamW.step") && text.contains("cannot be changed in place"), "\(text)")
    }

    @Test func aKeyThatWouldBeCachedInAFileTraps() async throws {
        let result = try await #require(
            processExitsWith: .failure,
            observing: [\.standardErrorContent]
        ) {
            _ = Tensor.decodingStep(
                projections: .zeros([1, 3, 1, 2]),
                rotation: Rotation(cosines: .ones([1, 1]), sines: .zeros([1, 1])),
                keys: Memory().tensor.reshaped(1, 2, 1, 2),
                values: .zeros([1, 2, 1, 2]),
                places: CachePlaces(pages: [[0]], pageSize: 2, counts: [1], newPlaces: [0])
            )
        }
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text.contains("decodingStep") && text.contains("cannot be changed in place"), "\(text)")
    }

    @Test func memoryThatCannotBeLentIsReleasedOnce() {
        weak var observed: Memory?
        do {
            let memory = Memory()
            observed = memory
            #expect(throws: TorchError.self) {
                try withRecovery {
                    _ = Tensor.uninitialized([1 << 50])
                    _ = memory.tensor
                }
            }
            #expect(observed != nil)
        }
        #expect(observed == nil)
    }
}
