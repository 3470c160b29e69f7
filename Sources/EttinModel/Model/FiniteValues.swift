import EttinFiles
import Torch

extension TensorStore {
    /// A tensor that holds a value which is no finite number, as training leaves it when it has diverged.
    package struct NonFiniteTensor {
        /// The name in the file.
        package let name: String
        /// `NaN` or `infinity`.
        package let value: String
    }

    /// The first tensor with NaN or infinity.
    ///
    /// - Parameter maxElementCount: Larger tensors are passed over; nil reads all of them.
    /// - Returns: Nil when every value that was read is finite.
    /// - Throws: `CheckpointError` when values cannot be read; `TorchError` when memory runs out.
    package func firstNonFiniteTensor(maxElementCount: Int? = nil) throws -> NonFiniteTensor? {
        for name in names {
            guard let descriptor = descriptor(name), descriptor.elementCount > 0 else { continue }
            guard let dtype = descriptor.dtype.torch, dtype.isFloatingPoint else { continue }
            if let maxElementCount, descriptor.elementCount > maxElementCount { continue }
            let values = try tensor(name)
            // Both keep NaN, and neither needs memory for what it looks at.
            let bounds: [Double] = try withRecovery {
                let read = dtype.byteCount == 1 ? values.to(.float32) : values
                return try [read.max(), read.min()].flatMap { try $0.to(.float64).array() }
            }
            if bounds.contains(where: \.isNaN) { return NonFiniteTensor(name: name, value: "NaN") }
            if bounds.contains(where: \.isInfinite) { return NonFiniteTensor(name: name, value: "infinity") }
        }
        return nil
    }

    /// Refuses weights with NaN or infinity.
    ///
    /// - Parameter folder: The folder, for the message.
    /// - Throws: `CheckpointError` that names the first such tensor.
    package func requireFiniteValues(folder: String) throws {
        guard let tensor = try firstNonFiniteTensor() else { return }
        throw CheckpointError(
            .unsupported,
            file: folder,
            item: "tensor \(quoted(tensor.name))",
            found: "holds \(tensor.value): the training that wrote it has diverged",
            expected: "an earlier checkpoint, with finite weights"
        )
    }
}
