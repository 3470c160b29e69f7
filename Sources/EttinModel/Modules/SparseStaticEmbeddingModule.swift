import EttinJSON
package import Torch

/// A weight for each entry of the vocabulary, given to each entry that occurs in a text, however often.
///
/// > Source: sentence-transformers `sparse_encoder/modules/sparse_static_embedding.py`.
package final class SparseStaticEmbeddingModule: Module, FeatureModule {
    package static let classPath = "sentence_transformers.sparse_encoder.models.SparseStaticEmbedding"
    package static let readsTokens = true

    /// `[vocabulary]`.
    @Parameter("weight") package var weight: Tensor
    private let isFrozen: Bool
    private let folder: String

    package init(_ weight: Tensor, isFrozen: Bool = false, folder: String = "") {
        self.isFrozen = isFrozen
        self.folder = folder
        super.init()
        self.weight = weight
    }

    package static func read(_ folder: FeatureModuleFolder) throws -> SparseStaticEmbeddingModule {
        var fields = try folder.settings(isRequired: false)
        var isFrozen = false
        fields.read("frozen", into: &isFrozen)
        if let path = fields.value("path"), !path.isNull {
            fields.refuse("path", "is \(path.text())", expected: "weights in model.safetensors", kind: .unsupported)
        }
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        let weight = try folder.matrix(["weight"], rank: 1)
        return SparseStaticEmbeddingModule(
            weight.to(folder.dtype ?? weight.dtype, folder.device),
            isFrozen: isFrozen,
            folder: folder.path
        )
    }

    package func input(for task: String?) -> ModuleInput? {
        ModuleInput(folder: folder, addsSpecialTokens: false, vocabularySize: weight.size(0))
    }

    package func connect(_ shapes: inout FeatureShapes) throws {
        if shapes.contains(FeatureName.sentenceEmbedding) {
            let width = try shapes.width(of: FeatureName.sentenceEmbedding, with: .sequences)
            guard width == weight.size(0) else {
                throw CheckpointError(
                    .malformed,
                    file: FeatureModules.file,
                    item: shapes.place,
                    found: "has weights for \(weight.size(0)) tokens",
                    expected: "\(width), the width before it"
                )
            }
        }
        shapes.write(FeatureName.sentenceEmbedding, width: weight.size(0), rows: .sequences)
    }

    package func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision) {
        let (batch, size) = (features.batch, weight.size(0))
        var occurs = [Float](repeating: 0, count: batch.sequenceCount * size)
        for sequence in 0..<batch.sequenceCount {
            for row in batch.range(of: sequence) { occurs[sequence * size + Int(batch.inputIDs[row])] = 1 }
        }
        let weights = Tensor(occurs, shape: [batch.sequenceCount, size]).to(weight.device) * weight.to(.float32)
        features[FeatureName.sentenceEmbedding] =
            features.tensor(FeatureName.sentenceEmbedding).map { weights * $0 } ?? weights
    }

    package func write(_ folder: FeatureModuleFolder) throws {
        try folder.write(["frozen": JSONValue(isFrozen)])
        try folder.write(baseParameters)
    }
}
