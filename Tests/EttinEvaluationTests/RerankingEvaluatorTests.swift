import EttinFiles
import EttinInference
import EttinModel
import EttinTables
import TestSupport
import Testing

@testable import EttinEvaluation

@Suite struct RerankingEvaluatorTests {
    /// A reranker that knows the scores of a few pairs.
    private struct ScoreTable: PairScores {
        let modelName = "table"
        let scores: [String: Double]

        func pairScores(of pairs: [TextPair], prompt: RerankingPipeline.Prompt) throws -> [Double] {
            try pairs.map { pair in
                guard let score = scores["\(pair.first)|\(pair.second)"] else {
                    throw VectorTable.UnknownText(text: pair.second)
                }
                return score
            }
        }
    }

    // Scores and metrics of shared/golden/finetune/evaluators_reranker.json, `reranking`, from sentence-transformers 6.2.
    private static let model = ScoreTable(scores: [
        "q1|A": 0.2, "q1|B": 0.9, "q1|C": 0.4, "q1|D": 0.1, "q2|E": 0.7, "q2|F": 0.3, "q2|G": 0.8, "q3|H": 0.5,
        "q3|I": 0.6, "q3|J": 0.95, "q1|X": 0.05, "q4|K": 0.3, "q4|L": 0.6, "q4|M": 0.3,
    ])
    private static let samples: [RerankingSample] = [
        RerankingSample(query: "q1", positives: ["C", "X"], candidates: .documents(["A", "B", "C", "D"])),
        RerankingSample(query: "q2", positives: ["E"], candidates: .documents(["E", "F", "G"])),
        RerankingSample(query: "q3", positives: ["J"], candidates: .documents(["H", "I"])),
        RerankingSample(query: "q4", positives: ["K"], candidates: .documents(["K", "L", "M"])),
    ]

    @Test(arguments: [
        (true, [0.570833333, 0.583333333, 0.705111288]), (false, [0.333333333, 0.333333333, 0.456831096]),
    ])
    func rerankersMetricsAreTheOriginals(ranksAllPositives: Bool, values: [Double]) throws {
        let evaluator = try CrossEncoderRerankingEvaluator(
            EvaluationColumn(Self.samples),
            ranksAllPositives: ranksAllPositives,
            name: "toy"
        )
        let keys = ["map", "mrr@10", "ndcg@10", "base_map", "base_mrr@10", "base_ndcg@10"]
        let expected = zip(keys, values + [0.591666667, 0.583333333, 0.635942827]).map { ("toy_\($0)", $1) }
        try withTemporaryFolder { folder in
            let metrics = try evaluator.evaluate(Self.model, at: EvaluationPlace(folder: folder.path))
            #expect(agree(metrics, Array(expected), within: 1e-8), "\(metrics)")
            #expect(evaluator.primaryMetric == "toy_ndcg@10")
            let file = "CrossEncoderRerankingEvaluator_toy_results_@10.csv"
            let text = String(decoding: try folder.read(file), as: UTF8.self)
            #expect(text.hasPrefix("epoch,steps,MAP,MRR@10,NDCG@10\r\n-1,-1,0."))
        }
    }

    // As in Python: the other spelling of a positive is another text.
    @Test func documentsAreComparedByTheirCodePoints() throws {
        let sample = RerankingSample(
            query: "q",
            positives: ["caf\u{e9}"],
            candidates: .documents(["cafe\u{301}", "tea", "caf\u{e9}"])
        )
        let model = CodePointScores(scores: ["cafe\u{301}": 0.9, "tea": 0.1, "caf\u{e9}": 0.5])
        for ranksAllPositives in [true, false] {
            let evaluator = try CrossEncoderRerankingEvaluator(
                EvaluationColumn([sample]),
                ranksAllPositives: ranksAllPositives
            )
            let metrics = try evaluator.evaluate(model)
            #expect(metrics.value("base_mrr@10") == 1.0 / 3 && metrics.value("mrr@10") == 0.5)
        }
    }

