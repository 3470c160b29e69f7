import Testing

@testable import Torch

@Suite struct TensorTests {
    @Test func arithmeticBroadcastsAndReadsBack() throws {
        let a = Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])
        let b = Tensor([10, 20] as [Float])
        #expect(try (a + b).array(of: Float.self) == [11, 22, 13, 24])
        #expect(try (a * 2 - 1).array(of: Float.self) == [1, 3, 5, 7])
        #expect(try a.sum(along: 1).array(of: Float.self) == [3, 7])
        #expect(try a.matmul(b.reshaped(2, 1)).array(of: Float.self) == [50, 110])
        #expect(try a.topK(1).indices.array(of: Int64.self) == [1, 1])
    }

    @Test(arguments: DType.allCases)
    func everyDTypeKeepsItsIdentityThroughLibtorch(dtype: DType) {
        let tensor = Tensor.uninitialized([3], dtype)
        #expect(tensor.dtype == dtype)
        #expect(tensor.elementCount == 3)
        #expect(DType(dtype.cValue) == dtype)
    }

    @Test func bytesRoundTripInEveryShape() throws {
        let values: [Int32] = [3, -1, 7, 9, 0, 2]
        let tensor = Tensor(values, shape: [3, 2])
        #expect(try tensor.transposed(0, 1).array(of: Int32.self) == [3, 7, 0, -1, 9, 2])
        #expect(try tensor.narrowed(along: 0, from: 1, count: 2).array(of: Int32.self) == [7, 9, 0, 2])
        #expect(try Tensor([Float]()).array(of: Float.self) == [])
    }

    @Test func gradientsFlowThroughProductsAndStopInsideScopes() throws {
        let x = Tensor([2, 3] as [Float])
        x.setRequiresGradient(true)
        (x * x).sum().backward()
        #expect(try x.gradient?.array(of: Float.self) == [4, 6])
        x.clearGradient()
        #expect(x.gradient == nil)
        let y = withoutGradients { (x * x).sum() }
        #expect(!y.requiresGradient)
    }

    @Test func borrowedMemoryLivesAsLongAsTheTensor() throws {
        final class Owner {
            let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 8)
            deinit { bytes.deallocate() }
        }
        weak var observed: Owner?
        do {
            let owner = Owner()
            observed = owner
            owner.bytes.storeBytes(of: 1.5, as: Float.self)
            owner.bytes.storeBytes(of: 2.5, toByteOffset: 4, as: Float.self)
            let tensor = Tensor(
                borrowing: UnsafeRawBufferPointer(owner.bytes),
                owner: owner,
                shape: [2],
                dtype: .float32
            )
            #expect(try tensor.array(of: Float.self) == [1.5, 2.5])
        }
        #expect(observed == nil)
    }

    @Test func runningOutOfMemoryIsThrownByTheScopeAndLaterWorkIsSkipped() throws {
        #expect {
            try withRecovery {
                let huge = Tensor.zeros([1 << 40, 1 << 10])
                #expect((huge + 1).size(0) == 0)
            }
        } throws: { error in
            (error as? TorchError)?.kind == .outOfMemory
        }
        #expect(try (Tensor.ones([1]) + 1).array(of: Float.self) == [2])
    }

    @Test func anAttemptThatFailsIsNoFailureOfItsScope() throws {
        func attempts() throws {
            let outcome = attempt { Tensor.zeros([1 << 40, 1 << 10]) }
            #expect(outcome == nil && !recoveryScopeHasFailed)
            #expect(try attempt { Tensor.ones([2]) }?.array(of: Float.self) == [1, 1])
        }
        try attempts()
        try withRecovery(attempts)
        #expect(throws: TorchError.self) {
            try withRecovery {
                _ = Tensor.zeros([1 << 40, 1 << 10])
                let outcome = attempt { Tensor.ones([2]) }
                #expect(outcome == nil && recoveryScopeHasFailed)
            }
        }
    }

    @Test(arguments: ["", "gpu", "cuda:x", "cpu:0:1", "cpu:7"])
    func unknownDevicesAreNamed(name: String) {
        #expect(throws: DeviceError.self) { try Device(name) }
    }
}
