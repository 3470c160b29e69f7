import EttinInference
import EttinJSON
import EttinModel
import EttinTables
import Foundation
import TestSupport
import Testing

@testable import EttinEvaluation

@Suite("Evaluators of sparse models")
struct SparseEvaluatorTests {
    /// A sparse model that knows the weights of a few texts.
    struct WeightTable: SparseTextVectors {
        let weights: [String: [Float]]
        var similarity = EmbeddingSimilarity.dot
        let modelName = "table"
        var dimensions: Int { weights.values.first?.count ?? 0 }

        func vectors(
            of texts: [String],
            role: TextRole?,
            prompt: TextEmbeddingPipeline.Prompt,
            maxActiveDimensions: Int?
        ) throws -> SparseEmbeddings {
            let vectors = try texts.map { text -> SparseVector in
                guard let all = weights[text] else { throw VectorTable.UnknownText(text: text) }
                var places = all.indices.filter { all[$0] != 0 }
                if let limit = maxActiveDimensions {
                    places = places.sorted { all[$0] > all[$1] }.prefix(limit).sorted()
                }
                return SparseVector(indices: places.map(Int32.init), values: places.map { all[$0] })
            }
            return SparseEmbeddings(vectors: vectors, dimensions: dimensions, isTruncated: texts.map { _ in false })
        }
    }

    // Weights and metrics of shared/golden/finetune/sparse.json, from sentence-transformers 6.2.
    static let model = WeightTable(weights: [
        "q0": [0, 1.2, 0, 0.4, 0], "q1": [0.7, 0, 0, 1.1, 0], "q2": [0, 0, 0.9, 0, 0.3],
        "d0": [0, 0.8, 0.2, 0.6, 0], "d1": [1, 0, 0, 0.9, 0.1], "d2": [0.3, 0, 0.5, 0, 0],
        "d3": [0.5, 0, 0, 0.2, 0.7], "d4": [0, 0.6, 0, 0, 0], "d5": [0, 0, 0, 1.3, 0.4],
    ])

    private static func data() throws -> RetrievalData {
        try RetrievalData(
            queries: (0..<3).map { ("q\($0)", "q\($0)") },
            corpus: (0..<6).map { ("d\($0)", "d\($0)") },
            relevant: ["q0": ["d0"], "q1": ["d1", "d3"], "q2": ["d5"]]
        )
    }

    @Test("Retrieval is the original's, whatever the chunks", arguments: [1, 4, 50_000])
    func retrieval(chunkSize: Int) throws {
        var settings = RetrievalEvaluatorSettings()
        settings.corpusChunkSize = chunkSize
        let evaluator = try SparseInformationRetrievalEvaluator(Self.data(), settings: settings, name: "toy")
        let expected: [(String, Double)] = [
            ("toy_dot_accuracy@1", 0.66666667), ("toy_dot_accuracy@3", 0.66666667), ("toy_dot_accuracy@5", 1),
            ("toy_dot_accuracy@10", 1), ("toy_dot_precision@1", 0.66666667), ("toy_dot_precision@3", 0.22222222),
            ("toy_dot_precision@5", 0.26666667), ("toy_dot_precision@10", 0.13333333), ("toy_dot_recall@1", 0.5),
            ("toy_dot_recall@3", 0.5), ("toy_dot_recall@5", 1), ("toy_dot_recall@10", 1),
            ("toy_dot_ndcg@10", 0.76929729), ("toy_dot_mrr@10", 0.75), ("toy_dot_map@100", 0.66666667),
            ("toy_query_active_dims", 2), ("toy_query_sparsity_ratio", 0.6),
            ("toy_corpus_active_dims", 2.3333333), ("toy_corpus_sparsity_ratio", 0.53333333), ("toy_avg_flops", 1),
        ]
        try withTemporaryFolder { folder in
            let place = EvaluationPlace(folder: folder.path, epoch: 1, step: 2)
            let metrics = try evaluator.evaluate(Self.model, at: place)
            #expect(agree(metrics, expected, within: 1e-7), "\(metrics)")
            let table = String(
                decoding: try folder.read("Information-Retrieval_evaluation_toy_results.csv"),
                as: UTF8.self
            )
            let lines = table.components(separatedBy: "\r\n")
            let columns = ",query_active_dims,query_sparsity_ratio,corpus_active_dims,corpus_sparsity_ratio,avg_flops"
            #expect(lines[0].hasSuffix(columns) && lines[1].hasPrefix("1.0,2,0.6666") && lines[2].isEmpty, "\(table)")
        }
        #expect(evaluator.primaryMetric == "toy_dot_ndcg@10")
        #expect(evaluator.reports.first?.description == "Sparse Information Retrieval")
    }

