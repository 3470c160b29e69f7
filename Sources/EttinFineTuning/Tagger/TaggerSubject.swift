import EttinCorpus
import EttinEvaluation
import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import EttinTables
import EttinTokenizer
import EttinTraining
import Torch

extension FineTuningSession {
    /// Prepares the fine-tuning of a classifier of tokens.
    ///
    /// Nothing is written before ``run()``.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - options: Where names lead, and callbacks.
    /// - Throws: `TrainingError` for a recipe or data that do not fit, `TableError` for data, `CheckpointError`,
    ///   `TokenizerError` and `InferenceError` for the model.
    public convenience init(_ recipe: TaggerRecipe, _ options: Options = Options()) throws {
        var options = options
        options.dataset = OpenedTables(options.dataset).open
        var survey = TaggerSurvey()
        for set in recipe.trainData {
            let opened = try options.dataset(set)
            let table = try set.columns.map(opened.keeping(columns:)) ?? opened
            try TaggerReading(table, recipe).survey(into: &survey)
        }
        let requirement = try survey.requirement(recipe)
        let modelFolder = options.modelFolder
        try self.init(recipe.settings, options) { folder, isResumed in
            let transferred = try isResumed ? nil : recipe.transferFrom.map(modelFolder)
            return try TaggerSubject(recipe, transferred ?? folder, requirement, isResumed: isResumed)
        }
    }
}

/// A table of tagged texts as training reads it.
struct TaggerRows: TrainingRows {
    let reading: TaggerReading
    let dataset: String?

    var name: String { reading.table.name }
    var rowCount: Int { reading.table.rowCount }
    var warnings: [String] { [] }
    var table: (any TextTable)? { reading.table }
    var columnNames: [String] {
        [reading.columns.text, reading.columns.label].map { reading.table.columnNames[$0] }
    }

    func place(ofRow row: Int) -> String { reading.table.place(ofRow: row) }

    /// Reads and checks all rows.
    ///
    /// - Throws: `TrainingError` naming file and row; what reading throws.
    func checkRows(_ labels: TaggerLabels) throws {
        if let order = reading.table.rowsInFileOrder {
            for row in order { _ = try reading.text(ofRow: Int(row), labels) }
        } else {
            for row in 0..<rowCount { _ = try reading.text(ofRow: row, labels) }
        }
    }

    func valueHashes() throws -> ValueHashes {
        let hashes = try (0..<rowCount).map { row in
            var text = try reading.table.value(row: row, column: reading.columns.text).pythonText
            return text.withUTF8 { XXHash.hash64(UnsafeRawBufferPointer($0)) }
        }
        return ValueHashes(columnCount: 1, hashes: hashes)
    }

    func rowsByLabel() throws -> [[Int32]] {
        throw TrainingError(
            .invalidOption,
            "batch_sampler",
            found: "is group_by_label, but a row of \(name) has several labels",
            expected: "batch_sampler"
        )
    }
}

/// A classifier of tokens that is fine-tuned.
final class TaggerSubject: FineTuningSubject {
    let kind = "tagger"
    let notices: [String]
    private let recipe: TaggerRecipe
    private let model: TokenClassificationModel
    private let labels: TaggerLabels
    private let objective: ClassifierObjective
    private let tokenizer: Tokenizer
    private let preparer: TokenClassificationPipeline.Preparer
    /// The tags that were predicted since the last evaluation, and those that are right.
    private var tags: (predicted: [[String]], right: [[String]]) = ([], [])

