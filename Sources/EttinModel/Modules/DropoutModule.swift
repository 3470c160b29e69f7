import EttinJSON
package import Torch

/// Dropout of the embedding of a sequence, in training.
///
/// > Source: sentence-transformers `sentence_transformer/modules/dropout.py`.
package final class DropoutModule: Module, FeatureModule {
    package static let classPath = "sentence_transformers.models.Dropout"
    package static let newClassPath: String? =
        "sentence_transformers.sentence_transformer.modules.dropout.Dropout"

    private let probability: Double
    private var place = 0
    private var isOfSequences = true

    package init(_ probability: Double) {
        self.probability = probability
        super.init()
    }

    package static func read(_ folder: FeatureModuleFolder) throws -> DropoutModule {
        var fields = try folder.settings(isRequired: true)
        var probability = 0.2
        fields.read("dropout", into: &probability)
        if !(0..<1).contains(probability) {
            fields.refuse("dropout", "is \(probability)", expected: "0 or more, and less than 1")
        }
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        return DropoutModule(probability)
    }

    package func connect(_ shapes: inout FeatureShapes) throws {
        let input = try shapes.shape(of: FeatureName.sentenceEmbedding)
        place = DropoutPlace.module(shapes.count)
        isOfSequences = input.rows == .sequences
        shapes.write(FeatureName.sentenceEmbedding, width: input.width, rows: input.rows)
    }

    package func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision) {
        let x = features[FeatureName.sentenceEmbedding]
        features[FeatureName.sentenceEmbedding] =
            isOfSequences
            ? x.dropout(ofSequences: probability, training, place: place)
            : x.dropout(probability, training, place: place)
    }

    package func write(_ folder: FeatureModuleFolder) throws { try folder.write(["dropout": JSONValue(probability)]) }
}