    @Test("Scores are those of pairs, to the last bit", arguments: EmbeddingSimilarity.allCases)
    func scores(similarity: EmbeddingSimilarity) throws {
        let names = Self.model.weights.keys.sorted()
        let vectors = try Self.model.vectors(of: names, role: nil, prompt: .default, maxActiveDimensions: nil)
        let scores = vectors.scores(vectors.vectors[...], by: similarity)
        #expect(scores == vectors.vectors.map { one in vectors.vectors.map { one.similarity(to: $0, by: similarity) } })
    }

    @Test("A maximum of weights is obeyed, and in the names of NanoBEIR's means")
    func limit() throws {
        let evaluator = try SparseInformationRetrievalEvaluator(Self.data(), maxActiveDimensions: 1)
        let metrics = try evaluator.evaluate(Self.model)
        #expect(metrics.value("query_active_dims") == 1 && metrics.value("corpus_active_dims") == 1)
        #expect(evaluator.reports.first?.settings["max_active_dims"] == 1)
        #expect(throws: EvaluationError.self) {
            try SparseInformationRetrievalEvaluator(Self.data(), maxActiveDimensions: 0)
        }
        var settings = RetrievalEvaluatorSettings()
        settings.truncateDimension = 4
        let error = #expect(throws: EvaluationError.self) {
            try SparseInformationRetrievalEvaluator(Self.data(), settings: settings)
        }
        #expect(error?.description.contains("max_active_dims") == true)
    }

    @Test("Sparsity over several data sets is counted over all texts")
    func aggregate() throws {
        var sparsity = RetrievalSparsity(dimensions: 3)
        func vectors(_ rows: [[Int32]]) -> SparseEmbeddings {
            SparseEmbeddings(
                vectors: rows.map { SparseVector(indices: $0, values: $0.map { _ in 1 }) },
                dimensions: 3,
                isTruncated: rows.map { _ in false }
            )
        }
        sparsity.countQueries(vectors([[0], [0, 1]]))
        sparsity.countDocuments(vectors([[0]]))
        var other = RetrievalSparsity(dimensions: 3)
        other.countQueries(vectors([[2], []]))
        other.countDocuments(vectors([[0], [1], [1, 2]]))
        sparsity.add(other)
        // Shares of queries 2/4, 1/4, 1/4 and of documents 2/4, 2/4, 1/4.
        let expected: [(String, Double)] = [
            ("query_active_dims", 1), ("query_sparsity_ratio", 2.0 / 3), ("corpus_active_dims", 1.25),
            ("corpus_sparsity_ratio", 1 - 1.25 / 3), ("avg_flops", 0.25 + 0.125 + 0.0625),
        ]
        #expect(agree(sparsity.metrics, expected, within: 1e-7))
    }

    @Test("Triplets, pairs and lists are measured as vectors are, with how sparse they are")
    func vectors() throws {
        let triplets = try SparseVectorEvaluator(
            TripletEvaluator(
                anchors: TextColumn(["q0", "q1", "q2"]),
                positives: TextColumn(["d0", "d1", "d2"]),
                negatives: TextColumn(["d3", "d4", "d5"]),
                name: "dev"
            )
        )
        let found = try triplets.evaluate(Self.model)
        let expected: [(String, Double)] = [
            ("dev_dot_accuracy", 1), ("dev_anchor_active_dims", 2), ("dev_anchor_sparsity_ratio", 0.6),
            ("dev_positive_active_dims", 8.0 / 3), ("dev_positive_sparsity_ratio", 0.46666665),
            ("dev_negative_active_dims", 2), ("dev_negative_sparsity_ratio", 0.6),
        ]
        #expect(agree(found, expected, within: 1e-6), "\(found)")
        #expect(triplets.primaryMetric == "dev_dot_accuracy")
        #expect(triplets.reports[0].evaluator == "SparseTripletEvaluator")

        let pairs = try SparseVectorEvaluator(
            EmbeddingSimilarityEvaluator(
                sentences1: TextColumn(["q0", "q1", "q2"]),
                sentences2: TextColumn(["d0", "d1", "d5"]),
                scores: NumberColumn([0.9, 1, 0.1]),
                similarities: [.cosine, .dot],
                name: "sts"
            )
        )
        let similarities = try pairs.evaluate(Self.model)
        #expect(similarities.suffix(2).map(\.key) == ["sts_active_dims", "sts_sparsity_ratio"])
        #expect(abs(similarities.value("sts_active_dims") - 14.0 / 6) < 1e-6)
        #expect(pairs.reports[0].description == "Semantic Similarity" && pairs.primaryMetric == "sts_spearman_max")

        let lists = try SparseVectorEvaluator(
            RerankingEvaluator(
                EvaluationColumn([
                    RerankingSample(query: "q0", positives: ["d0"], candidates: .negatives(["d3", "d4"]))
                ])
            ),
            maxActiveDimensions: 2
        )
        let ranks = try lists.evaluate(Self.model)
        #expect(ranks.map(\.key).prefix(3) == ["map", "mrr@10", "ndcg@10"])
        #expect(ranks.value("query_active_dims") == 2 && abs(ranks.value("corpus_active_dims") - 5.0 / 3) < 1e-6)

        let labels = try SparseVectorEvaluator(
            BinaryClassificationEvaluator(
                sentences1: TextColumn(["q0", "q1"]),
                sentences2: TextColumn(["d0", "d4"]),
                labels: NumberColumn([1, 0])
            )
        )
        #expect(try labels.evaluate(Self.model).suffix(2).map(\.key) == ["active_dims", "sparsity_ratio"])
        let repeated = try SparseVectorEvaluator(
            BinaryClassificationEvaluator(
                sentences1: TextColumn(["q0", "d0"]),
                sentences2: TextColumn(["d0", "d0"]),
                labels: NumberColumn([1, 0])
            )
        )
        // Each text counts once: two weights and three.
        #expect(try repeated.evaluate(Self.model).value("active_dims") == 2.5)
        let truncated = try SparseVectorEvaluator(
            TripletEvaluator(
                anchors: TextColumn(["q0"]),
                positives: TextColumn(["d0"]),
                negatives: TextColumn(["d3"]),
                truncateDimension: 2
            )
        )
        #expect(throws: EvaluationError.self) { try truncated.evaluate(Self.model) }
    }

    @Test("The weights of a teacher are compared")
    func teacher() throws {
        let evaluator = try SparseMSEEvaluator(
            sourceSentences: TextColumn(["q0", "q1"]),
            targetSentences: TextColumn(["q0", "d1"]),
            teacher: Self.model,
            name: "kd"
        )
        try withTemporaryFolder { folder in
            let metrics = try evaluator.evaluate(Self.model, at: EvaluationPlace(folder: folder.path))
            // 0.3² + 0.2² + 0.1² over ten numbers.
            #expect(abs(metrics.value("kd_negative_mse") + 1.4) < 1e-5, "\(metrics)")
            #expect(metrics.value("kd_active_dims") == 2.5 && evaluator.primaryMetric == "kd_negative_mse")
            let table = String(decoding: try folder.read("mse_evaluation_kd_results.csv"), as: UTF8.self)
            #expect(table.hasPrefix("epoch,steps,MSE,active_dims,sparsity_ratio\r\n-1,-1,1.4"))
        }
        let other = WeightTable(weights: ["q0": [1], "d1": [1]])
        let error = #expect(throws: EvaluationError.self) { try evaluator.evaluate(other) }
        #expect(error?.description.contains("vocabulary of 5 entries") == true)
    }
}
