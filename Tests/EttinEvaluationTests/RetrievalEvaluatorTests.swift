import EttinInference
import EttinJSON
import EttinModel
import EttinTables
import Foundation
import TestSupport
import Testing

@testable import EttinEvaluation

@Suite struct RetrievalEvaluatorTests {
    // Vectors and metrics of shared/golden/finetune/evaluators_reranker.json, `ir`, from sentence-transformers 6.2; d4 and
    // d10 are equal.
    private static let queries = ["q0": [-1.09, -1.36, 0.22], "q1": [-1.11, 1.17, 0.72], "q2": [-2.0, 0.27, -1.1]]
    private static let corpus: [String: [Float]] = [
        "d0": [-0.8, -1.32, -0.25], "d1": [0.42, 1.14, 0.11], "d2": [-0.55, -0.78, 0.75], "d3": [1.63, 0.27, -1.23],
        "d4": [-0.96, 1.6, 0.2], "d5": [-1.73, -0.08, -1.16], "d6": [-0.63, -0.49, -0.71], "d7": [0.55, -0.06, -0.59],
        "d8": [0.41, 0.83, -1.64], "d9": [-0.26, -0.98, -0.17], "d10": [-0.96, 1.6, 0.2], "d11": [-0.3, -1.05, -0.4],
    ]
    private static let relevant: [String: Set<String>] = [
        "q0": ["d4", "d7"], "q1": ["d1"], "q2": ["d0", "d11", "d3", "d9"], "q3": [],
    ]
    static let model = VectorTable(
        vectors: queries.mapValues { $0.map(Float.init) }.merging(corpus) { first, _ in first }
    )

    private static func data() throws -> RetrievalData {
        try RetrievalData(
            queries: ["q0", "q1", "q2", "q3"].map { ($0, $0) },
            corpus: (0..<12).map { ("d\($0)", "d\($0)") },
            relevant: relevant
        )
    }

    private static func settings() -> RetrievalEvaluatorSettings {
        var settings = RetrievalEvaluatorSettings()
        settings.cutoffs = RetrievalCutoffs(
            ndcg: [10, 3],
            accuracy: [1, 3, 5],
            precisionRecall: [1, 3, 5],
            map: [100, 5]
        )
        return settings
    }

    @Test(arguments: [1, 2, 5, 50_000])
    func metricsAreTheOriginals(chunkSize: Int) throws {
        var settings = Self.settings()
        settings.corpusChunkSize = chunkSize
        let evaluator = try InformationRetrievalEvaluator(Self.data(), settings: settings, name: "toy")
        let expected = [
            ("toy_cosine_accuracy@1", 0.0), ("toy_cosine_accuracy@3", 0.333333333),
            ("toy_cosine_accuracy@5", 0.666666667), ("toy_cosine_precision@1", 0),
            ("toy_cosine_precision@3", 0.111111111), ("toy_cosine_precision@5", 0.133333333),
            ("toy_cosine_recall@1", 0), ("toy_cosine_recall@3", 0.333333333), ("toy_cosine_recall@5", 0.416666667),
            ("toy_cosine_ndcg@10", 0.430409698), ("toy_cosine_ndcg@3", 0.166666667),
            ("toy_cosine_mrr@10", 0.219444444), ("toy_cosine_map@100", 0.272453704),
            ("toy_cosine_map@5", 0.127777778),
        ]
        #expect(agree(try evaluator.evaluate(Self.model), expected, within: 1e-8))
        #expect(evaluator.primaryMetric == "toy_cosine_ndcg@10")
    }

