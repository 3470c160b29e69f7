import EttinFiles
import EttinModel
import EttinRecipes
import EttinTraining

/// The fine-tuning of a multi-vector model (ColBERT) as its recipe describes it.
///
/// ```swift
/// let recipe = try MultiVectorRecipe(path: "recipe.yaml", overrides: ["learning_rate=8e-5"])
/// let session = try FineTuningSession(recipe)
/// let outcome = try session.run()
/// ```
/// Its keys are the arguments of PyLate's classes; docs/finetuning.md describes them.
@dynamicMemberLookup
public struct MultiVectorRecipe: Sendable {
    /// What every kind of model has.
    public var settings: FineTuningSettings
    /// The width of a vector; nil for what the folder says, or 128; `embedding_size`.
    public var embeddingSize: Int?
    /// Whether a new projection has a bias; `bias`.
    public var hasBias = false
    /// The token behind the first of a query; nil for what the folder says, or `[Q] `; empty for none; `query_prefix`.
    public var queryPrefix: String?
    /// The token behind the first of a document; nil for what the folder says, or `[D] `; empty for none;
    /// `document_prefix`.
    public var documentPrefix: String?
    /// The number of tokens of a query; nil for what the folder says, or 32; `query_length`.
    public var queryLength: Int?
    /// Maximum number of tokens of a document; nil for what the folder says, or 180; `document_length`.
    public var documentLength: Int?
    /// Whether queries are filled up with mask tokens; nil for what the folder says, or yes; `do_query_expansion`.
    public var expandsQueries: Bool?
    /// Whether these tokens are attended to; nil for what the folder says, or no; `attend_to_expansion_tokens`.
    public var attendsToExpansion: Bool?
    /// The words that do not count in documents; nil for what the folder says, or punctuation; `skiplist_words`.
    public var skippedWords: [String]?
    /// Prompts that the model is saved with, by name; `model_prompts`.
    public var modelPrompts: [String: String] = [:]
    /// The prompt that is used when none is named; `default_prompt_name`.
    public var defaultPromptName: String?
    /// The table of queries whose ids `train_dataset` has: files, a folder or a name on the Hub; `queries_dataset`.
    public var queriesData: [String]?
    /// The table of documents whose ids `train_dataset` has; `documents_dataset`.
    public var documentsData: [String]?
    /// How many documents of a query are taken, the first; `n_ways`.
    public var ways = 32

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

extension MultiVectorRecipe {
    private static let document = "a recipe of multi-vector models"
    private static let ownKeys = [
        "embedding_size", "bias", "query_prefix", "document_prefix", "query_length", "document_length",
        "do_query_expansion", "attend_to_expansion_tokens", "skiplist_words", "model_prompts", "default_prompt_name",
        "queries_dataset", "documents_dataset", "n_ways",
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
        if settings.layout != .version5 {
            throw section.problem(
                "layout",
                "is 6",
                "5: PyLate's layout, which sentence-transformers from version 6 reads as well"
            )
        }
        embeddingSize = try section.int("embedding_size", in: 1...1_000_000)
        hasBias = try section.bool("bias") ?? hasBias
        queryPrefix = try Self.prefix(section, "query_prefix")
        documentPrefix = try Self.prefix(section, "document_prefix")
        queryLength = try section.int("query_length", in: 1...1_000_000)
        documentLength = try section.int("document_length", in: 1...1_000_000)
        expandsQueries = try section.bool("do_query_expansion")
        attendsToExpansion = try section.bool("attend_to_expansion_tokens")
        modelPrompts = try section.textsByName("model_prompts")
        defaultPromptName = try section.string("default_prompt_name")
        if let node = section.node("skiplist_words") {
            guard case .list(let items) = node.content else {
                throw section.wrong("skiplist_words", node, "a list of words, [] for none")
            }
            skippedWords = try items.map { item in
                guard case .scalar(let word, _) = item.content else {
                    throw section.wrong("skiplist_words", item, "a list of words, [] for none")
                }
                return word
            }
        }
        try readData(section)
    }

    /// A text, which may be empty.
    private static func prefix(_ section: RecipeSection, _ key: String) throws -> String? {
        guard let node = section.node(key) else { return nil }
        guard case .scalar(let text, _) = node.content else {
            throw section.wrong(key, node, "a text; brackets need quotes, as in '\"[Q] \"'")
        }
        return text
    }

    private mutating func readData(_ section: RecipeSection) throws {
        queriesData = try section.texts("queries_dataset")
        documentsData = try section.texts("documents_dataset")
        ways = try section.int("n_ways", in: 2...Int.largestCount) ?? ways
        let keys = ["queries_dataset", "documents_dataset"]
        guard let given = keys.first(where: section.has) else {
            if section.has("n_ways") {
                throw section.missing(keys[0], "the queries and documents (\(keys[1])) whose ids train_dataset has")
            }
            return
        }
        if let missing = keys.first(where: { !section.has($0) }) {
            throw section.missing(missing, "the other table of ids and texts beside \(given)")
        }
        // A document that is not there is an empty text.
        if !section.has("empty_texts") { settings.emptyTexts = .keep }
    }
}
