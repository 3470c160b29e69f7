import EttinEvaluation
import EttinFiles
import EttinJSON
import EttinModel
package import EttinRecipes
import EttinTraining

extension FineTuningSettings {
    /// The keys that the recipes of all kinds of models have.
    package static let keys =
        [
            "model_name_or_path", "train_dataset", "eval_dataset", "columns", "train_test_split", "train_select",
            "eval_select", "prompts", "batch_sampler", "multi_dataset_batch_sampler", "loss", "evaluator", "layout",
            "language", "license", "model_name", "empty_texts",
        ] + adapterKeys + TrainingArguments.keys

    /// Every key of a kind of recipes.
    ///
    /// - Parameters:
    ///   - document: What messages call such a recipe, such as `a recipe of sparse models`.
    ///   - own: The keys of that kind alone.
    /// - Returns: The schema.
    package static func schema(_ document: String, _ own: [String]) -> RecipeSchema {
        RecipeSchema(document: document, sections: [RecipeSchema.Section(path: "", keys: own + keys)])
    }

    /// Reads a recipe of some kind.
    ///
    /// - Parameters:
    ///   - path: A YAML file; nil for values alone.
    ///   - overrides: Values that replace those of the file, each `key=value` with YAML for the value.
    ///   - document: What messages call such a recipe.
    ///   - own: The keys of that kind alone.
    ///   - prepare: Changes what was read, before its keys are looked at.
    ///   - body: Takes the recipe.
    /// - Returns: What `body` makes of it.
    /// - Throws: `TrainingError` naming file, line and key of what is wrong.
    package static func read<Recipe>(
        path: String?,
        overrides: [String],
        _ document: String,
        _ own: [String],
        preparing prepare: (inout RecipeTree) throws -> Void = { _ in },
        _ body: (_ section: RecipeSection, _ settings: FineTuningSettings) throws -> Recipe
    ) throws -> Recipe {
        try TrainingError.translatingRecipe {
            var tree =
                try path.map { try RecipeTree(path: $0, document: document) }
                ?? RecipeTree(.object([:]), name: "command line", document: document)
            for text in overrides { try tree.override(text) }
            try tree.interpolate()
            try prepare(&tree)
            let schema = schema(document, own)
            let section = try RecipeSection(tree.root, path: "", name: tree.name, schema: own + keys, of: schema)
            var settings = try FineTuningSettings(section, of: schema, own: own)
            settings.resolved = tree.root.json
            return try body(section, settings)
        }
    }

    private init(_ section: RecipeSection, of schema: RecipeSchema, own: [String]) throws {
        let data = DatasetReader(section, of: schema)
        model = try section.require(
            "model_name_or_path",
            try section.string("model_name_or_path"),
            "the folder or the name of a model, such as jhu-clsp/ettin-encoder-17m"
        )
        trainData = try data.train()
        evaluationData = try data.evaluation(trainData)
        // Only recipes of classifiers have the key.
        if own.contains("task_name") { task = try section.choice("task_name", GLUETask.self) }
        if let task { task.assign(&trainData, evaluation: &evaluationData) }
        arguments = try TrainingArguments(section, own: own)
        batchSampler = try section.choice("batch_sampler", BatchSampler.self) ?? batchSampler
        multiDatasetSampler =
            try section.choice("multi_dataset_batch_sampler", MultiDatasetBatchSampler.self) ?? multiDatasetSampler
        emptyTexts = try section.choice("empty_texts", TrainingColumns.EmptyTextRule.self) ?? emptyTexts
        func value(_ key: String) -> RecipeValue? {
            section.node(key).map { RecipeValue($0, path: key, name: section.name) }
        }
        (prompts, loss, evaluator) = (value("prompts"), value("loss"), value("evaluator"))
        if let layout = try section.string("layout") {
            guard let known = ModuleLayout(rawValue: layout) else {
                throw section.problem("layout", "is \(quoted(layout))", "5 or 6")
            }
            self.layout = known
        }
        (adapters, adapterNotices) = try Self.adapters(section)
        languages = try section.texts("language") ?? []
        license = try section.string("license")
        title = try section.string("model_name")
        if arguments.evaluation != .no, evaluationData.isEmpty, trainData.allSatisfy({ $0.split == nil }),
            evaluator == nil
        {
            throw section.problem(
                "eval_strategy",
                "is \(arguments.evaluation.rawValue), but there is nothing to evaluate on",
                "eval_dataset, train_test_split or evaluator"
            )
        }
    }
}
