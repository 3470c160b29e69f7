import EttinModel
import EttinTokenizer
import TestSupport
import Torch

/// A small model with a tokenizer of its own, in a folder that lives as long as the object.
final class TinyCheckpoint {
    let folder: TemporaryFolder
    let configuration: ModernBERTConfiguration
    let tokenizer: Tokenizer

    /// What `load` makes of the folder, which is not removed before.
    func loaded<Model>(_ load: (_ path: String) throws -> Model) rethrows -> Model {
        try withExtendedLifetime(self) { try load(folder.path) }
    }

    static let texts = [
        "The quick brown fox jumps over the lazy dog.", "A cat sat on the mat; the dog sat on the cat.",
        "Once upon a time there was a fox who liked the sea.", "Übung macht den Meister. 日本語の文。",
    ]

    init(_ kind: ModelKind, positions: Int = 64, seed: UInt64 = 1) throws {
        folder = try TemporaryFolder()
        var trainer = BPETrainer(vocabularySize: 320)
        trainer.specialTokens = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"].map { token in
            AddedToken(token, stripsLeft: token == "[MASK]", isSpecial: true)
        }
        trainer.roles = [
            "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]", "pad_token": "[PAD]",
            "bos_token": "[CLS]", "eos_token": "[SEP]",
        ]
        tokenizer = try trainer.train(texts: Self.texts)
        try tokenizer.save(to: folder.path)
        var configuration = ModernBERTConfiguration(kind: kind)
        configuration.vocabularySize = 324
        configuration.hiddenSize = 32
        configuration.intermediateSize = 48
        configuration.attentionHeads = 2
        configuration.layerTypes = LayerType.pattern(layers: 4, globalEvery: 3)
        configuration.localAttention = 8
        configuration.maxPositionEmbeddings = positions
        // Far from the small values of training's start, so that outputs differ visibly.
        configuration.initializerRange = 0.4
        configuration.padTokenID = 3
        (configuration.bosTokenID, configuration.clsTokenID) = (1, 1)
        (configuration.eosTokenIDs, configuration.sepTokenID) = ([2], 2)
        self.configuration = configuration
        let model = LanguageModel(configuration)
        model.initialize(.transformers, seed: seed)
        try model.save(folder: folder.path)
    }
}
