import EttinJSON
package import Torch

/// A layer norm with a bias over the embedding of a sequence; not the trunk's norm, which has none.
///
/// > Source: sentence-transformers `sentence_transformer/modules/layer_norm.py`.
package final class LayerNormModule: Module, FeatureModule {
    package static let classPath = "sentence_transformers.models.LayerNorm"
    package static let newClassPath: String? = "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm"

    @Child("norm") package var norm: LayerNorm
    /// That of `torch.nn.LayerNorm`, which no file states.
    static let epsilon = 1e-5
    private let size: Int

    /// Creates a norm with uninitialised parameters, to be loaded or initialised.
    package init(_ size: Int) {
        self.size = size
        super.init()
        norm = LayerNorm(size, epsilon: Self.epsilon, hasBias: true)
    }

    package static func read(_ folder: FeatureModuleFolder) throws -> LayerNormModule {
        var fields = try folder.settings(isRequired: true)
        var size = 0
        fields.read("dimension", into: &size)
        if fields.problems.isEmpty, !(1...ConfigurationLimits.width).contains(size) {
            fields.refuse("dimension", "is \(size)", expected: "1 to \(ConfigurationLimits.width)")
        }
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        return try withRecovery {
            let module = LayerNormModule(size)
            try folder.load(module)
            return module
        }
    }

    package func connect(_ shapes: inout FeatureShapes) throws {
        let input = try shapes.shape(of: FeatureName.sentenceEmbedding)
        guard input.width == size else {
            throw CheckpointError(
                .malformed,
                file: FeatureModules.file,
                item: "\"dimension\" of a LayerNorm module",
                found: "is \(size)",
                expected: "\(input.width), the width before it"
            )
        }
        shapes.write(FeatureName.sentenceEmbedding, width: size, rows: input.rows)
    }

    package func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision) {
        features[FeatureName.sentenceEmbedding] = norm(features[FeatureName.sentenceEmbedding])
    }

    package func write(_ folder: FeatureModuleFolder) throws {
        try folder.write(["dimension": JSONValue(size)])
        try folder.write(baseParameters)
    }
}
