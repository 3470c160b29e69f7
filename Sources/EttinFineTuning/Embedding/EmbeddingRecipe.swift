package import EttinJSON
public import EttinModel
package import EttinRecipes
import EttinTraining

/// The fine-tuning of an embedding model as its recipe describes it.
///
/// ```swift
/// let recipe = try EmbeddingRecipe(path: "recipe.yaml", overrides: ["learning_rate=8e-5"])
/// let session = try EmbeddingFineTuning(recipe)
/// let outcome = try session.run()
/// ```
/// Its keys are the arguments of sentence-transformers' classes; docs/finetuning.md describes them.
public struct EmbeddingRecipe: Sendable {
    /// The model to begin with, a folder or a name on the Hub; `model_name_or_path`.
    public var model: String
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
    /// The data to train on; `train_dataset`.
    public var trainData: [DatasetRecipe]
    /// The data to evaluate on; `eval_dataset`.
    public var evaluationData: [DatasetRecipe] = []
    /// What is put before the texts; `prompts`.
    package var prompts: RecipeValue?
    /// How rows make batches; `batch_sampler`.
    package var batchSampler = BatchSampler.batchSampler
    /// How the batches of several data sets take turns; `multi_dataset_batch_sampler`.
    package var multiDatasetSampler = MultiDatasetBatchSampler.proportional
    /// What happens to texts without characters; `empty_texts`.
    package var emptyTexts = TrainingColumns.EmptyTextRule.refuse
    /// The loss with its arguments; `loss`.
    package var loss: RecipeValue?
    /// What measures the model; `evaluator`.
    package var evaluator: RecipeValue?
    /// The layout of the folders that are written; `layout`.
    public var layout = ModuleLayout.version5
    /// The languages that the model's card names; `language`.
    public var languages: [String] = []
    /// The licence that it names; `license`.
    public var license: String?
    /// The title that it has; nil for one made of the model's; `model_name`.
    public var title: String?
    /// How the model is trained.
    public var arguments: TrainingArguments
    /// What has no effect, a sentence each.
    public var notices: [String] { arguments.notices }
    /// The recipe with every reference resolved.
    package var resolved: JSONValue = .null
}

/// A data set of a recipe.
public struct DatasetRecipe: Sendable, Hashable {
    /// A part of the rows for tests.
    public struct Split: Sendable, Hashable {
        /// The number of rows, or the fraction below 1.
        public var testSize: Double
        /// The seed of the permutation.
        public var seed: Int
    }

    /// The name among several; nil for the only one.
    public var name: String?
    /// Files, folders, or names on the Hub with configuration and split, one after the other.
    public var references: [String]
    /// The columns by position; nil for all in their order.
    public var columns: [String]?
    /// The split, whose test part is to evaluate on; nil for all rows.
    public var split: Split?
    /// The first rows that are taken, after the split; nil for all.
    public var select: Int?

    /// Names a data set.
    ///
    /// - Parameters:
    ///   - references: Files, folders, or names on the Hub.
    ///   - columns: The columns by position; nil for all in their order.
    public init(_ references: [String], columns: [String]? = nil) {
        self.references = references
        self.columns = columns
    }
}

/// A value of a recipe that is read by somebody else than its reader.
package struct RecipeValue: Sendable {
    /// The value.
    package let node: YAMLNode
    /// Its dotted key.
    package let path: String
    /// The file, for messages.
    package let name: String

    package init(_ node: YAMLNode, path: String, name: String) {
        self.node = node
        self.path = path
        self.name = name
    }
}
