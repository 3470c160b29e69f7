import EttinModel
public import Torch

/// Where and in which precision a model computes.
public struct ComputeOptions: Sendable, Hashable {
    /// The device that holds the model.
    public var device: Device
    /// Compute dtype; nil for that of the weights, float32 for those in float16 on the CPU.
    public var dtype: ComputeDType?

    /// Creates options.
    ///
    /// - Parameters:
    ///   - device: The device that holds the model.
    ///   - dtype: Compute dtype; nil for that of the weights, float32 for those in float16 on the CPU.
    public init(device: Device = .cpu, dtype: ComputeDType? = nil) {
        self.device = device
        self.dtype = dtype
    }

    /// The type to convert parameters to; nil for that of the files.
    var parameterDType: DType? {
        switch dtype {
        case .float32: .float32
        case .bfloat16: .bfloat16
        case .float16: .float16
        case .int8, nil: nil
        }
    }

    /// Widens a loaded model from float16 to float32 where the CPU is to compute and nobody asked for float16.
    ///
    /// libtorch's CPU products in float16 are slower than those in float32, and 1e-3 away from them.
    ///
    /// - Parameter model: A model as loaded.
    /// - Returns: A sentence that says so, if it was done without being asked for.
    /// - Throws: `TorchError` without memory.
    func widen(_ model: Module) throws -> [String] {
        guard device == .cpu, dtype != .float16, model.parameters.contains(where: { $0.tensor.dtype == .float16 })
        else { return [] }
        try withRecovery { model.convert(to: .float32, on: .cpu) }
        guard dtype == nil else { return [] }
        return ["the weights are float16 and computed in float32; --dtype float16 computes in float16, as stored"]
    }

    /// Prepacks the weights of a loaded trunk where the device computes with packed ones.
    ///
    /// - Throws: ``InferenceError`` for a precision that the device does not have; `TorchError` without memory.
    func prepare(_ trunk: ModernBERT, _ divergence: Divergence) throws {
        if let precision = try packing(for: trunk) {
            try requireFinite(trunk, precision, divergence)
            try withRecovery { trunk.prepackWeights(precision) }
        }
    }

    /// As for a trunk, with the model's head.
    func prepare(_ model: LanguageModel, _ divergence: Divergence) throws {
        if let precision = try packing(for: model.trunk) {
            try requireFinite(model.trunk, precision, divergence)
            try withRecovery { model.prepackWeights(precision) }
        }
    }

    /// As for a trunk, with the model's head.
    func prepare(_ model: some ClassifierModel, _ divergence: Divergence) throws {
        if let precision = try packing(for: model.trunk) {
            try requireFinite(model.trunk, precision, divergence)
            try withRecovery { model.prepackWeights(precision) }
        }
    }

    /// As for a trunk, for each transformer of a chain of modules.
    func prepare(_ chain: ModuleChain, _ divergence: Divergence) throws {
        guard !chain.transformers.isEmpty || dtype != .int8 else {
            throw InferenceError.invalidOption(
                name: "dtype",
                found: "int8 for a model without a transformer",
                expected: "float32 or bfloat16"
            )
        }
        for module in chain.transformers {
            switch module.model {
            case .trunk(let trunk): try prepare(trunk, divergence)
            case .languageModel(let model): try prepare(model, divergence)
            case .classifier(let model): try prepare(model, divergence)
            }
        }
    }

    /// Refuses to round weights that are no finite numbers to integers.
    private func requireFinite(_ trunk: ModernBERT, _ precision: ComputeDType, _ divergence: Divergence) throws {
        guard precision == .int8 else { return }
        for (_, weight) in trunk.parameters where weight.elementCount > 0 {
            let bounds = try withRecovery { try [weight.max(), weight.min()].map { try $0.to(.float32).scalar() } }
            guard bounds.allSatisfy(\.isFinite) else { throw divergence.error("the scale of an int8 weight") }
        }
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
