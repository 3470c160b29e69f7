public import EttinModel

/// The fine-tuning of an embedding model as its recipe describes it.
///
/// ```swift
/// let recipe = try EmbeddingRecipe(path: "recipe.yaml", overrides: ["learning_rate=8e-5"])
/// let session = try FineTuningSession(recipe)
/// let outcome = try session.run()
/// ```
/// Its keys are the arguments of sentence-transformers' classes; docs/finetuning.md describes them.
@dynamicMemberLookup
public struct EmbeddingRecipe: Sendable {
    /// What every kind of model has.
    public var settings: FineTuningSettings
    /// How hidden states become vectors; nil for what the folder says; `pooling_mode`.
    public var poolings: [Pooling]?
    /// Whether a module of the model scales vectors to length 1; `normalize`.
    public var normalizes = false
    /// Maximum number of tokens of a text; nil for what the folder says; `max_seq_length`.
    public var maxSequenceLength: Int?
    /// The leading dimensions that vectors keep in use; nil for what the folder says; `truncate_dim`.
    public var truncateDimension: Int?
    /// How vectors are meant to be compared; nil for what the folder says; `similarity_fn_name`.
    public var similarity: EmbeddingSimilarity?
    /// Prompts that the model is saved with, by name; `model_prompts`.
    public var modelPrompts: [String: String] = [:]
    /// The prompt that is used when none is named; `default_prompt_name`.
    public var defaultPromptName: String?

    /// What every kind of model has, by the names of ``FineTuningSettings``.
    public subscript<Value>(dynamicMember path: WritableKeyPath<FineTuningSettings, Value>) -> Value {
        get { settings[keyPath: path] }
        set { settings[keyPath: path] = newValue }
    }

    /// What every kind of model has, by the names of ``FineTuningSettings``.
    public subscript<Value>(dynamicMember path: KeyPath<FineTuningSettings, Value>) -> Value {
        settings[keyPath: path]
    }
}