    /// Loads or makes a model.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - folder: The folder of the model, or a checkpoint of the run.
    ///   - requirement: The labels that the data ask for.
    ///   - isResumed: Whether the folder is a checkpoint of the run.
    /// - Throws: `TrainingError` for a recipe that does not fit the model; what loading the model throws.
    init(_ recipe: TaggerRecipe, _ folder: String, _ requirement: LabelRequirement, isResumed: Bool) throws {
        self.recipe = recipe
        let loading = ClassifierLoading(
            name: recipe.transferFrom ?? recipe.model,
            requirement: requirement,
            problem: nil,
            pooling: nil,
            dropout: recipe.classifierDropout,
            seed: UInt64(recipe.arguments.seed),
            ignoresMismatch: recipe.ignoresMismatchedSizes,
            renewsClassifier: recipe.transferFrom != nil && !isResumed
        )
        (model, notices) = try loading.load(
            TokenClassificationModel.self,
            folder: folder,
            kind: .tagger,
            expected: "an encoder or a classifier of tokens"
        )
        let configuration = model.configuration
        labels = TaggerLabels(
            names: configuration.labels ?? LabelRequirement.generic(configuration.labelCount)
        )
        objective = ClassifierObjective(
            problem: .singleLabelClassification,
            smoothing: recipe.arguments.labelSmoothing
        )
        tokenizer = try Tokenizer(folder: folder)
        preparer = try TokenClassificationPipeline.Preparer(
            training: tokenizer,
            configuration,
            folder: folder,
            maxLength: recipe.maxLength
        )
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
            TrainingArguments.smoothingKey: "\(objective.smoothing)",
            "label_all_tokens": "\(recipe.labelsAllTokens)", "tagging_scheme": recipe.scheme.rawValue,
            "transfer_from": recipe.transferFrom ?? "none",
        ]
    }

    var planNotes: [(key: String, value: String)] { [(key: "labels", value: LabelRequirement.text(labels.names))] }

    func cache(ofDataset name: String?) -> GradientCacheSettings? { nil }

    // MARK: Data

    func rows(_ table: TableView, _ source: RowSource) throws -> any TrainingRows {
        TaggerRows(reading: try TaggerReading(table, recipe), dataset: source.dataset.name)
    }

    private func tagged(_ set: any TrainingRows) -> TaggerRows {
        guard let rows = set as? TaggerRows else {
            preconditionFailure("\(kind): a session hands back the data sets that a subject made")
        }
        return rows
    }

    func check(_ set: any TrainingRows) throws -> [String] {
        try tagged(set).checkRows(labels)
        return []
    }

    func prepared(_ rows: [Int], of set: any TrainingRows, step: Int) throws -> PreparedLossBatch {
        let reading = tagged(set).reading
        let texts = try rows.map { try reading.text(ofRow: $0, labels) }
        let prepared = try preparer.prepare(
            texts.map(\.text),
            overlong: tokenizer.truncatesLeft ? .keepEnd : .keepStart
        )
        var batch = PreparedLossBatch(columns: [prepared.map { $0.windows[0].text }], step: step)
        batch.targets = zip(texts, prepared).map { $0.targets(of: $1.windows[0]) }
        return batch
    }

    // MARK: Losses

    /// By tokens with a label.
    func weights(of microbatches: [PreparedLossBatch]) -> [Double]? {
        microbatches.shares { $0.targets.reduce(0) { $0 + $1.count { $0 >= 0 } } }
    }

    /// The logits of the tokens with a label, and their labels; nil where there are none.
    private func labelled(
        _ batch: PreparedLossBatch,
        training: DropoutContext?,
        precision: Precision
    ) -> (logits: Tensor, labels: [Double])? {
        let targets = batch.targets.flatMap(\.self)
        let rows = targets.indices.filter { targets[$0] >= 0 }
        guard !rows.isEmpty else { return nil }
        let logits = model(batch.packed, training: training, precision: precision)
        let chosen = logits.selecting(distinctRows: Tensor(rows.map(Int64.init)).to(logits.device))
        return (chosen, rows.map { Double(targets[$0]) })
    }

    func backward(
        _ batch: PreparedLossBatch,
        of dataset: String?,
        weight: Double,
        dropout: DropoutContext,
        precision: Precision
    ) throws -> Double {
        try withRecovery {
            guard let part = labelled(batch, training: dropout, precision: precision) else { return 0 }
            return try objective(part.logits, part.labels).addGradients(weight: weight)
        }
    }

    func value(_ batch: PreparedLossBatch, of dataset: String?, precision: Precision) throws -> LossValue {
        try withRecovery {
            try withoutGradients {
                guard let part = labelled(batch, training: nil, precision: precision) else { return LossValue(0) }
                let numbers: [Int64] = try part.logits.argmax(along: 1).array()
                var predicted = numbers.map { labels.names[Int($0)] }[...]
                for targets in batch.targets {
                    let right = targets.filter { $0 >= 0 }.map { labels.names[Int($0)] }
                    tags.right.append(right)
                    tags.predicted.append(Array(predicted.prefix(right.count)))
                    predicted = predicted.dropFirst(right.count)
                }
                return LossValue(try objective(part.logits, part.labels).scalar())
            }
        }
    }

    /// The scores of seqeval, as `run_ner.py` names them.
    func takeMetrics() throws -> [(key: String, value: Double)] {
        defer { tags = ([], []) }
        guard tags.right.contains(where: { !$0.isEmpty }) else { return [] }
        let scores = try SpanScores(predictions: tags.predicted, labels: tags.right)
        let types = recipe.measuresTypes ? scores.types : []
        return types.flatMap { type in
            [
                ("\(type.name)_precision", type.precision), ("\(type.name)_recall", type.recall),
                ("\(type.name)_f1", type.f1), ("\(type.name)_number", Double(type.support)),
            ]
        } + [
            ("precision", scores.micro.precision), ("recall", scores.micro.recall), ("f1", scores.micro.f1),
            ("accuracy", scores.accuracy),
        ]
    }

    func evaluator(_ value: RecipeValue, _ data: EvaluatorData, precision: Precision) throws -> BoundEvaluator {
        throw TrainingError(.unsupported, value.path, found: "is given", expected: "eval_dataset alone")
    }

    // MARK: Files

    func write(toFolder folder: String) throws {
        try model.save(folder: folder)
        try tokenizer.save(to: folder)
    }

    func load(fromFolder folder: String) throws {
        try assign(TokenClassificationModel.load(folder: folder), fromFolder: folder)
    }

    func describe(_ card: inout ModelCard) {
        card.title = "Tagger based on \(recipe.model)"
        card.summary =
            "It classifies the tokens of a text: \(listing(labels.names, limit: 20)). Texts are truncated to \(maxTokens) "
            + "tokens."
        card.pipelineTag = "token-classification"
        card.libraryName = "transformers"
        card.usage = """
            from transformers import pipeline

            tagger = pipeline("token-classification", model="path/to/this/folder", aggregation_strategy="simple")
            print(tagger("Ada met Orion in Paris."))
            """
    }
}
