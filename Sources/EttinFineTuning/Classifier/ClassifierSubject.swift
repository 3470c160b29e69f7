import EttinEvaluation
import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import EttinTables
import EttinTokenizer
import EttinTraining
package import Torch

extension FineTuningSession {
    /// Prepares the fine-tuning of a classifier of texts.
    ///
    /// Nothing is written before ``run()``.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - options: Where names lead, and callbacks.
    /// - Throws: `TrainingError` for a recipe or data that do not fit, `TableError` for data, `CheckpointError`,
    ///   `TokenizerError` and `InferenceError` for the model.
    public convenience init(_ recipe: ClassifierRecipe, _ options: Options = Options()) throws {
        var options = options
        options.dataset = OpenedTables(options.dataset).open
        let survey = try ClassifierSurvey(recipe, options.dataset)
        let modelFolder = options.modelFolder
        try self.init(recipe.settings, options) { folder, isResumed in
            let transferred = try isResumed ? nil : recipe.transferFrom.map(modelFolder)
            return try ClassifierSubject(recipe, transferred ?? folder, survey, isResumed: isResumed)
        }
    }
}

/// Tables that were opened before: labels are looked at before there is a model, and rows afterwards.
final class OpenedTables {
    private let make: (DatasetRecipe) throws -> TableView
    private var tables: [DatasetRecipe: TableView] = [:]

    /// Takes what opens tables.
    init(_ make: @escaping (DatasetRecipe) throws -> TableView) { self.make = make }

    /// A table, opened once.
    func open(_ set: DatasetRecipe) throws -> TableView {
        if let table = tables[set] { return table }
        let table = try make(set)
        tables[set] = table
        return table
    }
}

/// What the data to train on say of the model: its labels, and whether it reads pairs.
struct ClassifierSurvey {
    let problem: ProblemType
    let requirement: LabelRequirement
    let readsPairs: Bool

    /// Looks at the data.
    ///
    /// - Parameters:
    ///   - recipe: What the recipe says.
    ///   - open: Opens a data set of it.
    /// - Throws: `TrainingError` and `TableError` for data without what is needed.
    init(_ recipe: ClassifierRecipe, _ open: (DatasetRecipe) throws -> TableView) throws {
        var survey = LabelSurvey()
        var counts: Set<Int> = []
        for set in recipe.trainData {
            let opened = try open(set)
            let table = try set.columns.map(opened.keeping(columns:)) ?? opened
            let columns = try ClassifierColumns(table, recipe)
            counts.insert(columns.texts.count)
            try survey.add(table, column: table.column(columns.label) ?? 0)
        }
        guard counts.count == 1 else {
            throw TrainingError(
                .invalidOption,
                "train_dataset",
                found: "has data sets of single texts and of pairs",
                expected: "one or the other; text_column_names names the columns"
            )
        }
        readsPairs = counts == [2]
        problem = survey.problem(recipe.problemType, labelCount: recipe.labelCount ?? recipe.labels?.count)
        requirement = try survey.requirement(problem, stated: recipe.labels, labelCount: recipe.labelCount)
        guard recipe.arguments.labelSmoothing > 0, problem != .singleLabelClassification else { return }
        throw TrainingError(
            .invalidOption,
            TrainingArguments.smoothingKey,
            found: "is \(recipe.arguments.labelSmoothing), but the labels make \(problem.rawValue)",
            expected: "0: labels are smoothed where each row has one class"
        )
    }
}

/// A classifier of texts that is fine-tuned.
final class ClassifierSubject: FineTuningSubject {
    let kind = "classifier"
    let notices: [String]
    private let recipe: ClassifierRecipe
    private let model: SequenceClassificationModel
    private let labels: ClassifierLabels
    private let objective: ClassifierObjective
    private let tokenizer: Tokenizer
    private let preparer: TextClassificationPipeline.Preparer
    private let template: PairTemplate?
    private let readsPairs: Bool
    private var predictions: ClassifierPredictions

