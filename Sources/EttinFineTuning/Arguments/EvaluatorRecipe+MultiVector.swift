package import EttinEvaluation
import EttinRecipes

extension EvaluatorRecipe {
    /// The evaluators, for multi-vector models.
    ///
    /// - Parameter data: What they measure on.
    /// - Returns: The evaluator; of a list, one that runs them all.
    /// - Throws: `RecipeError` for values that are wrong and evaluators of other models; `EvaluationError` and `TableError`
    ///   for data that are missing or do not fit.
    package func multiVectorEvaluator(_ data: EvaluatorData) throws -> any Evaluator<any TokenVectors> {
        // One similarity there is, of vectors as they are.
        let others = [
            "main_similarity_function", "similarity_fn_names", "margin", "truncate_dim", "score_functions",
            "main_score_function",
        ]
        if let key = others.first(where: { Self.keys(of: kind).contains($0) && section.has($0) }) {
            throw section.problem(key, "does not go with multi-vector models", "no such key")
        }
        switch kind {
        case .sequential: return SequentialEvaluator(try parts.map { try $0.multiVectorEvaluator(data) })
        case .triplet, .colBERTTriplet:
            return try ColBERTTripletEvaluator(
                table(data),
                name: evaluatorName(),
                writesTable: section.bool("write_csv") ?? true
            )
        case .colBERTDistillation:
            return try ColBERTDistillationEvaluator(
                table(data),
                normalizesScores: section.bool("normalize_scores") ?? true,
                name: evaluatorName(),
                writesTable: section.bool("write_csv") ?? true
            )
        case .informationRetrieval, .colBERTRetrieval:
            return try ColBERTRetrievalEvaluator(
                retrievalData(data),
                settings: corpusSettings(),
                name: evaluatorName()
            )
        case .nanoBEIR:
            let datasets = try nanoDatasets() ?? NanoBEIRDataset.allCases
            return try ColBERTNanoBEIREvaluator(
                nanoFolder(data, datasets, includesBM25: false),
                datasets: datasets,
                settings: retrievalSettings(),
                queryPrompts: prompts("query_prompts", datasets),
                corpusPrompts: prompts("corpus_prompts", datasets),
                aggregateKey: section.string("aggregate_key") ?? "mean"
            )
        default: throw unsuitable("multi-vector models")
        }
    }
}
