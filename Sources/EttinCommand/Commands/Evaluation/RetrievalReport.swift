import EttinEvaluation
import EttinJSON

/// What `ettin evaluate retrieval` prints.
struct RetrievalReport {
    /// What was measured of one model, or of BM25.
    struct Row {
        let name: String
        /// How queries and documents were compared; nil for BM25.
        let similarity: String?
        /// How many documents of BM25 a reranker ranked for each query; nil for another model.
        let rerankedCount: Int?
        let evaluation: RetrievalEvaluation
        let truncatedTexts: Int
        let seconds: Double
    }

    let path: String
    let split: String
    let data: RetrievalData
    let cutoffs: [Int]

    /// A table: for each cut-off a line for each row.
    func lines(_ rows: [Row]) -> [String] {
        let names = rows.map { row in
            let candidates = row.rerankedCount.map { " (BM25 top \($0))" } ?? ""
            return row.similarity == nil ? "BM25 (k1 0.9, b 0.4)" : row.name + candidates
        }
        let width = max(5, names.map(\.count).max() ?? 0)
        let measures = RetrievalEvaluation.Measure.allCases
        let depth = max(1, cutoffs.map { "\($0)".count }.max() ?? 1)
        func line(_ k: String, _ name: String, _ cells: [String]) -> String {
            let cells = cells.map { String(repeating: " ", count: max(0, 9 - $0.count)) + $0 }
            let k = String(repeating: " ", count: max(0, depth - k.count)) + k
            return "\(k)  \(name.padded(to: width))\(cells.joined())"
        }
        let heading =
            "\(path), \(split): \(data.queryIDs.count) queries, \(data.documentIDs.count) documents; rules of trec_eval"
        let values = cutoffs.flatMap { k in
            zip(names, rows).map { name, row in
                line("\(k)", name, measures.map { row.evaluation.value($0, at: k).rounded(toPlaces: 4) })
            }
        }
        return [heading, "", line("k", "model", measures.map(\.title))] + values
    }

    /// One document.
    func document(_ rows: [Row]) -> JSONValue {
        let results = rows.map { row -> JSONValue in
            var result: JSONObject = ["model": .string(row.name)]
            if let similarity = row.similarity {
                result["similarity"] = .string(similarity)
                if let count = row.rerankedCount { result["rerank_k"] = JSONValue(count) }
                result["truncated_texts"] = JSONValue(row.truncatedTexts)
            } else {
                result["k1"] = 0.9
                result["b"] = 0.4
            }
            result["metrics"] = .object(JSONObject(row.evaluation.metrics.map { ($0.key, JSONValue($0.value)) }))
            result["seconds"] = JSONValue((row.seconds * 1000).rounded() / 1000)
            return .object(result)
        }
        return [
            "dataset": .string(path), "split": .string(split), "rules": "trec_eval",
            "queries": JSONValue(data.queryIDs.count), "documents": JSONValue(data.documentIDs.count),
            "results": .array(results),
        ]
    }
}

extension RetrievalEvaluation.Measure {
    /// The name as people know it.
    fileprivate var title: String {
        switch self {
        case .ndcg: "nDCG"
        case .map: "MAP"
        case .recall: "Recall"
        case .precision: "P"
        case .mrr: "MRR"
        case .hitRate: "Hit"
        }
    }
}