    /// Loads or makes a model.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - folder: The folder of the model, or a checkpoint of the run.
    ///   - survey: What the data say of the model.
    ///   - isResumed: Whether the folder is a checkpoint of the run.
    /// - Throws: `TrainingError` for a recipe that does not fit the model; what loading the model throws.
    init(_ recipe: ClassifierRecipe, _ folder: String, _ survey: ClassifierSurvey, isResumed: Bool) throws {
        self.recipe = recipe
        let loading = ClassifierLoading(
            name: recipe.transferFrom ?? recipe.model,
            requirement: survey.requirement,
            problem: survey.problem,
            pooling: recipe.pooling,
            dropout: recipe.classifierDropout,
            seed: UInt64(recipe.arguments.seed),
            ignoresMismatch: recipe.ignoresMismatchedSizes,
            renewsClassifier: recipe.transferFrom != nil && !isResumed
        )
        let (model, notices) = try loading.load(
            SequenceClassificationModel.self,
            folder: folder,
            kind: .classifier,
            expected: "an encoder, a decoder or a classifier of texts"
        )
        self.model = model
        let configuration = model.configuration
        let isDecoder = configuration.kind == .decoder
        if isDecoder, recipe.pooling != nil {
            throw TrainingError(
                .invalidOption,
                "classifier_pooling",
                found: "is \(recipe.pooling?.rawValue ?? ""), but \(recipe.model) is a decoder",
                expected: "nothing: a decoder's last token is classified"
            )
        }
        let names = configuration.labels ?? LabelRequirement.generic(configuration.labelCount)
        labels = ClassifierLabels(survey.problem, names: names)
        objective = ClassifierObjective(problem: survey.problem, smoothing: recipe.arguments.labelSmoothing)
        predictions = try ClassifierPredictions(labels, recipe.metrics)
        var tokenizer = try Tokenizer(folder: folder)
        var template: PairTemplate?
        if survey.readsPairs {
            template = try recipe.pairTemplate ?? (isDecoder ? PairTemplate(ofDecoder: tokenizer) : nil)
            try template?.check(tokenizer)
            if let template { tokenizer = try tokenizer.withPairTemplate(template.parts) }
        }
        (self.tokenizer, self.template) = (tokenizer, template)
        readsPairs = survey.readsPairs
        preparer = try TextClassificationPipeline.Preparer(
            training: tokenizer,
            configuration,
            folder: folder,
            maxLength: recipe.maxLength
        )
        let isInert = recipe.pairTemplate != nil && !survey.readsPairs
        self.notices = notices + (isInert ? ["no effect of pair_template: the data has one text in each row"] : [])
    }

    var module: Module { model }
    var configuration: ModernBERTConfiguration? { model.configuration }
    var lossNames: LossNames { LossNames([[objective.name]]) }
    var maxTokens: Int { preparer.limit }
    var library: String? { "transformers" }
    var evaluatesInOrder: Bool { true }

    var identity: [String: String] {
        [
            "max_length": "\(maxTokens)", "labels": labels.names.joined(separator: ", "),
            "problem_type": labels.problem.rawValue, "classifier_pooling": pooling,
            TrainingArguments.smoothingKey: "\(objective.smoothing)", "pair_template": template?.text ?? "none",
            "transfer_from": recipe.transferFrom ?? "none",
        ]
    }

    private var pooling: String {
        model.configuration.kind == .decoder ? "last token" : model.configuration.classifierPooling.rawValue
    }

    var planNotes: [(key: String, value: String)] {
        let pairs = template.map { [(key: "pair template", value: $0.text)] } ?? []
        return pairs + [
            (key: "pooling", value: pooling), (key: "labels", value: LabelRequirement.text(labels.names)),
            (key: "problem type", value: labels.problem.rawValue),
        ]
    }

    func cache(ofDataset name: String?) -> GradientCacheSettings? { nil }

    // MARK: Data

    func rows(_ table: TableView, _ source: RowSource) throws -> any TrainingRows {
        try ClassifierRows(table, recipe, dataset: source.dataset.name, labels)
    }

    private func classified(_ set: any TrainingRows) -> ClassifierRows {
        guard let rows = set as? ClassifierRows else {
            preconditionFailure("\(kind): a session hands back the data sets that a subject made")
        }
        return rows
    }

    func check(_ set: any TrainingRows) throws -> [String] {
        let rows = classified(set)
        try rows.checkRows()
        return []
    }

