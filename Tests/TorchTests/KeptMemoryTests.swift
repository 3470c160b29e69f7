import Testing

@testable import Torch

/// The limit is the whole process's, so one test runs at a time; tests beside these may use kept blocks, of other sizes.
@Suite("Kept memory", .serialized) struct KeptMemoryTests {
    private static let elements = 25_000_000

    /// Makes a tensor of 100 MB, lets it go and gives the mean of what it held.
    private func use(_ value: Double) throws -> Double {
        try Tensor.full([Self.elements], value).mean().scalar()
    }

    @Test("Memory of a tensor that is gone is kept up to the limit, and given back when asked") func keeps() throws {
        defer { TorchRuntime.setKeptMemoryLimit(bytes: 1 << 30) }
        TorchRuntime.setKeptMemoryLimit(bytes: 0)
        _ = try use(1)
        #expect(TorchRuntime.keptMemoryBytes == 0)
        TorchRuntime.setKeptMemoryLimit(bytes: 1 << 30)
        _ = try use(1)
        #expect(TorchRuntime.keptMemoryBytes >= 4 * Self.elements)
        TorchRuntime.releaseKeptMemory()
        #expect(TorchRuntime.keptMemoryBytes < 4 * Self.elements)
    }

    @Test("A kept block serves the next tensor, which sees nothing of the one before") func reuses() throws {
        for value in [1.0, 2, 4] { #expect(try use(value) == value) }
        #expect(try use(0) == 0)
    }

    @Test("Tensors of every size around the smallest kept block hold what was written") func sizes() throws {
        for count in [0, 1, 65_535, 65_536, 65_537, 524_287, 524_288, 524_289, 3_000_001] {
            let values = [Float](unsafeUninitializedCapacity: count) { buffer, filled in
                for index in 0..<count { buffer.initializeElement(at: index, to: Float(index % 1009)) }
                filled = count
            }
            let read: [Float] = try (Tensor(values, shape: [count]) + 1).array()
            #expect(read == values.map { $0 + 1 })
        }
    }

    /// In a process of its own: what other tests use counts too.
    @Test("What is kept never brings the whole far above what was in use at one time") func boundedByUse() async {
        await #expect(processExitsWith: .success) {
            TorchRuntime.setKeptMemoryLimit(bytes: .max)
            // None of these serves another: each is a third larger than the one before.
            var size = 4_000_000.0
            for _ in 0..<12 {
                _ = try Tensor.full([Int(size)], 1).mean().scalar()
                size *= 1.34
            }
            #expect(TorchRuntime.keptMemoryBytes < Int(1.55 * 4 * size / 1.34))
        }
    }
}
