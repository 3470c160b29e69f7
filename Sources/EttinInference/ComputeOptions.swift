import EttinModel
public import Torch

/// Where and in which precision a model computes.
public struct ComputeOptions: Sendable, Hashable {
    /// The device that holds the model.
    public var device: Device
    /// The type to compute in; nil for that of the files.
    public var dtype: ComputeDType?

    /// Creates options.
    ///
    /// - Parameters:
    ///   - device: The device that holds the model.
    ///   - dtype: The type to compute in; nil for that of the files.
    public init(device: Device = .cpu, dtype: ComputeDType? = nil) {
        self.device = device
        self.dtype = dtype
    }

    /// The type to convert parameters to; nil for that of the files.
    var parameterDType: DType? {
        switch dtype {
        case .float32: .float32
        case .bfloat16: .bfloat16
        case .int8, nil: nil
        }
    }

    /// Prepacks the weights of a loaded trunk where the device computes with packed ones.
    ///
    /// - Throws: ``InferenceError`` for a precision that the device does not have; `TorchError` without memory.
    func prepare(_ trunk: ModernBERT) throws {
        if let precision = try packing(for: trunk) { try withRecovery { trunk.prepackWeights(precision) } }
    }

    /// As for a trunk, with the model's head.
    func prepare(_ model: LanguageModel) throws {
        if let precision = try packing(for: model.trunk) { try withRecovery { model.prepackWeights(precision) } }
    }

    /// The precision to pack weights in; nil where the model is used as it is.
    private func packing(for model: ModernBERT) throws -> ComputeDType? {
        guard device == .cpu else {
            if dtype == .int8 {
                throw InferenceError.invalidOption(
                    name: "dtype",
                    found: "int8 on \(device)",
                    expected: "float32 or bfloat16 there; int8 is for the CPU"
                )
            }
            return nil
        }
        let precision: ComputeDType? =
            switch model.parameterDType {
            case .float32: .float32
            case .bfloat16: .bfloat16
            default: nil
            }
        guard dtype == .int8 else { return precision }
        guard precision != nil else {
            throw InferenceError.invalidOption(
                name: "dtype",
                found: "int8 for a model in \(model.parameterDType.rawValue)",
                expected: "int8 for models in float32 or bfloat16"
            )
        }
        return .int8
    }
}
