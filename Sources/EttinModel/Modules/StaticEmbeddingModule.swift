import EttinFiles
import EttinJSON
package import Torch

/// A vector for each token, whatever stands around it; a text gets the mean of its tokens' vectors.
///
/// > Source: sentence-transformers `sentence_transformer/modules/static_embedding.py`.
package final class StaticEmbeddingModule: Module, FeatureModule {
    package static let classPath = "sentence_transformers.models.StaticEmbedding"
    package static let newClassPath: String? =
        "sentence_transformers.sentence_transformer.modules.static_embedding.StaticEmbedding"
    package static let readsTokens = true

    @Child("embedding") package var embedding: Embedding
    private let folder: String

    /// - Parameters:
    ///   - weight: `[vocabulary, width]`.
    ///   - folder: The folder of the tokenizer.
    package init(_ weight: Tensor, folder: String = "") {
        self.folder = folder
        super.init()
        embedding = Embedding(0, 0, paddingID: nil)
        embedding.weight = weight
    }

    package static func read(_ folder: FeatureModuleFolder) throws -> StaticEmbeddingModule {
        // Without special keys in sentence-transformers' own folders; those of model2vec have another name, fewer rows
        // than tokens, and weights of their own.
        var weight = try folder.matrix(["embedding.weight", "embeddings"], rank: 2)
        let store = try TensorStore.open(folder: folder.path)
        if store.names.contains("mapping"), !store.names.contains("embedding.weight") {
            let rows = try store.tensor("mapping").to(.int64)
            guard rows.shape.count == 1,
                try rows.array(of: Int64.self).allSatisfy({ (0..<Int64(weight.size(0))).contains($0) })
            else {
                throw CheckpointError(
                    .malformed,
                    file: folder.file(store),
                    item: "\"mapping\"",
                    found: "names a row that is not there",
                    expected: "rows 0 to \(weight.size(0) - 1)"
                )
            }
            weight = weight.selecting(rows)
        }
        if store.names.contains("weights"), !store.names.contains("embedding.weight") {
            let scales = try folder.matrix(["weights"], rank: 1)
            guard scales.size(0) == weight.size(0) else {
                throw CheckpointError(
                    .malformed,
                    file: folder.file(store),
                    item: "\"weights\"",
                    found: "has \(scales.size(0)) values",
                    expected: "\(weight.size(0)), one for each token"
                )
            }
            weight = (weight.to(.float32) * scales.to(.float32).reshaped(-1, 1)).to(weight.dtype)
        }
        return StaticEmbeddingModule(weight.to(folder.dtype ?? weight.dtype, folder.device), folder: folder.path)
    }

    package func input(for task: String?) -> ModuleInput? {
        ModuleInput(
            folder: folder,
            addsSpecialTokens: false,
            obeysTokenizer: false,
            vocabularySize: embedding.weight.size(0)
        )
    }

    package func connect(_ shapes: inout FeatureShapes) throws {
        shapes.write(FeatureName.sentenceEmbedding, width: embedding.weight.size(1), rows: .sequences)
    }

    package func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision) {
        let ids = Tensor(features.batch.inputIDs).to(.int64, embedding.weight.device)
        features[FeatureName.sentenceEmbedding] = embedding(ids).pooled(features.batch, by: .mean)
    }

    package func write(_ folder: FeatureModuleFolder) throws { try folder.write(baseParameters) }
}

extension FeatureModuleFolder {
    /// The file of the module's weights, as messages name it.
    func file(_ store: TensorStore) -> String { FilePath.joined(name, store.form?.rawValue ?? "") }

    /// The first tensor there is of some names.
    ///
    /// - Throws: `CheckpointError` when there is none, or it is of another rank or no floating-point type.
    func matrix(_ names: [String], rank: Int) throws -> Tensor {
        let store = try TensorStore.open(folder: path)
        guard let name = names.first(where: store.names.contains) else {
            throw CheckpointError(
                .missing,
                file: file(store),
                item: quoted(names[0]),
                found: "is not there",
                expected: rank == 1 ? "a weight for each token" : "a vector for each token"
            )
        }
        let tensor = try store.tensor(name)
        guard tensor.shape.count == rank, tensor.dtype.isFloatingPoint, !tensor.shape.contains(0) else {
            throw CheckpointError(
                .malformed,
                file: file(store),
                item: quoted(name),
                found: "is \(tensor.dtype.rawValue) of shape \(spelled(tensor.shape))",
                expected: "floating-point values of \(rank) dimension\(rank == 1 ? "" : "s")"
            )
        }
        return tensor
    }
}
