import EttinFiles
import EttinModel
package import Torch

/// The moments of an optimizer as `optimizer.safetensors` of a checkpoint: `exp_avg.<key>` and `exp_avg_sq.<key>`.
package enum OptimizerFile {
    /// The name of the file.
    package static let name = "optimizer.safetensors"

    private static let first = "exp_avg."
    private static let second = "exp_avg_sq."

    /// Writes the file.
    ///
    /// - Parameters:
    ///   - state: The moments.
    ///   - keys: The keys of the parameters, in their order.
    ///   - others: More tensors by their full names.
    ///   - folder: The folder of the checkpoint.
    /// - Throws: `CheckpointError` when it cannot be written.
    package static func write(
        _ state: OptimizerState,
        keys: [String],
        others: StateDictionary = [],
        toFolder folder: String
    ) throws {
        let tensors =
            zip(keys, state.firstMoments).map { TensorToWrite(name: first + $0, tensor: $1) }
            + zip(keys, state.secondMoments).map { TensorToWrite(name: second + $0, tensor: $1) }
            + others.map { TensorToWrite(name: $0.key, tensor: $0.tensor) }
        try SafetensorsWriter.write(tensors, to: FilePath.joined(folder, name))
    }

    /// Reads the file into an optimizer.
    ///
    /// - Parameters:
    ///   - folder: The folder of the checkpoint.
    ///   - parameters: The parameters, in their order.
    ///   - stepCount: The number of updates that were made.
    ///   - state: What takes the moments.
    /// - Returns: The other tensors of the file.
    /// - Throws: `CheckpointError` when it is missing, malformed, or does not fit the parameters.
    @discardableResult
    package static func read(
        folder: String,
        parameters: StateDictionary,
        stepCount: Int,
        into state: OptimizerState
    ) throws -> StateDictionary {
        let path = FilePath.joined(folder, name)
        let file = try SafetensorsFile(path: path)
        let stored = try file.stateDictionary()
        let tensors = [String: Tensor](stored.map { ($0.key, $0.tensor) }, uniquingKeysWith: { $1 })
        func moments(_ prefix: String) throws -> [Tensor] {
            try parameters.map { key, parameter in
                guard let tensor = tensors[prefix + key] else {
                    throw CheckpointError(.missing, file: path, item: "\"\(prefix)\(key)\"", found: "is missing")
                }
                guard tensor.shape == parameter.shape, tensor.dtype == .float32 else {
                    throw CheckpointError(
                        .malformed,
                        file: path,
                        item: "\"\(prefix)\(key)\"",
                        found: "is \(tensor.dtype.rawValue) of shape \(tensor.shape)",
                        expected: "float32 of shape \(parameter.shape)"
                    )
                }
                return tensor
            }
        }
        state.restore(stepCount: stepCount, firstMoments: try moments(first), secondMoments: try moments(second))
        return stored.filter { !$0.key.hasPrefix(first) && !$0.key.hasPrefix(second) }
    }
}
