import EttinEvaluation
import EttinFiles
import EttinInference
import EttinModel
import EttinTables
import EttinTokenizer
import EttinTraining
import Torch

extension FineTuningSession {
    /// Prepares the fine-tuning of a multi-vector model.
    ///
    /// Nothing is written before ``run()``.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - options: Where names lead, and callbacks.
    /// - Throws: `TrainingError` for a recipe or data that do not fit, `TableError` for data, `CheckpointError`,
    ///   `TokenizerError` and `InferenceError` for the model.
    public convenience init(_ recipe: MultiVectorRecipe, _ options: Options = Options()) throws {
        try self.init(recipe.settings, options) { folder, _ in
            try MultiVectorSubject(recipe, folder, table: options.table)
        }
    }
}

/// A multi-vector model that is fine-tuned.
final class MultiVectorSubject: TextColumnsSubject {
    let kind = "multi-vector"
    let lossNames: LossNames
    let notices: [String]
    let readsLists = true
    let library: String? = "PyLate"
    private let recipe: MultiVectorRecipe
    private let model: MultiVectorModel
    private let pipeline: LateInteractionPipeline
    private let losses: DatasetLosses<any MultiVectorLoss>
    private let texts: DistillationTable.Texts?
    /// The number of tokens that the original pads documents to.
    private let documentLength: Int

    /// Makes a model of a folder.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - folder: The folder of the model, or of a checkpoint of the run.
    ///   - table: Opens what a recipe names as one table.
    /// - Throws: `TrainingError` for a recipe that does not fit the model; what loading model and tables throw.
    init(
        _ recipe: MultiVectorRecipe,
        _ folder: String,
        table: (_ references: [String]) throws -> TableView
    ) throws {
        self.recipe = recipe
        losses = try DatasetLosses(recipe.settings, example: "Distillation") { node, path in
            try MultiVectorLosses.make(node, path: path, file: recipe.loss?.name ?? "")
        }
        lossNames = losses.names { [$0.name] }
        let (model, tokenizer) = try MultiVectorBuilding(recipe: recipe, folder: folder).model()
        self.model = model
        pipeline = try LateInteractionPipeline(training: model, tokenizer: tokenizer)
        notices = pipeline.notices
        documentLength = model.settings.documentLength ?? pipeline.preparer.limit(for: .document)
        texts =
            if let queries = recipe.queriesData, let documents = recipe.documentsData {
                DistillationTable.Texts(
                    queries: try TextsByID(table(queries), id: "query_id", key: "queries_dataset"),
                    documents: try TextsByID(table(documents), id: "document_id", key: "documents_dataset"),
                    ways: recipe.ways
                )
            } else { nil }
    }

    var module: Module { model }
    var configuration: ModernBERTConfiguration? { model.transformer.trunk.configuration }
    var maxTokens: Int { max(pipeline.preparer.limit(for: .query), pipeline.preparer.limit(for: .document)) }

    var identity: [String: String] {
        let settings = model.settings
        return [
            "embedding_size": "\(model.dimensions)",
            "query_prefix": settings.queryPrefix,
            "document_prefix": settings.documentPrefix,
            "query_length": "\(settings.queryLength ?? 0)",
            "document_length": "\(documentLength)",
            "do_query_expansion": "\(settings.expansion != nil)",
            "attend_to_expansion_tokens": "\(settings.expansion?.isAttendedTo ?? false)",
            "skiplist_words": (settings.skippedWords ?? []).joined(separator: " "),
            "n_ways": texts.map { "\($0.ways)" } ?? "all",
            "queries_dataset": texts?.queries.identity ?? "none",
            "documents_dataset": texts?.documents.identity ?? "none",
        ]
    }

    func cache(ofDataset name: String?) -> GradientCacheSettings? { losses(name).cache }

    // MARK: Data

    func table(_ table: TableView) throws -> any TextTable {
        if let texts { return try DistillationTable(table, texts) }
        if table.column("query_id") != nil, table.column("document_ids") != nil, table.column("query") == nil {
            throw TrainingError(
                .invalidOption,
                table.name,
                found: "has ids of queries and documents",
                expected: "queries_dataset and documents_dataset, tables of their texts"
            )
        }
        // The original reads no column of ids, by its name.
        return try table.keeping(columns: table.columnNames.filter { !$0.contains("_id") })
    }

