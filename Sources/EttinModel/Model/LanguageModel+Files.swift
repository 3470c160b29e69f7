public import Torch

extension LanguageModel {
    /// Loads a checkpoint folder as `save_pretrained` of transformers writes it.
    ///
    /// Weights are mapped, not copied, where the file has them in our layout; they must not be trained in place.
    ///
    /// - Parameters:
    ///   - folder: Holds `config.json` and weights in any form that ``TensorStore`` reads.
    ///   - dtype: The dtype to convert to; nil keeps the file's.
    ///   - device: Where the parameters go.
    /// - Returns: The model, every parameter loaded.
    /// - Throws: `CheckpointError` for files that are missing or broken, `StateDictionaryError` that lists every tensor
    ///   that is missing, unknown or of another shape.
    public static func load(folder: String, dtype: DType? = nil, device: Device = .cpu) throws -> LanguageModel {
        let configuration = try ModernBERTConfiguration(folder: folder)
        var state = CheckpointKeyMap.imported(try TensorStore.open(folder: folder).stateDictionary())
        // A tied output matrix is the embedding under a second name, which some writers store too.
        if configuration.tiesWordEmbeddings { state.removeAll { $0.key == "decoder.weight" } }
        let model = LanguageModel(configuration)
        try model.load(state)
        model.convert(to: dtype, on: device)
        return model
    }

    /// Writes `config.json` and safetensors that transformers loads without a missing or unexpected key.
    ///
    /// - Parameters:
    ///   - folder: An existing folder.
    ///   - shardSize: The largest file, as transformers' `max_shard_size`.
    /// - Throws: `CheckpointError` when a file cannot be written; `TorchError` when reading a device fails.
    public func save(folder: String, shardSize: ShardSize = .default) throws {
        let tensors = CheckpointKeyMap.exported(parameters, for: configuration.kind).map { key, tensor in
            TensorToWrite(name: key, dtype: StoredDType(tensor.dtype), shape: tensor.shape) { sink in
                var bytes = [UInt8](repeating: 0, count: tensor.elementCount * tensor.dtype.byteCount)
                try bytes.withUnsafeMutableBytes { try tensor.read(into: $0) }
                try bytes.withUnsafeBytes { try sink($0) }
            }
        }
        _ = try ShardedSafetensorsWriter.write(tensors, toFolder: folder, shardSize: shardSize)
        var written = configuration
        written.architectures = [configuration.kind.languageModelArchitecture]
        try written.write(toFolder: folder, format: .version4)
    }
}
