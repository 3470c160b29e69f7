import EttinJSON
import EttinModel
import EttinRecipes

/// The training code's configuration of a model, and what it means in ours.
///
/// Read from a recipe's `model.model_config` or from a raw checkpoint, which has many keys besides that say nothing of
/// the weights. Architectures that ModernBERT is not are refused by key. Dropout after attention's output,
/// `attn_out_dropout_prob`, is of training alone.
struct FlexBERTConfiguration {
    /// The longest sequence of the suite's models, which the training code's configuration does not say.
    private static let suitePositions = 7999
    /// Keys that a recipe has no need for.
    private static let furtherKeys = [
        "head_class_dropout", "local_attn_rotary_emb_dim", "pad_token_id", "bos_token_id", "eos_token_id",
        "cls_token_id", "sep_token_id",
    ]

    private let config: RecipeSection
    private let json: JSONObject
    /// Where it stands, for messages.
    private let place: String

    /// Takes the configuration out of a document.
    ///
    /// - Parameters:
    ///   - node: The configuration.
    ///   - file: The file that holds it.
    ///   - path: The dotted name of its place there; empty for the whole file.
    /// - Throws: `TrainingError` when it is no mapping.
    init(_ node: YAMLNode, file: String, path: String) throws {
        var node = node
        if case .mapping(let members) = node.content {
            let known = ModelConfigReader.keys + Self.furtherKeys
            node.content = .mapping(members.filter { known.contains($0.key) })
        }
        config = try RecipeSection(node, path: path, name: file, schema: ModelConfigReader.keys + Self.furtherKeys)
        json = node.json.objectValue ?? [:]
        place = RecipeSection.place(file, nil, path)
    }

    /// The configuration that transformers would read.
    ///
    /// - Parameter kind: Encoder or decoder.
    /// - Returns: A validated configuration.
    /// - Throws: `TrainingError` for architectures that are not ModernBERT and for impossible values; `CheckpointError`
    ///   for values that do not fit each other.
    func modernBERT(_ kind: ModelKind) throws -> ModernBERTConfiguration {
        let reader = ModelConfigReader(config: config)
        _ = try reader.checkArchitecture()
        if config.has("local_attn_rotary_emb_dim") {
            throw config.problem("local_attn_rotary_emb_dim", "is not supported", "null")
        }
        let vocabularySize = try config.require(
            "vocab_size",
            try config.int("vocab_size", in: 1...1 << 28),
            "the number of tokens"
        )
        var others: JSONObject = [
            "model_type": .string(kind.rawValue), "classifier_pooling": "mean",
            "max_position_embeddings": JSONValue(Self.suitePositions),
        ]
        for (key, source) in [
            ("classifier_dropout", "head_class_dropout"), ("deterministic_flash_attn", "deterministic_fa2"),
            ("initializer_range", "initializer_range"), ("initializer_cutoff_factor", "init_cutoff_factor"),
        ] where config.has(source) {
            others[key] = json[source]
        }
        // The suite's ids, where the vocabulary has them; others are the tokenizer's to name.
        if vocabularySize < 50285 {
            for key in Self.furtherKeys where key.hasSuffix("token_id") { others[key] = json[key] ?? .null }
        }
        var model = try ModernBERTConfiguration(others, file: place)
        model.vocabularySize = vocabularySize
        try reader.read(into: &model)
        try model.validate(file: place)
        return model
    }
}