    @Test(arguments: [1, 4, 50])
    func equalScoresAreOrderedByID(chunkSize: Int) throws {
        var ranking = DocumentRanking(try Self.data(), depth: 12)
        ranking.chunkSize = chunkSize
        func names() throws -> [[String]] {
            try ranking(Self.model, similarities: [.cosine])[0].map { $0.map { ranking.data.documentIDs[$0.document] } }
        }
        let ascending = [
            ["d0", "d9", "d2", "d11", "d6", "d5", "d10", "d4", "d7", "d8", "d3", "d1"],
            ["d10", "d4", "d1", "d5", "d2", "d8", "d6", "d0", "d9", "d11", "d3", "d7"],
            ["d5", "d6", "d10", "d4", "d0", "d11", "d8", "d9", "d2", "d1", "d7", "d3"],
        ]
        #expect(try names() == ascending)
        ranking.ties = .descendingID
        #expect(
            try names()
                == ascending.map { $0.joined(separator: " ").replacingOccurrences(of: "d10 d4", with: "d4 d10") }
                .map { $0.split(separator: " ").map(String.init) }
        )
        ranking.depth = 3
        #expect(try names().map(\.count) == [3, 3, 3])
    }

    @Test func tablesAndPredictionsAreWritten() throws {
        try withTemporaryFolder { folder in
            var settings = Self.settings()
            settings.writesPredictions = true
            settings.similarities = [.dot, .cosine]
            let evaluator = try InformationRetrievalEvaluator(Self.data(), settings: settings, name: "toy")
            _ = try evaluator.evaluate(Self.model, at: EvaluationPlace(folder: folder.path, epoch: 1, step: 3))
            let table = String(
                decoding: try folder.read("Information-Retrieval_evaluation_toy_results.csv"),
                as: UTF8.self
            )
            let lines = table.split(separator: "\n")
            #expect(lines.count == 2 && lines[1].hasPrefix("1.0,3,0.0,0.3333333333333333,0.6666666666666666,"))
            #expect(
                lines[0].hasPrefix(
                    "epoch,steps,cosine-Accuracy@1,cosine-Accuracy@3,cosine-Accuracy@5,cosine-Precision@1,"
                        + "cosine-Recall@1,"
                ) && lines[0].contains(",cosine-MRR@10,cosine-NDCG@10,cosine-NDCG@3,cosine-MAP@100,cosine-MAP@5,dot-")
            )
            let text = try folder.read("Information-Retrieval_evaluation_toy_predictions_cosine.jsonl")
            let first = try JSONValue(parsing: Array(text.split(separator: UInt8(ascii: "\n"))[0]))
            #expect(first["query_id"]?.stringValue == "q0" && first["results"]?.arrayValue?.count == 12)
            #expect(first["results"]?[0]?["corpus_id"]?.stringValue == "d0")
        }
    }

    @Test func thePrimaryMetricStaysThroughARun() throws {
        var settings = Self.settings()
        settings.similarities = [.cosine, .dot]
        settings.cutoffs.ndcg = [1]
        let data = try RetrievalData(
            queries: [("q", "q")],
            corpus: [("near", "near"), ("long", "long")],
            relevant: ["q": ["near"]]
        )
        // First cosine finds what is relevant and the inner product does not; later it is the other way around.
        let first = VectorTable(vectors: ["q": [1, 0], "near": [1, 0], "long": [9, 9]])
        let second = VectorTable(vectors: ["q": [1, 0], "near": [9, 9], "long": [1, 0]])
        let evaluator = try InformationRetrievalEvaluator(data, settings: settings)
        for model in [first, second] {
            _ = try evaluator.evaluate(model)
            #expect(evaluator.primaryMetric == "cosine_ndcg@1")
            #expect(evaluator.reports.first?.primaryMetric == "cosine_ndcg@1")
        }
        let fresh = try InformationRetrievalEvaluator(data, settings: settings)
        _ = try fresh.evaluate(second)
        #expect(fresh.primaryMetric == "dot_ndcg@1")
    }

    @Test func dataThatDoesNotFitIsNamed() throws {
        let twice = #expect(throws: EvaluationError.self) {
            try RetrievalData(queries: [("a", "x"), ("a", "y")], corpus: [("d", "z")], relevant: ["a": ["d"]])
        }
        #expect(
            twice?.description
                == "retrieval data: query \"a\" occurs a second time (row 2); expected each id once"
        )
        #expect(throws: EvaluationError.self) {
            try RetrievalData(queries: [("a", "x")], corpus: [("d", "z")], relevant: ["b": ["d"]])
        }
        var settings = RetrievalEvaluatorSettings()
        for wrong in [[0], [], [10, 10]] {
            settings.cutoffs.ndcg = wrong
            let error = #expect(throws: EvaluationError.self) {
                try InformationRetrievalEvaluator(Self.data(), settings: settings)
            }
            #expect(
                error?.description == "InformationRetrievalEvaluator: ndcg_at_k is \(wrong); expected one or more "
                    + "different numbers from 1"
            )
        }
    }
}

@Suite struct PairEvaluatorTests {
    // Expected values: sentence-transformers 6.2 with a model that returns these vectors.
    static let model = VectorTable(vectors: [
        "a": [1, 0.2, 0, 0.5], "b": [0.9, 0.4, 0.1, 0.3], "c": [0.1, 1, 0.3, -0.2], "d": [0, 1, 0.5, 0.1],
        "e": [0.6, 0.4, 0.9, -1], "f": [0.1, 0.9, 0.6, 0.7], "g": [0.3, 0.3, 1, 0.2], "h": [-0.4, 0.5, 2.0, 0.6],
    ])
    private static let table = ValueTable(
        ["sentence1", "score", "sentence2"],
        zip("aabcdgha", "bcdefhga").enumerated().map { row, texts in
            [.text("\(texts.0)"), .real([0.9, 0.1, 0.5, 0.2, 0.8, 0.7, 0.7, 1.0][row]), .text("\(texts.1)")]
        }
    )
    private static let labelled = ValueTable(
        ["sentence1", "sentence2", "label"],
        table.rows.enumerated().map { row, values in [values[0], values[2], .integer([1, 0, 1, 0, 1, 1, 0, 1][row])] }
    )

