package import EttinEvaluation
import EttinFiles
import EttinInference
import EttinRecipes

extension EvaluatorRecipe {
    /// The evaluators, for rerankers.
    ///
    /// - Parameters:
    ///   - data: What they measure on.
    ///   - labelCount: The number of scores of a pair that the model has.
    /// - Returns: The evaluator; of a list, one that runs them all.
    /// - Throws: `RecipeError` for values that are wrong, evaluators of embedding models, and those of one score where there
    ///   are several; `EvaluationError` and `TableError` for data that are missing or do not fit.
    package func rerankingEvaluator(
        _ data: EvaluatorData,
        labelCount: Int = 1
    ) throws -> any Evaluator<any PairScores> {
        if labelCount != 1, kind != .sequential, kind != .crossEncoderClassification {
            throw section.problem(
                "type",
                "measures rerankers of one score, but the model has \(labelCount)",
                "CrossEncoderClassificationEvaluator, or num_labels: 1"
            )
        }
        switch kind {
        case .sequential:
            return SequentialEvaluator(try parts.map { try $0.rerankingEvaluator(data, labelCount: labelCount) })
        case .crossEncoderClassification:
            return try CrossEncoderClassificationEvaluator(
                table(data),
                labelCount: labelCount,
                name: evaluatorName(),
                prompt: section.string("prompt_name").map { .named($0) } ?? .default,
                writesTable: section.bool("write_csv") ?? true
            )
        case .crossEncoderCorrelation:
            return try CrossEncoderCorrelationEvaluator(
                table(data),
                name: evaluatorName(),
                prompt: section.string("prompt_name").map { .named($0) } ?? .default,
                writesTable: section.bool("write_csv") ?? true
            )
        case .crossEncoderReranking:
            return try CrossEncoderRerankingEvaluator(
                EvaluationColumn(table(data)),
                k: cutoff(),
                ranksAllPositives: section.bool("always_rerank_positives") ?? true,
                name: evaluatorName(),
                prompt: section.string("prompt_name").map { .named($0) } ?? .default,
                writesTable: section.bool("write_csv") ?? true
            )
        case .crossEncoderNanoBEIR:
            let datasets = try nanoDatasets() ?? CrossEncoderNanoBEIREvaluator.defaultDatasets
            return try CrossEncoderNanoBEIREvaluator(
                nanoFolder(data, datasets, includesBM25: true),
                datasets: datasets,
                rerankCount: section.int("rerank_k", in: 1...Int.largestCount) ?? 100,
                k: cutoff(),
                ranksAllPositives: section.bool("always_rerank_positives") ?? true,
                prompt: section.string("prompt_name").map { .named($0) } ?? .default,
                aggregateKey: section.string("aggregate_key") ?? "mean",
                writesTable: section.bool("write_csv") ?? true
            )
        default: throw unsuitable("rerankers")
        }
    }
}
