import EttinInference
import EttinModel
import EttinTokenizer
import TestSupport
import Torch

/// Small models with a tokenizer of their own, in folders of their own.
enum TinyModel {
    static func configuration(_ kind: ModelKind) -> ModernBERTConfiguration {
        var configuration = ModernBERTConfiguration(kind: kind)
        configuration.hiddenSize = 16
        configuration.intermediateSize = 24
        configuration.attentionHeads = 2
        configuration.layerTypes = LayerType.pattern(layers: 4, globalEvery: 3)
        configuration.localAttention = 8
        configuration.maxPositionEmbeddings = 64
        return configuration
    }

    static func tokenizer() throws -> Tokenizer {
        try BPETrainer.ettin(vocabularySize: 280).train(texts: ["The cat sat on the mat; the dog sat on the cat."])
    }

    /// Writes a model and gives its folder.
    static func write(
        _ kind: ModelKind,
        in folder: TemporaryFolder,
        named name: String,
        seed: UInt64 = 1,
        dtype: DType = .float32,
        _ change: (inout ModernBERTConfiguration) -> Void = { _ in }
    ) throws -> String {
        var configuration = configuration(kind)
        change(&configuration)
        var initializer = ModelInitializer(configuration: configuration)
        try initializer.adopt(tokenizer())
        (initializer.seed, initializer.dtype) = (seed, dtype)
        try initializer.write(toFolder: folder.file(name))
        return folder.file(name)
    }

    /// The bytes of every tensor of a folder by name.
    static func bytes(_ folder: String) throws -> [String: [UInt8]] {
        let store = try TensorStore.open(folder: folder)
        return try Dictionary(uniqueKeysWithValues: store.names.map { ($0, try store.withBytes($0) { Array($0) }) })
    }
}
