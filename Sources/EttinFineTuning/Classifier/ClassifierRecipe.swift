public import EttinModel

/// The fine-tuning of a classifier of texts as its recipe describes it.
///
/// ```swift
/// let recipe = try ClassifierRecipe(path: "recipe.yaml", overrides: ["learning_rate=2e-5"])
/// let session = try FineTuningSession(recipe)
/// let outcome = try session.run()
/// ```
/// Its keys are those of transformers' arguments and of its `run_glue.py` and `run_classification.py`;
/// docs/finetuning.md describes them.
@dynamicMemberLookup
public struct ClassifierRecipe: Sendable {
    /// What every kind of model has.
    public var settings: FineTuningSettings
    /// The number of labels; nil for what data and model say; 1 makes a regression; `num_labels`.
    public var labelCount: Int?
    /// The names of the labels in the order of their numbers; nil for what the data have; `labels`.
    public var labels: [String]?
    /// What the labels mean; nil for what the data tell; `problem_type`.
    public var problemType: ProblemType?
    /// Maximum number of tokens of a text or a pair; nil for what tokenizer and model say; `max_length`.
    public var maxLength: Int?
    /// The one or two columns of texts; nil for those that are there; `text_column_names`.
    public var textColumns: [String]?
    /// The column of labels; nil for the first of `label`, `labels`, `score` and `scores`; `label_column_name`.
    public var labelColumn: String?
    /// How an encoder's hidden states become one vector; nil for what the model says; `classifier_pooling`.
    public var pooling: ClassifierPooling?
    /// Dropout before the classifier; nil for what the model says; `classifier_dropout`.
    public var classifierDropout: Double?
    /// The special tokens around and between the texts of a pair; nil for the tokenizer's own, of decoders
    /// `[CLS] A [SEP] B [SEP]`; `pair_template`.
    package var pairTemplate: PairTemplate?
    /// Whether a classifier for other labels makes way for a new one; `ignore_mismatched_sizes`.
    public var ignoresMismatchedSizes = false
    /// A classifier whose transformer and head the run begins with, under a new classifier; `transfer_from`.
    public var transferFrom: String?
    /// What evaluations measure beside the loss; nil for what the problem suggests; `metrics`.
    package var metrics: [ClassifierMetric]?

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
