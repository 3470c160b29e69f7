import EttinFiles
public import Torch

/// A trunk with pooling: sequences of token ids in, one vector each out.
///
/// Reads a sentence-transformers folder, or any checkpoint, which then gets the pooling sentence-transformers would
/// give it.
public final class EmbeddingModel {
    /// The transformer.
    public let trunk: ModernBERT
    /// How hidden states become vectors, which are put end to end.
    public var poolings: [Pooling]
    /// Whether the tokens of a prompt take part in pooling.
    public let includesPrompt: Bool
    /// What the folder says about prompts, similarity and lengths.
    public let settings: EmbeddingSettings
    /// The folder of the transformer and its tokenizer.
    public let transformerFolder: String
    private let steps: [EmbeddingStep]

    /// Loads a folder.
    ///
    /// - Parameters:
    ///   - folder: A sentence-transformers folder, or a checkpoint of any architecture.
    ///   - pooling: How hidden states become vectors; nil for what the folder says.
    ///   - dtype: The dtype to convert to; nil keeps the file's.
    ///   - device: Where the parameters go.
    /// - Throws: `CheckpointError` and `StateDictionaryError` as `PretrainedModel.load` does, and `CheckpointError` for
    ///   modules that are not known.
    public init(folder: String, pooling: Pooling? = nil, dtype: DType? = nil, device: Device = .cpu) throws {
        let hasModules = FilePath.exists(FilePath.joined(folder, "modules.json"))
        var modules: EmbeddingModules?
        if hasModules { modules = try EmbeddingModules(folder: folder) }
        let path = modules?.transformerPath ?? ""
        transformerFolder = path.isEmpty ? folder : FilePath.joined(folder, path)
        trunk = try ModernBERT.load(folder: transformerFolder, dtype: dtype, device: device)
        let chosen = modules ?? EmbeddingModules(plain: trunk.configuration)
        poolings = pooling.map { [$0] } ?? chosen.poolings
        includesPrompt = chosen.includesPrompt
        steps = chosen.steps
        settings = hasModules ? try EmbeddingSettings(folder: folder) : EmbeddingSettings()

        var width = poolings.count * trunk.configuration.hiddenSize
        let trunkDType = trunk.embeddings.tokens.weight.dtype
        for case .dense(let dense) in steps {
            guard dense.inputSize == width else {
                throw CheckpointError(
                    .malformed,
                    file: "modules.json",
                    item: "\"in_features\" of a Dense module",
                    found: "is \(dense.inputSize)",
                    expected: "\(width), the width before it"
                )
            }
            width = dense.outputSize
            dense.convert(to: trunkDType, on: device)
        }
        dimensions = width
    }

    /// The width of an embedding before any truncation.
    public let dimensions: Int

    /// Whether the folder's own modules give vectors of length 1.
    public var normalizes: Bool {
        if case .normalize? = steps.last { return true }
        return false
    }

    /// The vectors of a batch.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - promptTokenCounts: How many tokens at the start of each sequence belong to a prompt.
    /// - Returns: `[sequences, dimensions]`.
    public func callAsFunction(_ batch: PackedBatch, promptTokenCounts: [Int]? = nil) -> Tensor {
        let hidden = trunk(batch)
        let skipped = includesPrompt ? nil : promptTokenCounts
        let parts = poolings.map { hidden.pooled(batch, by: $0, skipping: skipped) }
        var x = parts.count == 1 ? parts[0] : Tensor.concatenate(parts, along: 1)
        for step in steps {
            switch step {
            case .dense(let dense): x = dense(x)
            case .normalize: x = x.normalized()
            }
        }
        return x
    }
}
