import EttinFiles
import EttinJSON
package import Torch

/// A projection: `activation(weight · x + bias)`, plus `x` or a projection of it where there is a residual.
///
/// > Source: sentence-transformers `base/modules/dense.py`.
package final class DenseModule: Module, FeatureModule {
    package static let classPath = "sentence_transformers.models.Dense"
    package static let newClassPath: String? = "sentence_transformers.base.modules.dense.Dense"

    @Child("linear") package var linear: Linear
    @Child("residual") package var residual: Linear?
    let activation: Activation
    private let usesResidual: Bool
    private let names: FeatureNames

    /// Creates a projection of the embedding of a sequence with uninitialised parameters, to be loaded or initialised.
    package convenience init(
        _ inputSize: Int,
        _ outputSize: Int,
        hasBias: Bool = true,
        activation: Activation = .tanh,
        usesResidual: Bool = false,
        output: String = FeatureName.sentenceEmbedding
    ) {
        precondition(activation.classPath != nil, "a Dense module cannot have \(activation.rawValue)")
        self.init(inputSize, outputSize, hasBias, activation, usesResidual, FeatureNames(output: output))
    }

    /// Whether nothing is added to the projection.
    var isPlain: Bool { !usesResidual }

    /// Makes a projection of a weight alone.
    ///
    /// - Parameters:
    ///   - weight: `[outputs, inputs]`.
    ///   - feature: The feature that is projected.
    convenience init(projecting weight: Tensor, feature: String) {
        self.init(weight.size(1), weight.size(0), false, .identity, false, FeatureNames(feature))
        linear.weight = weight
    }

    /// Makes a projection of the vectors of tokens as torch initialises a new one: weight and bias are uniform up to
    /// 1/√`inputSize` on either side of 0.
    ///
    /// - Parameters:
    ///   - inputSize: The width of a vector.
    ///   - outputSize: The width that it gets.
    ///   - hasBias: Whether a bias is added.
    ///   - generator: What draws.
    ///
    /// > Source: torch `nn.Linear.reset_parameters`.
    package convenience init(newFrom inputSize: Int, to outputSize: Int, hasBias: Bool, _ generator: Philox) {
        self.init(inputSize, outputSize, hasBias, .identity, false, FeatureNames(FeatureName.tokenEmbeddings))
        let bound = 1 / Double(inputSize).squareRoot()
        let count = inputSize * outputSize
        let values = generator.uniforms(count: count + (hasBias ? outputSize : 0)).map {
            Float((Double($0) * 2 - 1) * bound)
        }
        linear.weight = Tensor(Array(values[..<count]), shape: [outputSize, inputSize])
        if hasBias { linear.bias = Tensor(Array(values[count...]), shape: [outputSize]) }
    }

    /// The same projection, of the vectors of tokens.
    package func ofTokens() -> DenseModule {
        let (inputs, outputs) = (linear.inputSize, linear.outputSize)
        let names = FeatureNames(FeatureName.tokenEmbeddings)
        let module = DenseModule(inputs, outputs, linear.bias != nil, activation, usesResidual, names)
        module.linear = linear
        module.residual = residual
        return module
    }

    /// The widths of the vectors before and after.
    package var sizes: (input: Int, output: Int) { (linear.inputSize, linear.outputSize) }

    private init(
        _ inputSize: Int,
        _ outputSize: Int,
        _ hasBias: Bool,
        _ activation: Activation,
        _ usesResidual: Bool,
        _ names: FeatureNames
    ) {
        self.activation = activation
        self.usesResidual = usesResidual
        self.names = names
        super.init()
        linear = Linear(inputSize, outputSize, hasBias: hasBias)
        residual = usesResidual && inputSize != outputSize ? Linear(inputSize, outputSize, hasBias: false) : nil
    }

    package static func read(_ folder: FeatureModuleFolder) throws -> DenseModule {
        var fields = try folder.settings(isRequired: true)
        var (inputs, outputs) = (0, 0)
        var (hasBias, usesResidual) = (true, false)
        var activationName = Activation.tanh.classPath
        fields.read("in_features", into: &inputs)
        fields.read("out_features", into: &outputs)
        let areNumbers = fields.problems.isEmpty
        fields.read("bias", into: &hasBias)
        fields.read("use_residual", into: &usesResidual)
        fields.read("activation_function", into: &activationName)
        let names = FeatureNames(&fields, default: folder.defaultFeature)
        for (key, size) in [("in_features", inputs), ("out_features", outputs)]
        where areNumbers && !(1...ConfigurationLimits.width).contains(size) {
            fields.refuse(key, "is \(size)", expected: "1 to \(ConfigurationLimits.width)")
        }
        guard let activation = Activation(classPath: activationName ?? "") else {
            fields.refuse(
                "activation_function",
                "is \(quoted(activationName ?? "null"))",
                expected: Activation.knownClasses,
                kind: .unsupported
            )
            throw CheckpointError(fields.problems)
        }
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        return try withRecovery {
            let module = DenseModule(inputs, outputs, hasBias, activation, usesResidual, names)
            try folder.load(module)
            return module
        }
    }

    package func connect(_ shapes: inout FeatureShapes) throws {
        let input = try shapes.shape(of: names.input)
        guard linear.inputSize == input.width else {
            throw CheckpointError(
                .malformed,
                file: FeatureModules.file,
                item: "\"in_features\" of a Dense module",
                found: "is \(linear.inputSize)",
                expected: "\(input.width), the width before it"
            )
        }
        shapes.write(names.output, width: linear.outputSize, rows: input.rows)
    }

    package func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision) {
        let x = features[names.input]
        let y = activation(linear(x, training: training))
        features[names.output] = usesResidual ? y + (residual?(x, training: training) ?? x) : y
    }

    package func write(_ folder: FeatureModuleFolder) throws {
        var settings: JSONObject = [
            "in_features": JSONValue(linear.inputSize), "out_features": JSONValue(linear.outputSize),
            "bias": JSONValue(linear.bias != nil), "activation_function": .string(activation.classPath ?? ""),
        ]
        // Older versions refuse keys that they do not know.
        if usesResidual { settings["use_residual"] = true }
        if !names.areDefault || folder.layout == .version6 {
            for member in names.settings { settings[member.key] = member.value }
        }
        try folder.write(settings)
        try folder.write(baseParameters)
    }

    /// Writes what PyLate reads, whose projections are always of the vectors of tokens.
    func writeForPyLate(_ folder: FeatureModuleFolder) throws {
        try folder.write([
            "in_features": JSONValue(linear.inputSize), "out_features": JSONValue(linear.outputSize),
            "bias": JSONValue(linear.bias != nil), "activation_function": .string(activation.classPath ?? ""),
            "use_residual": JSONValue(usesResidual),
        ])
        try folder.write(baseParameters)
    }
}

extension Activation {
    /// The activations a projection may name, by their Python classes.
    package static let classNames: [(Activation, name: String)] = [
        (.identity, "Identity"), (.tanh, "Tanh"), (.gelu, "GELU"), (.relu, "ReLU"), (.silu, "SiLU"),
        (.sigmoid, "Sigmoid"),
    ]

    /// What messages expect instead of another class.
    package static var knownClasses: String { "torch's " + classNames.map(\.name).joined(separator: ", ") }

    /// Finds an activation by the path of its class; nil for one that is not torch's, or not known.
    ///
    /// The last part of the path is what counts: where torch keeps a class differs between versions.
    package init?(classPath: String) {
        let name = FeatureModules.className(ofPath: classPath)
        guard classPath.hasPrefix("torch."), let found = Self.classNames.first(where: { $0.name == name }) else {
            return nil
        }
        self = found.0
    }

    /// The path of the class in torch; nil for those that no class of torch computes without settings.
    package var classPath: String? {
        Self.classNames.first { $0.0 == self }.map {
            "torch.nn.modules.\(self == .identity ? "linear" : "activation").\($0.name)"
        }
    }
}
