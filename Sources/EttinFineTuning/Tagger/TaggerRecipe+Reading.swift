import EttinFiles
import EttinRecipes
import EttinTraining

extension TaggerRecipe {
    private static let document = "a recipe of taggers"
    private static let ownKeys = [
        "num_labels", "labels", "max_length", "text_column_name", "label_column_name", "label_all_tokens",
        "tagging_scheme", "classifier_dropout", "ignore_mismatched_sizes", "transfer_from",
        "return_entity_level_metrics",
        TrainingArguments.smoothingKey,
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
        try section.refuseKeysOfOtherKinds(
            loss: "nothing: the loss is cross-entropy over the tokens with a label",
            evaluator:
                "nothing: precision, recall, F1 and accuracy are measured, with return_entity_level_metrics by type"
        )
        guard settings.batchSampler != .groupByLabel else {
            throw section.problem("batch_sampler", "is group_by_label, but rows have several labels", "batch_sampler")
        }
        labelCount = try section.int("num_labels", in: 2...100_000)
        labels = try section.labelNames(count: labelCount)
        maxLength = try section.int("max_length", in: 4...1_000_000)
        textColumn = try section.string("text_column_name")
        labelColumn = try section.string("label_column_name")
        labelsAllTokens = try section.bool("label_all_tokens") ?? false
        scheme = try section.choice("tagging_scheme", TaggingScheme.self) ?? .iob2
        classifierDropout = try section.double("classifier_dropout", "from 0 to below 1") { 0 <= $0 && $0 < 1 }
        ignoresMismatchedSizes = try section.bool("ignore_mismatched_sizes") ?? false
        transferFrom = try section.string("transfer_from")
        try FineTuningSettings.refuseTransferredAdapters(section)
        measuresTypes = try section.bool("return_entity_level_metrics") ?? false
    }
}
