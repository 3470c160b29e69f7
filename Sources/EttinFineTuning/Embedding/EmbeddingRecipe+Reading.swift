import EttinFiles
import EttinJSON
import EttinModel
package import EttinRecipes
import EttinTraining

extension EmbeddingRecipe {
    private static let own = [
        "model_name_or_path", "pooling_mode", "normalize", "max_seq_length", "truncate_dim", "similarity_fn_name",
        "model_prompts", "default_prompt_name", "train_dataset", "eval_dataset", "columns", "train_test_split",
        "train_select", "eval_select", "prompts", "batch_sampler", "multi_dataset_batch_sampler", "loss", "evaluator",
        "layout", "language", "license", "model_name", "empty_texts",
    ]

    /// Every key of such a recipe.
    package static let schema = RecipeSchema(
        document: "a recipe of embedding models",
        sections: [RecipeSchema.Section(path: "", keys: own + TrainingArguments.keys)]
    )

    private static let document = "a recipe of embedding models"

    /// Reads a recipe.
    ///
    /// - Parameters:
    ///   - path: A YAML file.
    ///   - overrides: Values that replace those of the file, each `key=value` with YAML for the value.
    /// - Throws: `TrainingError` naming file, line and key of what is wrong.
    public init(path: String, overrides: [String] = []) throws {
        self = try TrainingError.translatingRecipe {
            try EmbeddingRecipe(RecipeTree(path: path, document: Self.document), overrides: overrides)
        }
    }

    /// Makes a recipe of values alone.
    ///
    /// - Parameter values: Each `key=value` with YAML for the value.
    /// - Throws: `TrainingError` naming the key that is wrong.
    public init(values: [String]) throws {
        self = try TrainingError.translatingRecipe {
            let tree = try RecipeTree(.object([:]), name: "command line", document: Self.document)
            return try EmbeddingRecipe(tree, overrides: values)
        }
    }

    private init(_ tree: RecipeTree, overrides: [String]) throws {
        var tree = tree
        for text in overrides { try tree.override(text) }
        try tree.interpolate()
        let section = try RecipeSection(
            tree.root,
            path: "",
            name: tree.name,
            schema: Self.own + TrainingArguments.keys,
            of: Self.schema
        )
        try self.init(section)
        resolved = tree.root.json
    }

    private init(_ section: RecipeSection) throws {
        let data = DatasetReader(section)
        model = try section.require(
            "model_name_or_path",
            try section.string("model_name_or_path"),
            "the folder or the name of a model, such as jhu-clsp/ettin-encoder-17m"
        )
        trainData = try data.train()
        evaluationData = try data.evaluation(trainData)
        arguments = try TrainingArguments(section)
        try readModel(section)
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
        if let node = section.node("model_prompts") {
            guard case .mapping(let members) = node.content else {
                throw section.wrong("model_prompts", node, "a mapping of names to texts")
            }
            for (name, value) in members {
                guard case .scalar(let text, _) = value.content else {
                    throw section.wrong("model_prompts", value, "a mapping of names to texts")
                }
                modelPrompts[name] = text
            }
        }
        defaultPromptName = try section.string("default_prompt_name")
    }
}

/// Reads the data sets of a recipe.
private struct DatasetReader {
    private static let keys = ["path", "columns", "select", "test_size", "seed"]

    private let section: RecipeSection

    init(_ section: RecipeSection) { self.section = section }

    func train() throws -> [DatasetRecipe] {
        guard section.has("train_dataset") else {
            throw section.missing("train_dataset", "a file, a folder or a name on the Hub")
        }
        var sets = try datasets("train_dataset")
        let columns = try section.texts("columns")
        let select = try section.int("train_select", in: 1...Int.largestCount)
        let split = try split(section.section("train_test_split", ["test_size", "seed"]))
        for index in sets.indices {
            sets[index].columns = sets[index].columns ?? columns
            sets[index].select = sets[index].select ?? select
            sets[index].split = sets[index].split ?? split
        }
        return sets
    }

    func evaluation(_ train: [DatasetRecipe]) throws -> [DatasetRecipe] {
        guard section.has("eval_dataset") else { return [] }
        var sets = try datasets("eval_dataset")
        let columns = try section.texts("columns")
        let select = try section.int("eval_select", in: 1...Int.largestCount)
        for index in sets.indices {
            let twin = train.first { $0.name == sets[index].name }
            sets[index].columns = sets[index].columns ?? twin?.columns ?? columns
            sets[index].select = sets[index].select ?? select
            guard sets[index].split == nil else {
                throw section.problem("eval_dataset", "has a test_size", "test_size in train_dataset")
            }
        }
        return sets
    }

    private func datasets(_ key: String) throws -> [DatasetRecipe] {
        guard let node = section.node(key) else { return [] }
        guard case .mapping(let members) = node.content else { return [try dataset(node, key, name: nil)] }
        if members.contains(where: { $0.key == "path" }) { return [try dataset(node, key, name: nil)] }
        guard !members.isEmpty else { throw section.wrong(key, node, "a file, or a mapping of names to files") }
        return try members.map { try dataset($0.value, "\(key).\($0.key)", name: $0.key) }
    }

    private func dataset(_ node: YAMLNode, _ path: String, name: String?) throws -> DatasetRecipe {
        guard case .mapping = node.content else {
            var set = DatasetRecipe(try Self.texts(node, path, section.name))
            set.name = name
            return set
        }
        let own = try RecipeSection(node, path: path, name: section.name, schema: Self.keys, of: EmbeddingRecipe.schema)
        guard let files = own.node("path") else { throw own.missing("path", "a file, a folder or a name on the Hub") }
        var set = DatasetRecipe(
            try Self.texts(files, "\(path).path", section.name),
            columns: try own.texts("columns")
        )
        set.name = name
        set.select = try own.int("select", in: 1...Int.largestCount)
        set.split = try split(own)
        return set
    }

    private func split(_ values: RecipeSection) throws -> DatasetRecipe.Split? {
        let size = try values.double("test_size", "a number of rows, or a fraction below 1") {
            $0 > 0 && ($0 < 1 || ($0 == $0.rounded() && $0 <= Double(Int.largestCount)))
        }
        let seed = try values.int("seed", in: 0...Int.largestCount)
        guard let size else {
            if seed != nil { throw values.missing("test_size", "the number of rows that a split is to set aside") }
            return nil
        }
        return DatasetRecipe.Split(testSize: size, seed: seed ?? 42)
    }

    fileprivate static func texts(_ node: YAMLNode, _ path: String, _ name: String) throws -> [String] {
        let items: [YAMLNode]
        if case .list(let list) = node.content { items = list } else { items = [node] }
        let texts = items.compactMap { item -> String? in
            guard case .scalar(let text, _) = item.content, !text.isEmpty else { return nil }
            return text
        }
        guard texts.count == items.count, !texts.isEmpty else {
            throw RecipeError(
                .invalidOption,
                RecipeSection.place(name, node.line, path),
                found: "is \(node.shownText)",
                expected: "a text, or a list of texts"
            )
        }
        return texts
    }
}

extension RecipeSection {
    /// A text, or a list of texts.
    fileprivate func texts(_ key: String) throws -> [String]? {
        try node(key).map { try DatasetReader.texts($0, Self.joined(path, key), name) }
    }
}
