import EttinFiles
import EttinJSON
public import Torch

/// What happens to a sequence's vector after pooling.
enum EmbeddingStep {
    case dense(DenseLayer)
    case normalize
}

/// A projection after pooling: `activation(weight · x + bias)`, plus `x` or a projection of it where there is a
/// residual.
///
/// > Source: sentence-transformers `base/modules/dense.py`.
final class DenseLayer: Module {
    @Child("linear") var linear: Linear
    @Child("residual") var residual: Linear?
    private let activation: DenseActivation
    private let usesResidual: Bool

    /// The widths of input and output.
    let (inputSize, outputSize): (Int, Int)

    /// Reads a projection's folder.
    init(folder: String, name: String) throws {
        let file = FilePath.joined(name, "config.json")
        var fields = ConfigurationFields(
            try JSONFile.object(
                path: FilePath.joined(folder, file),
                name: file,
                sizeLimit: JSONFile.settingsSizeLimit
            ),
            file: file
        )
        var (inputs, outputs) = (0, 0)
        var (hasBias, usesResidual) = (true, false)
        var activationName: String? = DenseActivation.tanh.rawValue
        fields.read("in_features", into: &inputs)
        fields.read("out_features", into: &outputs)
        fields.read("bias", into: &hasBias)
        fields.read("use_residual", into: &usesResidual)
        fields.read("activation_function", into: &activationName)
        for (key, size) in [("in_features", inputs), ("out_features", outputs)]
        where !(1...ConfigurationLimits.width).contains(size) {
            fields.refuse(key, "is \(size)", expected: "1 to \(ConfigurationLimits.width)")
        }
        // The class is what counts; where Python keeps it differs between versions.
        let className = activationName?.split(separator: ".").last.map(String.init) ?? ""
        guard let activation = DenseActivation(rawValue: className) else {
            fields.refuse(
                "activation_function",
                "is \(quoted(activationName ?? "null"))",
                expected: DenseActivation.allCases.map(\.rawValue).joined(separator: ", "),
                kind: .unsupported
            )
            throw CheckpointError(fields.problems)
        }
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        self.activation = activation
        self.usesResidual = usesResidual
        (inputSize, outputSize) = (inputs, outputs)
        super.init()
        try withRecovery {
            linear = Linear(inputs, outputs, hasBias: hasBias)
            residual = usesResidual && inputs != outputs ? Linear(inputs, outputs, hasBias: false) : nil
            try load(TensorStore.open(folder: FilePath.joined(folder, name)).stateDictionary())
        }
    }

    func callAsFunction(_ x: Tensor) -> Tensor {
        let y = activation(linear(x))
        guard usesResidual else { return y }
        return y + (residual?(x) ?? x)
    }
}

/// The activations a projection may name, by their Python classes.
enum DenseActivation: String, CaseIterable {
    case identity = "Identity"
    case tanh = "Tanh"
    case gelu = "GELU"
    case relu = "ReLU"
    case silu = "SiLU"
    case sigmoid = "Sigmoid"

    func callAsFunction(_ x: Tensor) -> Tensor {
        switch self {
        case .identity: x
        case .tanh: x.tanh()
        case .gelu: x.gelu()
        case .relu: x.relu()
        case .silu: x.silu()
        case .sigmoid: x.sigmoid()
        }
    }
}

extension Tensor {
    /// Rows divided by their Euclidean norm, which counts as at least 10⁻¹².
    public func normalized() -> Tensor {
        self / norm(along: -1, keepingDimensions: true).clamped(min: 1e-12)
    }
}
