package import EttinEvaluation
import EttinFiles
import EttinRecipes

extension EvaluatorRecipe {
    /// The evaluators, for sparse models.
    ///
    /// - Parameters:
    ///   - data: What they measure on.
    ///   - teacher: Opens the folder or the name of a model whose weights are to be neared.
    /// - Returns: The evaluator; of a list, one that runs them all.
    /// - Throws: `RecipeError` for values that are wrong and evaluators of other models; `EvaluationError` and `TableError`
    ///   for data that are missing or do not fit; what opening a teacher throws.
    package func sparseEvaluator(
        _ data: EvaluatorData,
        teacher: (String) throws -> any SparseTextVectors
    ) throws -> any Evaluator<any SparseTextVectors> {
        switch kind {
        case .sequential: return SequentialEvaluator(try parts.map { try $0.sparseEvaluator(data, teacher: teacher) })
        case .sparseTriplet:
            return try SparseVectorEvaluator(tripletEvaluator(data), maxActiveDimensions: maxActiveDimensions())
        case .sparseBinaryClassification:
            return try SparseVectorEvaluator(binaryEvaluator(data), maxActiveDimensions: maxActiveDimensions())
        case .sparseEmbeddingSimilarity:
            return try SparseVectorEvaluator(similarityEvaluator(data), maxActiveDimensions: maxActiveDimensions())
        case .sparseReranking:
            return try SparseVectorEvaluator(rankingEvaluator(data), maxActiveDimensions: maxActiveDimensions())
        case .sparseInformationRetrieval:
            let settings = try corpusSettings()
            return try SparseInformationRetrievalEvaluator(
                retrievalData(data),
                settings: settings,
                maxActiveDimensions: maxActiveDimensions(),
                name: evaluatorName()
            )
        case .sparseNanoBEIR:
            let datasets = try nanoDatasets() ?? NanoBEIRDataset.allCases
            return try SparseNanoBEIREvaluator(
                nanoFolder(data, datasets, includesBM25: false),
                datasets: datasets,
                settings: retrievalSettings(),
                maxActiveDimensions: maxActiveDimensions(),
                queryPrompts: prompts("query_prompts", datasets),
                corpusPrompts: prompts("corpus_prompts", datasets),
                aggregateKey: section.string("aggregate_key") ?? "mean"
            )
        case .sparseMSE:
            return try SparseMSEEvaluator(
                table(data),
                teacher: teacher(
                    section.require(
                        "teacher_model",
                        section.string("teacher_model"),
                        "the folder or the name of a sparse model"
                    )
                ),
                name: evaluatorName(),
                maxActiveDimensions: maxActiveDimensions(),
                writesTable: section.bool("write_csv") ?? true
            )
        default: throw unsuitable("sparse models")
        }
    }

    private func maxActiveDimensions() throws -> Int? { try section.int("max_active_dims", in: 1...Int.largestCount) }
}