    /// A reranker that tells spellings apart.
    private struct CodePointScores: PairScores {
        let modelName = "table"
        let scores: [ExactName: Double]

        init(scores: KeyValuePairs<String, Double>) {
            self.scores = Dictionary(uniqueKeysWithValues: scores.map { (ExactName($0.key), $0.value) })
        }

        func pairScores(of pairs: [TextPair], prompt: RerankingPipeline.Prompt) throws -> [Double] {
            pairs.map { scores[ExactName($0.second)] ?? 0 }
        }
    }

    @Test func negativesAreRankedBelowPositives() throws {
        let table = ValueTable(
            ["query", "positive", "negative"],
            [
                [.text("q1"), .text("C"), .list([.text("A"), .text("B"), .text("D")])],
                [.text("q4"), .list([.text("K")]), .list([.text("L"), .text("M")])],
            ]
        )
        let evaluator = try CrossEncoderRerankingEvaluator(EvaluationColumn(table), k: 2)
        let metrics = try evaluator.evaluate(Self.model)
        // Python: ranks 2 and, among equal scores, the later first (3 of 3).
        #expect(metrics.map(\.key) == ["map", "mrr@2", "ndcg@2"])
        #expect(abs(metrics[0].value - (0.5 + 1.0 / 3) / 2) < 1e-9 && abs(metrics[1].value - 0.25) < 1e-9)
    }

    @Test func embeddingModelsMetricsAreTheOriginals() throws {
        let samples = [
            RerankingSample(query: "a", positives: ["b", "c"], candidates: .negatives(["d", "e"])),
            RerankingSample(query: "g", positives: ["h"], candidates: .negatives(["f", "a", "b"])),
            RerankingSample(query: "a", positives: [], candidates: .negatives(["d"])),
        ]
        let evaluator = try RerankingEvaluator(EvaluationColumn(samples), k: 2, name: "rr")
        let metrics = try evaluator.evaluate(PairEvaluatorTests.model)
        let expected = [("rr_map", 0.9166666666666666), ("rr_mrr@2", 1.0), ("rr_ndcg@2", 0.8065735963827292)]
        #expect(agree(metrics, expected, within: 1e-12), "\(metrics)")
    }

    @Test func evaluatorsRunOneAfterTheOther() throws {
        let evaluator = SequentialEvaluator([
            try CrossEncoderRerankingEvaluator(EvaluationColumn(Self.samples), name: "toy"),
            try CrossEncoderRerankingEvaluator(EvaluationColumn(Array(Self.samples.prefix(2))), name: "toy2"),
        ])
        let metrics = try evaluator.evaluate(Self.model)
        #expect(
            metrics.map(\.key) == [
                "toy_map", "toy_mrr@10", "toy_ndcg@10", "toy_base_map", "toy_base_mrr@10", "toy_base_ndcg@10",
                "toy2_map", "toy2_mrr@10", "toy2_ndcg@10", "toy2_base_map", "toy2_base_mrr@10", "toy2_base_ndcg@10",
                "sequential_score",
            ]
        )
        #expect(abs((metrics.last?.value ?? 0) - 0.627490137) < 1e-8)
        #expect(evaluator.primaryMetric == "sequential_score" && evaluator.reports.map(\.name) == ["toy", "toy2"])
    }

    @Test func samplesThatDoNotFitAreNamed() throws {
        let both = ValueTable(["query", "positive", "negative", "documents"], [])
        #expect(throws: EvaluationError.self) { try EvaluationColumn<RerankingSample>(both) }
        let error = #expect(throws: EvaluationError.self) {
            try EvaluationColumn<RerankingSample>(ValueTable(["question", "positive", "negative"], []))
        }
        #expect(
            error?.description
                == "reranking samples: data has the columns \"question\", \"positive\" and \"negative\"; expected one "
                + "named \"query\""
        )
        #expect(throws: EvaluationError.self) {
            try CrossEncoderRerankingEvaluator(EvaluationColumn([RerankingSample]()))
        }
    }
}
