import EttinEvaluation
import EttinFiles
import EttinModel
import EttinRecipes
import EttinTraining

extension ClassifierRecipe {
    private static let document = "a recipe of classifiers"
    private static let ownKeys = [
        "num_labels", "labels", "problem_type", "max_length", "text_column_names", "label_column_name",
        "classifier_pooling", "classifier_dropout", "pair_template", "ignore_mismatched_sizes", "transfer_from",
        "metrics", "task_name",
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
        try section.refuseKeysOfOtherKinds(loss: "problem_type, which chooses the loss", evaluator: "metrics")
        labelCount = try section.int("num_labels", in: 1...100_000)
        labels = try section.labelNames(count: labelCount)
        problemType = try section.choice("problem_type", ProblemType.self)
        maxLength = try section.int("max_length", in: 4...1_000_000)
        labelColumn = try section.string("label_column_name")
        pooling = try section.choice("classifier_pooling", ClassifierPooling.self)
        classifierDropout = try section.double("classifier_dropout", "from 0 to below 1") { 0 <= $0 && $0 < 1 }
        ignoresMismatchedSizes = try section.bool("ignore_mismatched_sizes") ?? false
        transferFrom = try section.string("transfer_from")
        try FineTuningSettings.refuseTransferredAdapters(section)
        textColumns = try section.textColumns()
        if let text = try section.string("pair_template") {
            guard let template = PairTemplate(text) else {
                throw section.problem(
                    "pair_template",
                    "is \(quoted(text))",
                    "A and B once each, in this order, with special tokens, such as \"[CLS] A [SEP] B [SEP]\""
                )
            }
            pairTemplate = template
        }
        metrics = try section.texts("metrics")?.map { name in
            if let metric = ClassifierMetric(rawValue: name) { return metric }
            let known = ClassifierMetric.allCases.map(\.rawValue)
            let near = SpellingSuggestion.nearest(name, known).map { "; did you mean \($0)?" } ?? ""
            throw section.problem("metrics", "has \(quoted(name))", "some of \(known.joined(separator: ", "))\(near)")
        }
        if let task = settings.task { apply(task) }
        try checkSmoothing(section)
    }

    /// Takes from a task of GLUE what the recipe does not say, and the precision in any case.
    private mutating func apply(_ task: GLUETask) {
        if metrics == nil {
            // Pearson's correlation is no part of the means, but is reported with Spearman's.
            let names = task.metrics + (task.isRegression ? [.pearson] : [])
            metrics = names.compactMap { ClassifierMetric(rawValue: $0.rawValue) }
        }
        if task.isRegression { settings.arguments.keepFloat32(because: "\(task.title) is trained in float32") }
    }

    private func checkSmoothing(_ section: RecipeSection) throws {
        let smoothing = settings.arguments.labelSmoothing
        guard smoothing > 0, let problemType, problemType != .singleLabelClassification else { return }
        throw section.problem(
            TrainingArguments.smoothingKey,
            "is \(smoothing) beside problem_type \(problemType.rawValue)",
            "0: labels are smoothed where each row has one class"
        )
    }
}

extension RecipeSection {
    /// Refuses keys that every recipe may have, but that classifiers and taggers have no use for.
    func refuseKeysOfOtherKinds(loss: String, evaluator: String) throws {
        let refused = [
            ("loss", loss), ("evaluator", evaluator),
            ("layout", "nothing: the folder is that of transformers"),
            ("prompts", "texts with their prompt in them"),
        ]
        for (key, expected) in refused where has(key) {
            throw problem(key, "is given, which this kind does not read", expected)
        }
    }

    /// The names of labels.
    func labelNames(count: Int?) throws -> [String]? {
        guard let names = try textList("labels") else { return nil }
        var seen: Set<[UInt8]> = []
        if let twice = names.first(where: { !seen.insert(Array($0.utf8)).inserted }) {
            throw problem("labels", "has \(quoted(twice, limit: 80)) twice", "each label once")
        }
        guard !names.isEmpty, count == nil || count == names.count else {
            throw problem("labels", "has \(names.count) names", count.map { "\($0), as num_labels says" } ?? "names")
        }
        return names
    }

    /// The columns of texts: a list, or names with commas as `run_classification.py` takes them.
    fileprivate func textColumns() throws -> [String]? {
        guard var names = try texts("text_column_names") else { return nil }
        if names.count == 1 {
            names = names[0].split(separator: ",").map { String($0.drop { $0 == " " }) }
        }
        guard (1...2).contains(names.count) else {
            throw problem("text_column_names", "has \(names.count) columns", "one column, or two for pairs of texts")
        }
        return names
    }
}
