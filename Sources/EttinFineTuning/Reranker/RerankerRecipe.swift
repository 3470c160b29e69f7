package import EttinModel
package import Torch

/// The fine-tuning of a reranker as its recipe describes it.
///
/// ```swift
/// let recipe = try RerankerRecipe(path: "recipe.yaml", overrides: ["learning_rate=2e-5"])
/// let session = try FineTuningSession(recipe)
/// let outcome = try session.run()
/// ```
/// Its keys are the arguments of sentence-transformers' classes; docs/finetuning.md describes them.
@dynamicMemberLookup
public struct RerankerRecipe: Sendable {
    /// What every kind of model has.
    public var settings: FineTuningSettings
    /// The number of scores of a pair; nil for what the model says, and 1 of a new head; `num_labels`.
    public var labelCount: Int?
    /// Maximum number of tokens of a pair; nil for what tokenizer and model say; `max_length`.
    public var maxLength: Int?
    /// What raw scores go through when the model is used; nil for what it says; `activation_fn`.
    package var activation: Activation?
    /// What computes scores from hidden states; nil for what the model has, and a classification head for one without;
    /// `head`.
    package var head: RerankerModel.Head?
    /// How hidden states become one vector; nil for what the model says; `classifier_pooling`.
    package var pooling: ClassifierPooling?
    /// Prompts that the model is saved with, by name; `model_prompts`.
    public var modelPrompts: [String: String] = [:]
    /// The prompt that is used when none is named; `default_prompt_name`.
    public var defaultPromptName: String?
    /// The layout of the folders that are written; nil for that which the head has; `layout`.
    package var givenLayout: ModuleLayout?

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
