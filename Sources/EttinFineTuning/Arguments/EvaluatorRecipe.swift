package import EttinEvaluation
import EttinFiles
import EttinInference
package import EttinJSON
import EttinModel
package import EttinRecipes
package import EttinTables

/// What evaluators of a recipe measure on.
package struct EvaluatorData {
    /// The rows of `eval_dataset`, for evaluators that name no data of their own; nil for none.
    package var table: (any TextTable)?
    /// Opens a table by what a recipe calls it: a file, a folder or a name on the Hub.
    package var open: (String) throws -> any TextTable
    /// Finds a folder by what a recipe calls it, with files by patterns such as `qrels/*` of a data set on the Hub; all of
    /// them for none.
    package var folder: (_ name: String, _ patterns: [String]) throws -> String

    /// Describes where data are.
    ///
    /// - Parameters:
    ///   - table: The rows of `eval_dataset`.
    ///   - open: Opens a table.
    ///   - folder: Finds a folder; without it folders are those of this machine.
    package init(
        table: (any TextTable)?,
        open: @escaping (String) throws -> any TextTable,
        folder: @escaping (_ name: String, _ patterns: [String]) throws -> String = { name, _ in name }
    ) {
        self.table = table
        self.open = open
        self.folder = folder
    }
}

/// The evaluators of a recipe: a mapping with the `type` of one and its arguments, by the names that sentence-transformers
/// has for them, or a list of such mappings.
///
/// ```yaml
/// evaluator:
///   - {type: TripletEvaluator, name: dev}
///   - {type: InformationRetrievalEvaluator, name: scifact, dataset: beir/scifact}
/// ```
///
/// Data come from `eval_dataset`, or from what `dataset` names: a table, for InformationRetrievalEvaluator a folder in
/// BEIR's layout, for NanoBEIR the folder or the name of the data set (`dataset_id`).
package struct EvaluatorRecipe {
    /// The evaluators that a recipe may name.
    package enum Kind: String, CaseIterable {
        /// Triplets.
        case triplet = "TripletEvaluator"
        /// Retrieval from a corpus.
        case informationRetrieval = "InformationRetrievalEvaluator"
        /// Retrieval from the corpora of NanoBEIR.
        case nanoBEIR = "NanoBEIREvaluator"
        /// Scores of pairs.
        case embeddingSimilarity = "EmbeddingSimilarityEvaluator"
        /// Pairs that belong together or not.
        case binaryClassification = "BinaryClassificationEvaluator"
        /// Lists of documents.
        case reranking = "RerankingEvaluator"
        /// Lists of documents, for rerankers.
        case crossEncoderReranking = "CrossEncoderRerankingEvaluator"
        /// What BM25 found in NanoBEIR, for rerankers.
        case crossEncoderNanoBEIR = "CrossEncoderNanoBEIREvaluator"
        /// Pairs that belong together or not, or classes of pairs, for rerankers.
        case crossEncoderClassification = "CrossEncoderClassificationEvaluator"
        /// Scores of pairs, for rerankers.
        case crossEncoderCorrelation = "CrossEncoderCorrelationEvaluator"
        /// Triplets, for sparse models.
        case sparseTriplet = "SparseTripletEvaluator"
        /// Retrieval from a corpus, for sparse models.
        case sparseInformationRetrieval = "SparseInformationRetrievalEvaluator"
        /// Retrieval from the corpora of NanoBEIR, for sparse models.
        case sparseNanoBEIR = "SparseNanoBEIREvaluator"
        /// Scores of pairs, for sparse models.
        case sparseEmbeddingSimilarity = "SparseEmbeddingSimilarityEvaluator"
        /// Pairs that belong together or not, for sparse models.
        case sparseBinaryClassification = "SparseBinaryClassificationEvaluator"
        /// Lists of documents, for sparse models.
        case sparseReranking = "SparseRerankingEvaluator"
        /// The weights of a teacher, for sparse models.
        case sparseMSE = "SparseMSEEvaluator"
        /// Triplets, for multi-vector models.
        case colBERTTriplet = "ColBERTTripletEvaluator"
        /// Lists of documents with a teacher's scores, for multi-vector models.
        case colBERTDistillation = "ColBERTDistillationEvaluator"
        /// Retrieval from a corpus, for multi-vector models.
        case colBERTRetrieval = "PyLateInformationRetrievalEvaluator"
        /// Several evaluators.
        case sequential = "SequentialEvaluator"

        /// The models that the evaluator measures; nil for any.
        var models: String? {
            switch self {
            case .triplet, .informationRetrieval, .nanoBEIR, .embeddingSimilarity, .binaryClassification, .reranking:
                "embedding models"
            case .crossEncoderReranking, .crossEncoderNanoBEIR, .crossEncoderClassification, .crossEncoderCorrelation:
                "rerankers"
            case .sparseTriplet, .sparseInformationRetrieval, .sparseNanoBEIR, .sparseEmbeddingSimilarity,
                .sparseBinaryClassification, .sparseReranking, .sparseMSE:
                "sparse models"
            case .colBERTTriplet, .colBERTDistillation, .colBERTRetrieval: "multi-vector models"
            case .sequential: nil
            }
        }
    }

    let kind: Kind
    let section: RecipeSection
    let parts: [EvaluatorRecipe]

    /// What has no effect, a sentence each.
    package var notices: [String] {
        let inert = [
            ("batch_size", "batches are made by tokens"), ("show_progress_bar", "evaluations show no bar"),
        ]
        return inert.filter { Self.keys(of: kind).contains($0.0) && section.has($0.0) }
            .map { "\(section.path).\($0.0) has no effect: \($0.1)" }
            + parts.flatMap(\.notices)
    }

    /// Reads evaluators.
    ///
    /// - Parameters:
    ///   - node: A mapping, or a list of mappings.
    ///   - path: The dotted key in the recipe.
    ///   - name: The file, for messages.
    /// - Throws: `RecipeError` for a type or a key that is not known.
    package init(_ node: YAMLNode, path: String = "evaluator", name: String) throws {
        if case .list(let items) = node.content {
            kind = .sequential
            section = try RecipeSection(
                YAMLNode(.mapping([]), line: node.line),
                path: path,
                name: name,
                schema: Self.keys(of: .sequential)
            )
            parts = try Self.parts(items, path, name)
            return
        }
        let line = node.line
        if case .scalar(let text, _) = node.content, !node.isNull {
            // The name alone is an evaluator without arguments.
            kind = try Self.kind(text, RecipeSection.place(name, line, path))
            section = try RecipeSection(
                YAMLNode(.mapping([]), line: line),
                path: path,
                name: name,
                schema: Self.keys(of: kind)
            )
            parts = []
            return
        }
        guard case .scalar(let text, _)? = node["type"]?.content else {
            throw RecipeError(
                .missing,
                RecipeSection.place(name, line, "\(path).type"),
                found: "is not there",
                expected: Kind.allCases.map(\.rawValue).joined(separator: ", ")
            )
        }
        kind = try Self.kind(text, RecipeSection.place(name, node["type"]?.line, "\(path).type"))
        section = try RecipeSection(node, path: path, name: name, schema: Self.keys(of: kind))
        guard kind == .sequential else {
            parts = []
            return
        }
        guard let list = section.node("evaluators"), case .list(let items) = list.content else {
            throw section.missing("evaluators", "a list of evaluators")
        }
        parts = try Self.parts(items, "\(path).evaluators", name)
    }

    /// Takes evaluators that were read before.
    ///
    /// - Parameters:
    ///   - value: An object, or a list of objects.
    ///   - name: Where it is from, for messages.
    /// - Throws: `RecipeError` for a type or a key that is not known.
    package init(_ value: JSONValue, name: String) throws {
        try self.init(YAMLNode(value), name: name)
    }

    private static func kind(_ text: String, _ place: String) throws -> Kind {
        if let kind = Kind(rawValue: text) { return kind }
        let known = Kind.allCases.map(\.rawValue)
        let near = SpellingSuggestion.nearest(text, known).map { "; did you mean \($0)?" } ?? ""
        throw RecipeError(
            .unsupported,
            place,
            found: "is \(quoted(text))",
            expected: "one of \(known.joined(separator: ", "))\(near)"
        )
    }

    private static func parts(_ items: [YAMLNode], _ path: String, _ name: String) throws -> [EvaluatorRecipe] {
        try items.enumerated().map { try EvaluatorRecipe($1, path: "\(path)[\($0)]", name: name) }
    }

    static func keys(of kind: Kind) -> [String] {
        let common = ["type", "name", "write_csv", "batch_size", "show_progress_bar"]
        let table = ["dataset", "columns"]
        let cutoffs = ["mrr_at_k", "ndcg_at_k", "accuracy_at_k", "precision_recall_at_k", "map_at_k"]
        let scores = ["score_functions", "main_score_function", "truncate_dim", "write_predictions"]
        let nano = ["dataset_names", "dataset_id", "aggregate_key"]
        return switch kind {
        case .triplet:
            common + table + ["main_similarity_function", "similarity_fn_names", "margin", "truncate_dim"]
        case .informationRetrieval:
            common + ["dataset", "split", "corpus_chunk_size"] + cutoffs + scores
                + ["query_prompt", "query_prompt_name", "corpus_prompt", "corpus_prompt_name"]
        case .nanoBEIR:
            common.filter { $0 != "name" } + nano + cutoffs + scores + ["query_prompts", "corpus_prompts"]
        case .embeddingSimilarity:
            common + table + ["main_similarity", "similarity_fn_names", "precision", "truncate_dim"]
        case .binaryClassification: common + table + ["similarity_fn_names", "truncate_dim"]
        case .reranking: common + table + ["at_k", "mrr_at_k", "truncate_dim"]
        case .crossEncoderReranking:
            common + table + ["at_k", "mrr_at_k", "always_rerank_positives", "prompt_name"]
        case .crossEncoderNanoBEIR:
            common.filter { $0 != "name" } + nano + ["rerank_k", "at_k", "always_rerank_positives", "prompt_name"]
        case .crossEncoderClassification, .crossEncoderCorrelation: common + table + ["prompt_name"]
        case .sparseTriplet: keys(of: .triplet).limited
        case .sparseInformationRetrieval: keys(of: .informationRetrieval).limited
        case .sparseNanoBEIR: keys(of: .nanoBEIR).limited
        case .sparseEmbeddingSimilarity: keys(of: .embeddingSimilarity).filter { $0 != "precision" }.limited
        case .sparseBinaryClassification: keys(of: .binaryClassification).limited
        case .sparseReranking: keys(of: .reranking).limited
        case .sparseMSE: common + table + ["teacher_model", "max_active_dims"]
        case .colBERTTriplet: common + table
        case .colBERTDistillation: common + table + ["normalize_scores"]
        case .colBERTRetrieval: keys(of: .informationRetrieval)
        case .sequential: ["type", "evaluators"]
        }
    }

    // MARK: - Evaluators

    /// The evaluators, for embedding models.
    ///
    /// - Parameter data: What they measure on.
    /// - Returns: The evaluator; of a list, one that runs them all.
    /// - Throws: `RecipeError` for values that are wrong and evaluators of rerankers; `EvaluationError` and `TableError` for
    ///   data that are missing or do not fit.
    package func embeddingEvaluator(_ data: EvaluatorData) throws -> any Evaluator<any TextVectors> {
        switch kind {
        case .sequential: return SequentialEvaluator(try parts.map { try $0.embeddingEvaluator(data) })
        case .triplet: return try tripletEvaluator(data)
        case .informationRetrieval: return try retrievalEvaluator(data)
        case .nanoBEIR: return try nanoBEIREvaluator(data)
        case .embeddingSimilarity:
            return try similarityEvaluator(data, precision: section.choice("precision", EmbeddingPrecision.self))
        case .binaryClassification: return try binaryEvaluator(data)
        case .reranking: return try rankingEvaluator(data)
        default: throw unsuitable("embedding models")
        }
    }

    /// The refusal of an evaluator that measures other models.
    func unsuitable(_ models: String) -> RecipeError {
        let fitting = Kind.allCases.filter { $0.models == models }.map(\.rawValue)
        let name = kind.rawValue
        let near = fitting.first { $0.hasSuffix(name) || name.hasSuffix($0) }.map { ", such as \($0)" } ?? ""
        return section.problem("type", "measures \(kind.models ?? "other models")", "an evaluator of \(models)\(near)")
    }

    func similarityEvaluator(
        _ data: EvaluatorData,
        precision: EmbeddingPrecision? = nil
    ) throws -> EmbeddingSimilarityEvaluator {
        try EmbeddingSimilarityEvaluator(
            table(data),
            similarities: similarities("similarity_fn_names"),
            mainSimilarity: section.choice("main_similarity", EmbeddingSimilarity.self),
            precision: precision,
            name: evaluatorName(),
            truncateDimension: truncateDimension(),
            writesTable: section.bool("write_csv") ?? true
        )
    }

    func binaryEvaluator(_ data: EvaluatorData) throws -> BinaryClassificationEvaluator {
        try BinaryClassificationEvaluator(
            table(data),
            similarities: similarities("similarity_fn_names"),
            name: evaluatorName(),
            truncateDimension: truncateDimension(),
            writesTable: section.bool("write_csv") ?? true
        )
    }

    func rankingEvaluator(_ data: EvaluatorData) throws -> RerankingEvaluator {
        try RerankingEvaluator(
            EvaluationColumn(table(data)),
            k: cutoff(),
            name: evaluatorName(),
            truncateDimension: truncateDimension(),
            writesTable: section.bool("write_csv") ?? true
        )
    }

    func tripletEvaluator(_ data: EvaluatorData) throws -> TripletEvaluator {
        var margins: [EmbeddingSimilarity: Double] = [:]
        if let node = section.node("margin") {
            if case .mapping = node.content {
                let values = try section.section("margin", EmbeddingSimilarity.allCases.map(\.rawValue))
                for similarity in EmbeddingSimilarity.allCases {
                    margins[similarity] = try values.double(similarity.rawValue)
                }
            } else if let margin = try section.double("margin", "a number, or a mapping of similarities to numbers") {
                for similarity in EmbeddingSimilarity.allCases { margins[similarity] = margin }
            }
        }
        return try TripletEvaluator(
            table(data),
            similarities: similarities("similarity_fn_names"),
            mainSimilarity: section.choice("main_similarity_function", EmbeddingSimilarity.self),
            margins: margins,
            name: evaluatorName(),
            truncateDimension: truncateDimension(),
            writesTable: section.bool("write_csv") ?? true
        )
    }

    private func retrievalEvaluator(_ data: EvaluatorData) throws -> InformationRetrievalEvaluator {
        try InformationRetrievalEvaluator(
            retrievalData(data),
            settings: corpusSettings(),
            name: evaluatorName()
        )
    }

    func retrievalData(_ data: EvaluatorData) throws -> RetrievalData {
        guard let folder = try section.string("dataset") else {
            throw section.missing(
                "dataset",
                "a folder in BEIR's layout: corpus.jsonl, queries.jsonl and qrels/test.tsv"
            )
        }
        return try BEIRFolder(data.folder(folder, []), split: section.string("split") ?? "test").data
    }

    /// The settings of the evaluators of one corpus.
    func corpusSettings() throws -> RetrievalEvaluatorSettings {
        var settings = try retrievalSettings()
        settings.corpusChunkSize =
            try section.int("corpus_chunk_size", in: 1...Int.largestCount) ?? settings.corpusChunkSize
        settings.queryPrompt = try prompt("query")
        settings.corpusPrompt = try prompt("corpus")
        return settings
    }

    private func nanoBEIREvaluator(_ data: EvaluatorData) throws -> NanoBEIREvaluator {
        let datasets = try nanoDatasets() ?? NanoBEIRDataset.allCases
        return try NanoBEIREvaluator(
            nanoFolder(data, datasets, includesBM25: false),
            datasets: datasets,
            settings: retrievalSettings(),
            queryPrompts: prompts("query_prompts", datasets),
            corpusPrompts: prompts("corpus_prompts", datasets),
            aggregateKey: section.string("aggregate_key") ?? "mean"
        )
    }

    // MARK: - Values

    func evaluatorName() throws -> String { try section.string("name") ?? "" }

    private func truncateDimension() throws -> Int? {
        // Weights of a vocabulary have no leading dimensions.
        guard Self.keys(of: kind).contains("truncate_dim") else { return nil }
        return try section.int("truncate_dim", in: 1...Int.largestCount)
    }

    func cutoff() throws -> Int {
        if let k = try section.int("at_k", in: 1...Int.largestCount) { return k }
        // The older name, which NanoBEIR's evaluator never had.
        guard kind != .crossEncoderNanoBEIR else { return 10 }
        return try section.int("mrr_at_k", in: 1...Int.largestCount) ?? 10
    }

    /// What the evaluator measures on.
    func table(_ data: EvaluatorData) throws -> any TextTable {
        let given = try section.string("dataset").map(data.open)
        guard let table = given ?? data.table else {
            throw section.missing("dataset", "a table, as the recipe has no eval_dataset")
        }
        guard let columns = try texts("columns") else { return table }
        return try TableView(table).keeping(columns: columns)
    }

    func retrievalSettings() throws -> RetrievalEvaluatorSettings {
        var settings = RetrievalEvaluatorSettings()
        settings.cutoffs = RetrievalCutoffs(
            mrr: try cutoffs("mrr_at_k") ?? settings.cutoffs.mrr,
            ndcg: try cutoffs("ndcg_at_k") ?? settings.cutoffs.ndcg,
            accuracy: try cutoffs("accuracy_at_k") ?? settings.cutoffs.accuracy,
            precisionRecall: try cutoffs("precision_recall_at_k") ?? settings.cutoffs.precisionRecall,
            map: try cutoffs("map_at_k") ?? settings.cutoffs.map
        )
        settings.similarities = try similarities("score_functions")
        settings.mainSimilarity = try section.choice("main_score_function", EmbeddingSimilarity.self)
        settings.truncateDimension = try truncateDimension()
        settings.writesTable = try section.bool("write_csv") ?? true
        settings.writesPredictions = try section.bool("write_predictions") ?? false
        return settings
    }

    /// A prompt by its text or its name.
    private func prompt(_ part: String) throws -> TextEmbeddingPipeline.Prompt {
        let (text, name) = try (section.string("\(part)_prompt"), section.string("\(part)_prompt_name"))
        // The text wins, as in sentence-transformers' `encode`.
        return text.map { .text($0) } ?? name.map { .named($0) } ?? .default
    }

    /// A prompt for all data sets, or one for each.
    func prompts(_ key: String, _ datasets: [NanoBEIRDataset]) throws -> [NanoBEIRDataset: String] {
        guard let node = section.node(key) else { return [:] }
        guard case .mapping(let members) = node.content else {
            let text = try section.string(key) ?? ""
            return Dictionary(uniqueKeysWithValues: datasets.map { ($0, text) })
        }
        var prompts: [NanoBEIRDataset: String] = [:]
        for (name, value) in members {
            guard let dataset = NanoBEIRDataset(named: name), case .scalar(let text, _) = value.content else {
                throw section.wrong(key, node, "a text, or texts by the names of data sets")
            }
            prompts[dataset] = text
        }
        let missing = datasets.filter { prompts[$0] == nil }.map(\.rawValue)
        guard missing.isEmpty else {
            throw section.problem(key, "has no text for \(listing(missing))", "a text for each data set")
        }
        return prompts
    }

    func nanoDatasets() throws -> [NanoBEIRDataset]? {
        try texts("dataset_names")?.map { name in
            if let dataset = NanoBEIRDataset(named: name) { return dataset }
            let known = NanoBEIRDataset.allCases.map(\.rawValue)
            throw section.problem(
                "dataset_names",
                "has \(quoted(name))",
                "some of \(known.joined(separator: ", "))"
            )
        }
    }

    func nanoFolder(
        _ data: EvaluatorData,
        _ datasets: [NanoBEIRDataset],
        includesBM25: Bool
    ) throws -> NanoBEIRFolder {
        let name = try section.string("dataset_id") ?? "sentence-transformers/NanoBEIR-en"
        return NanoBEIRFolder(
            try data.folder(name, NanoBEIRFolder.patterns(datasets, includesBM25: includesBM25))
        )
    }

    private func similarities(_ key: String) throws -> [EmbeddingSimilarity] {
        try (texts(key) ?? []).map { text in
            if let similarity = EmbeddingSimilarity(rawValue: text) { return similarity }
            let known = EmbeddingSimilarity.allCases.map(\.rawValue)
            let near = SpellingSuggestion.nearest(text, known).map { "; did you mean \($0)?" } ?? ""
            throw section.problem(key, "has \(quoted(text))", "some of \(known.joined(separator: ", "))\(near)")
        }
    }

    /// A number, or a list of numbers from 1.
    private func cutoffs(_ key: String) throws -> [Int]? {
        try items(key)?.map { item in
            guard case .scalar(let text, true) = item.content, let number = RecipeSection.integer(text), number > 0
            else {
                throw section.wrong(key, item, "a whole number from 1, or a list of them")
            }
            return number
        }
    }

    /// A text, or a list of texts.
    private func texts(_ key: String) throws -> [String]? {
        try items(key)?.map { item in
            guard case .scalar(let text, _) = item.content, !text.isEmpty else {
                throw section.wrong(key, item, "a text, or a list of texts")
            }
            return text
        }
    }

    private func items(_ key: String) -> [YAMLNode]? {
        guard let node = section.node(key) else { return nil }
        if case .list(let items) = node.content { return items }
        return [node]
    }
}

extension [String] {
    /// The keys of an evaluator of embedding models as that of sparse models has them.
    fileprivate var limited: [String] { filter { $0 != "truncate_dim" } + ["max_active_dims"] }
}
