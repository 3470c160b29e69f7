import EttinInference
import EttinTables

/// Two texts in each row, which a reranker reads together.
struct CrossEncoderPairs {
    private let ones: TextColumn
    private let others: TextColumn
    private let prompt: RerankingPipeline.Prompt

    /// Pairs that are scored at once: enough for full batches of pairs of similar length.
    private static let blockRows = 8192

    init(_ ones: TextColumn, _ others: TextColumn, prompt: RerankingPipeline.Prompt) {
        (self.ones, self.others, self.prompt) = (ones, others, prompt)
    }

    /// All scores of the pairs of each row.
    ///
    /// - Throws: What the texts and the model throw.
    func scores(of model: any PairScores) throws -> [[Double]] {
        var scores: [[Double]] = []
        for begin in stride(from: 0, to: ones.count, by: Self.blockRows) {
            let rows = begin..<min(begin + Self.blockRows, ones.count)
            let pairs = try zip(ones(rows), others(rows)).map { TextPair($0, $1) }
            scores += try model.labelScores(of: pairs, prompt: prompt)
        }
        return scores
    }
}

/// Refuses a model with another number of scores than an evaluator measures.
///
/// - Parameters:
///   - model: The model.
///   - evaluator: The evaluator.
/// - Throws: ``EvaluationError`` that says how many there are.
func requireOneScore(_ model: any PairScores, in evaluator: String) throws {
    guard model.labelCount != 1 else { return }
    throw EvaluationError(
        .unsupported,
        file: evaluator,
        item: "the model",
        found: "has \(model.labelCount) scores for each pair",
        expected: "one; CrossEncoderClassificationEvaluator measures several"
    )
}
