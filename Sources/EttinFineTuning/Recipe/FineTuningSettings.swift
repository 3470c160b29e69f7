package import EttinJSON
public import EttinModel
import EttinTraining

/// What the recipes of all kinds of models have: model, data, losses, and how the model is trained.
public struct FineTuningSettings: Sendable {
    /// The model to begin with, a folder or a name on the Hub; `model_name_or_path`.
    public var model: String
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
    /// The adapters that are trained in place of the model's weights; nil for all weights; `use_peft`, `lora_r` and so on.
    package var adapters: LoRAConfiguration?
    var adapterNotices: [String] = []
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
    public var notices: [String] { arguments.notices + adapterNotices }
    /// The recipe with every reference resolved.
    package var resolved: JSONValue = .null
}
