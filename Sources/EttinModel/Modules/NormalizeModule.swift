import EttinJSON
public import Torch

/// Scales vectors to length 1.
///
/// > Source: sentence-transformers `base/modules/normalize.py`.
package final class NormalizeModule: Module, FeatureModule {
    package static let classPath = "sentence_transformers.models.Normalize"
    package static let newClassPath: String? = "sentence_transformers.base.modules.normalize.Normalize"

    private let names: FeatureNames

    package override convenience init() { self.init(names: FeatureNames()) }

    /// Scales the vectors of one feature.
    package convenience init(feature: String) { self.init(names: FeatureNames(feature)) }

    private init(names: FeatureNames) {
        self.names = names
        super.init()
    }

    package static func read(_ folder: FeatureModuleFolder) throws -> NormalizeModule {
        var fields = try folder.settings(isRequired: false)
        let names = FeatureNames(&fields, default: FeatureName.sentenceEmbedding)
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        return NormalizeModule(names: names)
    }

    package func connect(_ shapes: inout FeatureShapes) throws {
        let input = try shapes.shape(of: names.input)
        shapes.write(names.output, width: input.width, rows: input.rows)
    }

    package func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision) {
        let x = features[names.input]
        features[names.output] = (precision == .full ? x : x.to(.float32)).normalized()
    }

    package func write(_ folder: FeatureModuleFolder) throws {
        // Versions up to 5 have an empty folder.
        if !names.areDefault || folder.layout == .version6 { try folder.write(names.settings) }
    }
}

/// Which feature a module reads and which it writes, in its settings.
struct FeatureNames {
    private(set) var input = FeatureName.sentenceEmbedding
    private(set) var output = FeatureName.sentenceEmbedding

    var areDefault: Bool { input == FeatureName.sentenceEmbedding && output == input }

    /// Both keys, which versions from 6 read.
    var settings: JSONObject { ["module_input_name": .string(input), "module_output_name": .string(output)] }

    init() {}

    /// One feature, which is changed.
    init(_ feature: String) { (input, output) = (feature, feature) }

    /// The embedding of a sequence as the input.
    init(output: String) { self.output = output }

    /// Reads both keys; a module writes what it reads unless its settings say otherwise.
    init(_ fields: inout ConfigurationFields, default name: String) {
        var (given, result): (String?, String?) = (nil, nil)
        fields.read("module_input_name", into: &given)
        fields.read("module_output_name", into: &result)
        input = given ?? name
        output = result ?? input
    }
}

extension Tensor {
    /// L2-normalises each row of `[rows, width]`: `x / max(‖x‖₂, 10⁻¹²)`, as `torch.nn.functional.normalize`.
    public func normalized() -> Tensor {
        self / norm(along: -1, keepingDimensions: true).clamped(min: 1e-12)
    }
}
