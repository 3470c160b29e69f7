import EttinFiles
import EttinInference
import EttinModel
import Foundation
import TestSupport
import Testing

@testable import EttinEvaluation

@Suite struct RetrievalEvaluationTests {
    private func data(_ judgements: [String: [String: Int]], documents: [String]) throws -> RetrievalData {
        let queries = judgements.keys.sorted()
        return try RetrievalData(
            queryIDs: queries,
            queries: TextColumn(queries),
            documentIDs: documents,
            documents: TextColumn(documents),
            judgements: Dictionary(
                uniqueKeysWithValues: judgements.map { query, grades in
                    (ExactName(query), Dictionary(uniqueKeysWithValues: grades.map { (ExactName($0), $1) }))
                }
            )
        )
    }

    private func ranking(_ documents: Int...) -> [RankedDocument] {
        documents.enumerated().map { RankedDocument(document: $1, score: 1 - Float($0) / 100) }
    }

    @Test func gainsAreLinearAndIdealsAreOfAllJudgedDocuments() throws {
        let data = try data(
            ["a": ["d1": 3, "d2": 1, "d9": 2, "d3": 0, "d4": -1], "b": ["d1": 0], "c": ["d2": 1]],
            documents: ["d1", "d2", "d3", "d4"]
        )
        let found = RetrievalEvaluation(
            [ranking(2, 0, 1), ranking(0), ranking(1)],
            of: data,
            cutoffs: [1, 3]
        )
        // Query a: gains 0, 3, 1 of ideal 3, 2, 1; b has judgements and nothing relevant, which counts as 0; c is found.
        let gain = 3 / log2(3.0) + 1 / log2(4.0)
        let ideal = 3 + 2 / log2(3.0) + 1 / log2(4.0)
        #expect(abs(found.value(.ndcg, at: 3) - (gain / ideal + 1) / 3) < 1e-12)
        #expect(abs(found.value(.ndcg, at: 1) - 1.0 / 3) < 1e-12)
        #expect(abs(found.value(.map, at: 3) - ((1.0 / 2 + 2.0 / 3) / 3 + 1) / 3) < 1e-12)
        #expect(abs(found.value(.recall, at: 3) - (2.0 / 3 + 1) / 3) < 1e-12)
        #expect(abs(found.value(.precision, at: 3) - (2.0 / 3 + 1.0 / 3) / 3) < 1e-12)
        #expect(abs(found.value(.mrr, at: 3) - 0.5) < 1e-12)
        #expect(abs(found.value(.hitRate, at: 1) - 1.0 / 3) < 1e-12)
        #expect(found.queryCount == 3 && found.metrics.count == 12)
    }

    @Test func documentsWithTheQuerysIDAreLeftOutOnRequest() throws {
        let data = try data(["d1": ["d2": 1]], documents: ["d1", "d2", "d3"])
        var ranking = DocumentRanking(data, depth: 2)
        let model = VectorTable(vectors: ["d1": [1, 0], "d2": [0.9, 0.1], "d3": [0, 1]])
        #expect(try ranking(model, similarities: [.cosine])[0][0].map(\.document) == [0, 1])
        ranking.passesOverQueries = true
        #expect(try ranking(model, similarities: [.cosine])[0][0].map(\.document) == [1, 2])
        let bm25 = try BM25().rankings(data, depth: 2)
        #expect(bm25[0].map(\.document) == [0])
        #expect(try BM25().rankings(data, depth: 2, passesOverQueries: true)[0].isEmpty)
    }

    @Test func wordsAreRunsOfLettersAndDigits() {
        var words: [String] = []
        TextAnalyzer.forEachWord("Mach-2 FLOW, über's Ä_x 日本 e\u{301}") {
            words.append(String(decoding: $0, as: UTF8.self))
        }
        #expect(words == ["mach", "2", "flow", "über", "s", "ä", "x", "日本", "e\u{301}"])
    }

    @Test func scoresAreThoseOfTheFormula() throws {
        let data = try RetrievalData(
            queries: [("q", "cat cat dog")],
            corpus: [("d1", "the cat sat"), ("d2", "a dog and a cat and a cat"), ("d3", ""), ("d4", "mat")],
            relevant: ["q": ["d1"]]
        )
        let found = try BM25().rankings(data, depth: 10)[0]
        #expect(found.map(\.document) == [1, 0])
        func part(_ documents: Double, _ frequency: Double, _ length: Double) -> Double {
            let weight = log(1 + (4 - documents + 0.5) / (documents + 0.5))
            return weight * frequency * 1.9 / (frequency + 0.9 * (0.6 + 0.4 * length / 3))
        }
        #expect(abs(Double(found[0].score) - (2 * part(2, 2, 8) + part(1, 1, 8))) < 1e-6)
        #expect(abs(Double(found[1].score) - 2 * part(2, 1, 3)) < 1e-6)
    }

    @Test func runsAreWrittenAsTrecEvalReadsThem() throws {
        try withTemporaryFolder { folder in
            let data = try data(["q1": ["d1": 1]], documents: ["d1", "d 2"])
            let error = #expect(throws: EvaluationError.self) {
                try TRECRun.write([ranking(0)], of: data, tag: "x", to: folder.file("run.txt"))
            }
            #expect(error?.description.contains("the document id \"d 2\" does not fit in a line of a TREC run") == true)
            #expect(try folder.names.isEmpty)
            let plain = try self.data(["q1": ["d1": 1]], documents: ["d1", "d2"])
            try TRECRun.write([ranking(1, 0)], of: plain, tag: "my model", to: folder.file("run.txt"))
            let text = String(decoding: try folder.read("run.txt"), as: UTF8.self)
            #expect(text == "q1 Q0 d2 1 1.0 my_model\nq1 Q0 d1 2 0.99 my_model\n")
        }
    }
}
