import EttinModel
public import Torch

/// Where and in which precision a model computes.
public struct ComputeOptions: Sendable, Hashable {
    /// The device that holds the model.
    public var device: Device
    /// The type of weights and hidden states; nil for that of the files.
    public var dtype: DType?
    /// The precision of the layers' products on the CPU; nil for that of `dtype`.
    ///
    /// With int8, embeddings, norms and the heads over the trunk stay in `dtype`.
    public var weightPrecision: WeightPrecision?

    /// Creates options.
    ///
    /// - Parameters:
    ///   - device: The device that holds the model.
    ///   - dtype: The type of weights and hidden states; nil for that of the files.
    ///   - weightPrecision: The precision of the layers' products on the CPU; nil for that of `dtype`.
    public init(device: Device = .cpu, dtype: DType? = nil, weightPrecision: WeightPrecision? = nil) {
        self.device = device
        self.dtype = dtype
        self.weightPrecision = weightPrecision
    }

    /// Packs the weights of a loaded trunk where the device computes with packed ones.
    ///
    /// - Throws: ``InferenceError`` for a precision that the device does not have; `TorchError` without memory.
    func prepare(_ trunk: ModernBERT) throws {
        if let precision = try packing(for: trunk) { try withRecovery { trunk.packForInference(precision) } }
    }

    /// As for a trunk, with the model's head.
    func prepare(_ model: LanguageModel) throws {
        if let precision = try packing(for: model.trunk) { try withRecovery { model.packForInference(precision) } }
    }

    private func packing(for model: ModernBERT) throws -> WeightPrecision? {
        guard device == .cpu else {
            guard weightPrecision == nil else {
                throw InferenceError.invalidOption(
                    name: "dtype",
                    found: "\(weightPrecision?.rawValue ?? "") on \(device)",
                    expected: "float32 or bfloat16; packed weights are for the CPU"
                )
            }
            return nil
        }
        switch model.parameterDType {
        case .float32: return weightPrecision ?? .float32
        case .bfloat16: return weightPrecision ?? .bfloat16
        default:
            guard weightPrecision == nil else {
                throw InferenceError.invalidOption(
                    name: "dtype",
                    found: "\(weightPrecision?.rawValue ?? "") for a \(model.parameterDType.rawValue) model",
                    expected: "weights in float32 or bfloat16"
                )
            }
            return nil
        }
    }
}
