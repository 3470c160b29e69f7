import EttinFiles
public import EttinModel
import EttinRecipes
import EttinTraining

/// The fine-tuning of a sparse model as its recipe describes it.
///
/// ```swift
/// let recipe = try SparseRecipe(path: "recipe.yaml", overrides: ["learning_rate=2e-5"])
/// let session = try FineTuningSession(recipe)
/// let outcome = try session.run()
/// ```
/// Its keys are the arguments of sentence-transformers' classes; docs/finetuning.md describes them.
@dynamicMemberLookup
public struct SparseRecipe: Sendable {
    /// What every kind of model has.
    public var settings: FineTuningSettings
    /// How the weights of a text's tokens are put together; nil for what the folder says; `pooling_strategy`.
    package var strategy: SpladePoolingModule.Strategy?
    /// What makes a weight of a logit; nil for what the folder says; `activation_function`.
    package var saturation: SpladePoolingModule.Saturation?
    /// Maximum number of tokens of a text; nil for what the folder says; `max_seq_length`.
    public var maxSequenceLength: Int?
    /// Maximum number of weights per text in use; nil for what the folder says; `max_active_dims`.
    public var maxActiveDimensions: Int?
    /// How vectors are meant to be compared; nil for what the folder or the loss says; `similarity_fn_name`.
    public var similarity: EmbeddingSimilarity?
    /// Prompts that the model is saved with, by name; `model_prompts`.
    public var modelPrompts: [String: String] = [:]
    /// The prompt that is used when none is named; `default_prompt_name`.
    public var defaultPromptName: String?
    /// How the weights of regularisers rise; `regularizer_scheduler`.
    package var schedule = RegularizerSchedule()
    /// What has no effect, a sentence each.
    private(set) var ownNotices: [String] = []

    private static let document = "a recipe of sparse models"
    private static let ownKeys = [
        "pooling_strategy", "activation_function", "max_seq_length", "max_active_dims", "similarity_fn_name",
        "model_prompts", "default_prompt_name", "regularizer_scheduler", "chunk_size",
    ]

    /// Reads a recipe.
    ///
    /// - Parameters:
    ///   - path: A YAML file.
    ///   - overrides: Values that replace those of the file, each `key=value` with YAML for the value.
    /// - Throws: `TrainingError` naming file, line and key of what is wrong.
    public init(path: String, overrides: [String] = []) throws {
        self = try FineTuningSettings.read(path: path, overrides: overrides, Self.document, Self.ownKeys, Self.init)
    }

    /// Makes a recipe of values alone.
    ///
    /// - Parameter values: Each `key=value` with YAML for the value.
    /// - Throws: `TrainingError` naming the key that is wrong.
    public init(values: [String]) throws {
        self = try FineTuningSettings.read(path: nil, overrides: values, Self.document, Self.ownKeys, Self.init)
    }

    private init(_ section: RecipeSection, _ settings: FineTuningSettings) throws {
        self.settings = settings
        strategy = try section.choice("pooling_strategy", SpladePoolingModule.Strategy.self)
        saturation = try section.choice("activation_function", SpladePoolingModule.Saturation.self)
        maxSequenceLength = try section.int("max_seq_length", in: 1...1_000_000)
        maxActiveDimensions = try section.int("max_active_dims", in: 1...1_000_000_000)
        similarity = try section.choice("similarity_fn_name", EmbeddingSimilarity.self)
        modelPrompts = try section.textsByName("model_prompts")
        defaultPromptName = try section.string("default_prompt_name")
        try readSchedule(section)
        if section.has("chunk_size") {
            ownNotices.append("no effect of chunk_size: logits are pooled while they are computed")
        }
    }

    private mutating func readSchedule(_ section: RecipeSection) throws {
        let key = "regularizer_scheduler"
        guard let node = section.node(key) else { return }
        guard case .mapping = node.content else {
            schedule.shape = try section.choice(key, RegularizerSchedule.Shape.self) ?? schedule.shape
            return
        }
        let own = try section.section(key, ["type", "scheduler_type", "warmup_ratio"])
        schedule.shape =
            try own.choice("type", RegularizerSchedule.Shape.self)
            ?? own.choice("scheduler_type", RegularizerSchedule.Shape.self) ?? schedule.shape
        schedule.warmupRatio =
            try own.double("warmup_ratio", "a number above 0, at most 1") { $0 > 0 && $0 <= 1 } ?? schedule.warmupRatio
    }

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
