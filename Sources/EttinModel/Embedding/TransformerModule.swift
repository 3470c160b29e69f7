package import Torch

/// The transformer: token ids to hidden states.
///
/// > Source: sentence-transformers `base/modules/transformer.py`.
package final class TransformerModule: Module, FeatureModule {
    package static let classPath = "sentence_transformers.models.Transformer"

    @Child("") package var trunk: ModernBERT

    package init(_ trunk: ModernBERT) {
        super.init()
        self.trunk = trunk
    }

    package static func read(_ folder: FeatureModuleFolder) throws -> TransformerModule {
        TransformerModule(try ModernBERT.load(folder: folder.path, dtype: folder.dtype, device: folder.device))
    }

    package func connect(_ shapes: inout FeatureShapes) throws {
        guard shapes.latest == nil else {
            throw CheckpointError(
                .unsupported,
                file: FeatureModules.file,
                item: shapes.place,
                found: "is not the first module",
                expected: "one Transformer, in first place"
            )
        }
        shapes.write(FeatureName.tokenEmbeddings, width: trunk.configuration.hiddenSize, rows: .tokens)
    }

    package func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision) {
        features[FeatureName.tokenEmbeddings] = trunk(features.batch, training: training, precision: precision)
    }

    package func write(_ folder: FeatureModuleFolder) throws {
        try trunk.save(folder: folder.path, shardSize: folder.shardSize, format: folder.format)
    }
}