    @Test func correlationsAreTheOriginals() throws {
        let usual = try EmbeddingSimilarityEvaluator(Self.table, name: "sts")
        let expected = [("sts_pearson_cosine", 0.9016246179250096), ("sts_spearman_cosine", 0.9036144578313252)]
        #expect(agree(try usual.evaluate(Self.model), expected))
        #expect(usual.primaryMetric == "sts_spearman_cosine")
        #expect(usual.reports.first?.description == "Semantic Similarity")
        let all = try EmbeddingSimilarityEvaluator(
            Self.table,
            similarities: [.cosine, .dot, .euclidean, .manhattan]
        )
        let others = [
            ("pearson_cosine", 0.9016246179250096), ("spearman_cosine", 0.9036144578313252),
            ("pearson_dot", 0.5699357663561188), ("spearman_dot", 0.5903614457831325),
            ("pearson_euclidean", 0.7816371776298846), ("spearman_euclidean", 0.8072289156626505),
            ("pearson_manhattan", 0.8295766795627869), ("spearman_manhattan", 0.927710843373494),
            ("pearson_max", 0.9016246179250096), ("spearman_max", 0.927710843373494),
        ]
        #expect(agree(try all.evaluate(Self.model), others))
        #expect(all.primaryMetric == "spearman_max")
    }

    @Test(arguments: [
        (EmbeddingPrecision.float32, 0.9016246179250096, 0.9036144578313252),
        (.int8, 0.8972150626462783, 0.9036144578313252),
        (.uint8, 0.9616859547501159, 0.927710843373494), (.binary, 0.42254879558018665, 0.3872119130343438),
        (.ubinary, 0.42254879558018665, 0.3872119130343438),
    ])
    func correlationsOfNarrowNumbersAreTheOriginals(
        precision: EmbeddingPrecision,
        pearson: Double,
        spearman: Double
    ) throws {
        try withTemporaryFolder { folder in
            let evaluator = try EmbeddingSimilarityEvaluator(Self.table, precision: precision)
            let metrics = try evaluator.evaluate(Self.model, at: EvaluationPlace(folder: folder.path))
            #expect(agree(metrics, [("pearson_cosine", pearson), ("spearman_cosine", spearman)]))
            #expect(try folder.names == ["similarity_evaluation_\(precision.rawValue)_results.csv"])
        }
    }

    @Test func constantScoresHaveNoCorrelation() throws {
        let evaluator = try EmbeddingSimilarityEvaluator(
            sentences1: TextColumn(["a", "b"]),
            sentences2: TextColumn(["c", "d"]),
            scores: NumberColumn([1, 1])
        )
        #expect(try evaluator.evaluate(Self.model).allSatisfy(\.value.isNaN))
    }

    @Test func thresholdsAreTheOriginals() throws {
        let evaluator = try BinaryClassificationEvaluator(
            Self.labelled,
            similarities: [.cosine, .euclidean, .manhattan],
            name: "bin"
        )
        let expected = [
            (
                "cosine",
                [
                    0.75, 0.7230677604675293, 0.8333333333333333, 0.28915876150131226, 0.7142857142857143, 1.0,
                    0.8528571428571428, 0.4879500364742666,
                ]
            ),
            (
                "euclidean",
                [
                    0.875, 1.2196638584136963, 0.888888888888889, 1.2196638584136963, 1.0, 0.8,
                    0.9428571428571428, 0.7745966692414834,
                ]
            ),
            (
                "manhattan",
                [
                    0.875, 2.200000047683716, 0.9090909090909091, 2.4000000953674316, 0.8333333333333334, 1.0,
                    0.9666666666666666, 0.7453559924999299,
                ]
            ),
            (
                "max",
                [
                    0.875, 2.200000047683716, 0.9090909090909091, 2.4000000953674316, 1.0, 1.0, 0.9666666666666666,
                    0.7745966692414834,
                ]
            ),
        ]
        let keys = ["accuracy", "accuracy_threshold", "f1", "f1_threshold", "precision", "recall", "ap", "mcc"]
        try withTemporaryFolder { folder in
            let metrics = try evaluator.evaluate(Self.model, at: EvaluationPlace(folder: folder.path))
            #expect(
                agree(
                    metrics,
                    expected.flatMap { name, values in zip(keys, values).map { ("bin_\(name)_\($0)", $1) } }
                ),
                "\(metrics)"
            )
            #expect(evaluator.primaryMetric == "bin_max_ap")
            let text = String(
                decoding: try folder.read("binary_classification_evaluation_bin_results.csv"),
                as: UTF8.self
            )
            // Thresholds have the digits of a float32.
            #expect(text.contains("-1,-1,0.75,0.72306776,0.8333333333333333,0.7142857142857143,1.0,0.289158"))
            #expect(text.contains(",0.875,1.2196639,0.888888888888889,1.0,0.8,1.2196639,"))
        }
    }

    @Test func labelsOtherThan0And1AreRefused() throws {
        var rows = Self.labelled.rows
        rows[3][2] = .integer(2)
        let error = #expect(throws: EvaluationError.self) {
            try BinaryClassificationEvaluator(ValueTable(Self.labelled.columnNames, rows))
        }
        #expect(
            error?.description
                == "row 4: the label is 2.0; expected 0 or 1, as BinaryClassificationEvaluator takes them"
        )
    }
}