    func prepared(_ rows: [Int], of set: any TrainingRows, step: Int) throws -> PreparedLossBatch {
        let set = classified(set)
        let texts = try set.columns.texts(ofRows: rows)
        let overlong: OverlongTextRule = tokenizer.truncatesLeft ? .keepEnd : .keepStart
        let prepared =
            texts.count == 2
            ? try preparer.prepare(pairs: zip(texts[0], texts[1]).map { TextPair($0, $1) }, overlong: overlong)
            : try preparer.prepare(texts[0].map { TextClassificationPipeline.Input($0) }, overlong: overlong)
        let values = try rows.flatMap { try set.values(ofRow: $0) }
        return PreparedLossBatch(
            columns: [prepared],
            labels: LossLabels(.list(count: labels.valueCount), values),
            step: step
        )
    }

    // MARK: Losses

    /// By rows: the last microbatch of a pass may have fewer.
    func weights(of microbatches: [PreparedLossBatch]) -> [Double]? { microbatches.shares { $0.rowCount } }

    func backward(
        _ batch: PreparedLossBatch,
        of dataset: String?,
        weight: Double,
        dropout: DropoutContext,
        precision: Precision
    ) throws -> Double {
        try withRecovery {
            let logits = model(batch.packed, training: dropout, precision: precision)
            return try objective(logits, batch.labels?.values ?? []).addGradients(weight: weight)
        }
    }

    func value(_ batch: PreparedLossBatch, of dataset: String?, precision: Precision) throws -> LossValue {
        try withRecovery {
            try withoutGradients {
                let logits = model(batch.packed, precision: precision)
                let values = batch.labels?.values ?? []
                predictions.add(logits: try logits.array(), values: values)
                return LossValue(try objective(logits, values).scalar())
            }
        }
    }

    func takeMetrics() throws -> [(key: String, value: Double)] { try predictions.take() }

    func evaluator(_ value: RecipeValue, _ data: EvaluatorData, precision: Precision) throws -> BoundEvaluator {
        throw TrainingError(.unsupported, value.path, found: "is given", expected: "metrics")
    }

    // MARK: Files

    func write(toFolder folder: String) throws {
        try model.save(folder: folder)
        try tokenizer.save(to: folder)
    }

    func load(fromFolder folder: String) throws {
        try assign(SequenceClassificationModel.load(folder: folder), fromFolder: folder)
    }

    func describe(_ card: inout ModelCard) {
        let what = labels.problem == .regression ? "numbers" : "classes"
        card.title = "Classifier based on \(recipe.model)"
        card.summary =
            "It reads \(readsPairs ? "two texts together" : "a text") and predicts \(what): "
            + "\(listing(labels.names, limit: 20)). Texts are truncated to \(maxTokens) tokens."
        card.pipelineTag = "text-classification"
        card.libraryName = "transformers"
        let input =
            readsPairs
            ? #"{"text": "A cat sits.", "text_pair": "An animal sits."}"# : #""A joy from start to end.""#
        card.usage = """
            from transformers import pipeline

            classifier = pipeline("text-classification", model="path/to/this/folder")
            print(classifier(\(input)))
            """
    }
}

extension PreparedLossBatch {
    /// The texts of the first column, end to end without padding.
    var packed: PackedBatch { PackedBatch((columns.first ?? []).map(\.tokenIDs)) }
}

extension [PreparedLossBatch] {
    /// What part of an update each microbatch is, by what counts in it; equal parts where nothing does.
    func shares(_ count: (PreparedLossBatch) -> Int) -> [Double]? {
        let counts = map(count)
        let total = counts.reduce(0, +)
        return total > 0 ? counts.map { Double($0) / Double(total) } : nil
    }
}

extension Tensor {
    /// Adds the gradients of a loss to those of the parameters it comes from.
    ///
    /// - Parameter weight: What loss and gradients are multiplied by.
    /// - Returns: The loss times the weight; no gradients are added where it is NaN or infinite.
    /// - Throws: `TorchError` when memory or the device fails.
    package func addGradients(weight: Double) throws -> Double {
        let value = try scalar()
        if value.isFinite { (weight == 1 ? self : self * weight).backward() }
        return value * weight
    }
}