    func check(_ set: TrainingColumns) throws -> [String] {
        let loss = losses(set.dataset)
        let columns = set.columnNames
        for (place, name) in columns.enumerated() where Self.isQuery(name) != (place == 0) {
            throw TrainingError(
                .invalidOption,
                set.name,
                found: "has \(quoted(name, limit: 60)) as column \(place + 1) of \(listing(columns)), which is read as "
                    + "\(place == 0 ? "documents" : "queries")",
                expected: "a query first and documents behind it: a column of queries has query or anchor in its name, "
                    + "others have neither; columns: orders them"
            )
        }
        let notices = try loss.check(columns: columns, lists: set.listColumns, labels: set.labelKind)
        if let table = set.table as? DistillationTable {
            return notices + (try table.check(refusesMissing: recipe.emptyTexts == .refuse))
        }
        var first: [Int]?
        try set.checkRows { texts, labels in
            first = first ?? texts
            return loss.problem(texts: texts, labels: labels, first: first ?? texts).map {
                (columns[$0.column], $0.found, $0.expected)
            }
        }
        return notices
    }

    /// Whether the texts of a column are queries.
    ///
    /// > Source: PyLate 1.6, `ColBERTCollator`.
    private static func isQuery(_ column: String) -> Bool { column.contains("query") || column.contains("anchor") }

    func prepared(_ rows: [Int], of set: TrainingColumns, step: Int) throws -> PreparedLossBatch {
        let lists = try set.textLists(ofRows: rows)
        let columns = try lists.indices.map { column in
            try pipeline.preparer.prepare(
                lists[column].flatMap(\.self),
                as: Self.isQuery(set.columnNames[column]) ? .query : .document,
                prompt: set.prompts[column].map { .text($0) } ?? .none,
                overlong: .keepStart
            )
        }
        return PreparedLossBatch(
            columns: columns,
            labels: try set.labels(ofRows: rows),
            step: step,
            rowCount: rows.count,
            listCounts: set.listColumns.contains(true) ? lists.map { $0.map(\.count) } : []
        )
    }

    // MARK: Passes

    func backward(
        _ batch: PreparedLossBatch,
        of dataset: String?,
        weight: Double,
        dropout: DropoutContext,
        precision: Precision
    ) throws -> Double {
        let loss = losses(dataset)
        return try model.backward(
            batch.columns,
            cache: loss.cache,
            weight: weight,
            dropout: dropout,
            precision: precision
        ) { rows in
            try loss.backward(self.batch(batch, rows), weight: weight)
        }
    }

    func value(_ batch: PreparedLossBatch, of dataset: String?, precision: Precision) throws -> LossValue {
        let loss = losses(dataset)
        let value = try model.withRows(of: batch.columns, cache: loss.cache, precision: precision) { rows in
            try loss.value(of: self.batch(batch, rows))
        }
        return LossValue(value ?? 0)
    }

    private func batch(_ batch: PreparedLossBatch, _ rows: [Tensor]) -> MultiVectorBatch {
        let columns = zip(batch.columns, rows).map { texts, rows in
            let counts = texts.map(model.rowCount(of:))
            return TokenRows(
                rows,
                starts: counts.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32($1)) },
                // A document of full length that loses no token has neither padding nor masks.
                competesWithZero: counts.map { $0 < documentLength }
            )
        }
        return MultiVectorBatch(columns: columns, labels: batch.labels)
    }

    func evaluator(_ value: RecipeValue, _ data: EvaluatorData, precision: Precision) throws -> BoundEvaluator {
        let evaluator = try EvaluatorRecipe(value.node, path: value.path, name: value.name)
        let vectors: any TokenVectors = try LateInteractionPipeline(
            training: model,
            tokenizer: pipeline.tokenizer,
            precision: precision
        )
        return BoundEvaluator(try evaluator.multiVectorEvaluator(data), vectors, notices: evaluator.notices)
    }

    // MARK: Files

    func write(toFolder folder: String) throws {
        try model.savePyLate(folder: folder)
        try pipeline.tokenizer.save(to: folder)
    }

    func load(fromFolder folder: String) throws {
        try assign(MultiVectorModel(folder: folder, dtype: .float32), fromFolder: folder)
    }

    func describe(_ card: inout ModelCard) {
        card.title = "PyLate model based on \(recipe.model)"
        let settings = model.settings
        card.summary =
            "A [PyLate](https://github.com/lightonai/pylate) model: it maps texts to a vector of \(model.dimensions) "
            + "dimensions for each token, which are compared by MaxSim. Queries have \(settings.queryLength ?? 0) tokens, "
            + "documents at most \(documentLength)."
        card.pipelineTag = "sentence-similarity"
        card.libraryName = "PyLate"
        card.tags = ["ColBERT", "PyLate", "sentence-transformers", "sentence-similarity", "feature-extraction"]
        card.usage = """
            from pylate import models, rank

            model = models.ColBERT("path/to/this/folder")
            queries = model.encode(["Which planet is red?"], is_query=True)
            documents = model.encode([["Mars is red.", "Venus is hot."]], is_query=False)
            print(rank.rerank([["mars", "venus"]], queries, documents))
            """
    }
}
