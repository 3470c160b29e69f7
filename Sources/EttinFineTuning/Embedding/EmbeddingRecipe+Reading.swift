import EttinFiles
import EttinModel
import EttinRecipes
import EttinTraining

extension EmbeddingRecipe {
    private static let document = "a recipe of embedding models"
    private static let ownKeys = [
        "pooling_mode", "normalize", "max_seq_length", "truncate_dim", "similarity_fn_name", "model_prompts",
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
        try readModel(section)
    }

    private mutating func readModel(_ section: RecipeSection) throws {
        if let names = try section.texts("pooling_mode") {
            poolings = try names.map { name in
                guard let pooling = Pooling(rawValue: name) else {
                    let known = Pooling.allCases.map(\.rawValue)
                    let near = SpellingSuggestion.nearest(name, known).map { "; did you mean \($0)?" } ?? ""
                    throw section.problem("pooling_mode", "is \(quoted(name))", known.joined(separator: ", ") + near)
                }
                return pooling
            }
        }
        normalizes = try section.bool("normalize") ?? false
        maxSequenceLength = try section.int("max_seq_length", in: 1...1_000_000)
        truncateDimension = try section.int("truncate_dim", in: 1...1_000_000)
        similarity = try section.choice("similarity_fn_name", EmbeddingSimilarity.self)
        modelPrompts = try section.textsByName("model_prompts")
        defaultPromptName = try section.string("default_prompt_name")
    }
}
