import EttinFiles
import EttinModel
import EttinRecipes
import EttinTraining

extension RerankerRecipe {
    private static let document = "a recipe of rerankers"
    private static let ownKeys = [
        "num_labels", "max_length", "activation_fn", "head", "classifier_pooling", "model_prompts",
        "default_prompt_name",
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
        labelCount = try section.int("num_labels", in: 1...10_000)
        maxLength = try section.int("max_length", in: 4...1_000_000)
        activation = try section.activation("activation_fn")
        head = try section.choice("head", RerankerModel.Head.self)
        pooling = try section.choice("classifier_pooling", ClassifierPooling.self)
        modelPrompts = try section.textsByName("model_prompts")
        defaultPromptName = try section.string("default_prompt_name")
        givenLayout = section.has("layout") ? settings.layout : nil
        try checkPrompts(section)
    }

    /// Refuses prompts by column: a pair is one text, and its prompt stands before the first of its two.
    private func checkPrompts(_ section: RecipeSection) throws {
        guard let prompts = settings.prompts, case .mapping(let members) = prompts.node.content else { return }
        let names = (settings.trainData + settings.evaluationData).compactMap(\.name)
        for (name, value) in members {
            if case .mapping = value.content {
                throw section.problem(
                    "prompts",
                    "has texts by column for \(quoted(name, limit: 80))",
                    "one text for each data set: a prompt of rerankers stands before the first text of a pair"
                )
            }
            guard !names.contains(name) else { continue }
            throw section.problem(
                "prompts",
                "names \(quoted(name, limit: 80))",
                names.isEmpty
                    ? "one text: a prompt of rerankers stands before the first text of a pair"
                    : "one text, or texts by data set: \(listing(names))"
            )
        }
    }
}
