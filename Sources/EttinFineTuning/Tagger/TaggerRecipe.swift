/// The fine-tuning of a classifier of tokens as its recipe describes it.
///
/// ```swift
/// let recipe = try TaggerRecipe(path: "recipe.yaml", overrides: ["learning_rate=2e-5"])
/// let session = try FineTuningSession(recipe)
/// let outcome = try session.run()
/// ```
/// Its keys are those of transformers' arguments and of its `run_ner.py`; docs/finetuning.md describes them.
@dynamicMemberLookup
public struct TaggerRecipe: Sendable {
    /// What every kind of model has.
    public var settings: FineTuningSettings
    /// The names of the labels in the order of their numbers; nil for what the data have; `labels`.
    public var labels: [String]?
    /// The number of labels; nil for what data and model say; `num_labels`.
    public var labelCount: Int?
    /// Maximum number of tokens of a text; nil for what tokenizer and model say; `max_length`.
    public var maxLength: Int?
    /// The column of words or texts; nil for `tokens` or `text`; `text_column_name`.
    public var textColumn: String?
    /// The column of labels of words, or of spans of texts; nil for the first that looks like one; `label_column_name`.
    public var labelColumn: String?
    /// Whether all tokens of a word count, and not its first alone; `label_all_tokens`.
    public var labelsAllTokens = false
    /// How the labels of spans become those of tokens; `tagging_scheme`.
    package var scheme = TaggingScheme.iob2
    /// Dropout before the classifier; nil for what the model says; `classifier_dropout`.
    public var classifierDropout: Double?
    /// Whether a classifier for other labels makes way for a new one; `ignore_mismatched_sizes`.
    public var ignoresMismatchedSizes = false
    /// A tagger whose transformer and head the run begins with, under a new classifier; `transfer_from`.
    public var transferFrom: String?
    /// Whether evaluations give the scores of each type of span; `return_entity_level_metrics`.
    public var measuresTypes = false

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

/// How the labels of spans become those of tokens.
package enum TaggingScheme: String, CaseIterable, Sendable {
    /// `B-PER` for the first token of a span, `I-PER` for the others.
    case iob2 = "IOB2"
    /// The label of the span for all its tokens.
    case plain = "none"
}
