/// The supervised fine-tuning of a decoder as its recipe describes it.
///
/// ```swift
/// let recipe = try SFTRecipe(path: "recipe.yaml", overrides: ["learning_rate=2e-5"])
/// let session = try FineTuningSession(recipe)
/// let outcome = try session.run()
/// ```
/// Its keys are the arguments of TRL's `SFTConfig` and `ModelConfig`; docs/finetuning.md describes them.
@dynamicMemberLookup
public struct SFTRecipe: Sendable {
    /// How a token's loss follows from its probability.
    public enum Loss: String, Sendable, Hashable, CaseIterable {
        /// The negative logarithm.
        case negativeLogLikelihood = "nll"
        /// The negative logarithm times the probability, which counts as a constant (dynamic fine-tuning).
        case dynamic = "dft"
    }

    /// Which tokens of an example that is too long stay.
    public enum Truncation: String, Sendable, Hashable, CaseIterable {
        /// Those at the beginning.
        case keepStart = "keep_start"
        /// Those at the end.
        case keepEnd = "keep_end"
    }

    /// Maximum number of tokens.
    enum Length: Hashable {
        /// The original's 1024, or as many as the model reads.
        case standard
        /// A number.
        case tokens(Int)
        /// As many as the model reads.
        case unlimited
    }

    /// What every kind of model has.
    public var settings: FineTuningSettings
    /// `max_length`.
    var length = Length.standard
    /// Which tokens of an example that is too long stay; `truncation_mode`.
    public var truncation = Truncation.keepStart
    /// How examples are packed; nil for one row each; `packing` and `packing_strategy`.
    package var packing: SequencePacking?
    /// How those that are evaluated on are; `eval_packing`.
    package var evaluationPacking: SequencePacking?
    /// Whether only completions count in the loss; nil for data of prompts and completions; `completion_only_loss`.
    public var countsCompletionsOnly: Bool?
    /// Whether only what the assistant says counts in the loss; `assistant_only_loss`.
    public var countsAssistantOnly = false
    /// The column of texts; `dataset_text_field`.
    public var textField = "text"
    /// A template that makes the text of the columns of a row; nil for none; `formatting_func`.
    public var formatting: String?
    /// Whether the examples are shuffled before they are packed; `shuffle_dataset`.
    public var shuffles = false
    /// The loss; `loss_type`.
    public var loss = Loss.negativeLogLikelihood
    /// The token that ends texts and turns; nil for the tokenizer's; `eos_token`.
    public var endToken: String?
    /// The token that pads; nil for the tokenizer's; `pad_token`.
    public var padToken: String?
    /// The template: a file, a tokenizer's folder or name, `chatml` or `qwen3`; nil for the tokenizer's;
    /// `chat_template_path`.
    public var templatePath: String?
    /// What has no effect, a sentence each.
    package var notices: [String] = []

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
