import EttinFiles
import EttinInference
import EttinModel
import EttinTables
import TestSupport
import Testing

@testable import EttinEvaluation

@Suite struct BEIRFolderTests {
    /// Writes a small task.
    private func write(_ folder: TemporaryFolder, qrels: String) throws {
        try FilePath.makeFolder(folder.file("qrels"))
        try folder.write(
            """
            {"_id": "d1", "title": "A cat", "text": "sat.", "metadata": {"author": "x"}}
            {"_id": "d2", "title": "", "text": ""}
            {"_id": "d3", "text": " no title ", "title": null}

            """,
            "corpus.jsonl"
        )
        try folder.write(
            #"{"_id": "q1", "text": "cat"}"# + "\n" + #"{"_id": "q2", "text": "title", "metadata": {}}"# + "\n",
            "queries.jsonl"
        )
        try folder.write(qrels, "qrels/test.tsv")
    }

    @Test func textsAreTitlesAndTexts() throws {
        try withTemporaryFolder { folder in
            try write(folder, qrels: "query-id\tcorpus-id\tscore\r\nq2\td3\t2\r\nq2\td9\t1\nq7\td1\t1\n")
            let read = try BEIRFolder(folder.path)
            #expect(read.data.queryIDs == ["q2"] && read.data.documentIDs == ["d1", "d2", "d3"])
            #expect(try read.data.documents(0..<3) == ["A cat sat.", "", "no title"])
            #expect(try read.data.queries(0..<1) == ["title"])
            #expect(read.data.judgements[0] == [ExactName("d3"): 2, ExactName("d9"): 1])
            #expect(
                read.notices == [
                    "the judgements of 1 query have no effect: queries.jsonl lacks them",
                    "1 relevant document cannot be found: corpus.jsonl lacks it",
                ]
            )
        }
    }

    @Test(arguments: [
        ("q1\td1\n", "line 1 is \"q1\\td1\"; expected the id of a query, that of a document and a whole number"),
        ("query-id\tcorpus-id\tscore\nq1\td1\t1.5\n", "line 2 is \"q1\\td1\\t1.5\""),
        ("query-id\tcorpus-id\tscore\nq1\td1\t99999999999\n", "line 2"),
        ("query-id\tcorpus-id\tscore\n", "judges none of the 2 queries"),
    ])
    func brokenJudgementsAreNamed(qrels: String, message: String) throws {
        try withTemporaryFolder { folder in
            try write(folder, qrels: qrels)
            let error = #expect(throws: EvaluationError.self) { try BEIRFolder(folder.path) }
            #expect(error?.description.contains(message) == true, "\(String(describing: error))")
        }
    }

    @Test func missingFilesAndSplitsAreNamed() throws {
        try withTemporaryFolder { folder in
            try write(folder, qrels: "q1\td1\t1\n")
            let split = #expect(throws: EvaluationError.self) { try BEIRFolder(folder.path, split: "dev") }
            #expect(split?.description.hasSuffix("expected a split of this folder: --split test") == true)
            let none = #expect(throws: EvaluationError.self) { try BEIRFolder(folder.file("qrels")) }
            #expect(none?.description.contains("a folder in BEIR's layout") == true)
            try folder.write("{\"text\": \"x\"}\n", "queries.jsonl")
            let column = #expect(throws: EvaluationError.self) { try BEIRFolder(folder.path) }
            #expect(column?.description.contains("column \"_id\" is not there; expected one beside \"text\"") == true)
        }
    }
}

@Suite struct NanoBEIRFolderTests {
    private static let model = VectorTable(vectors: [
        "cat": [1, 0], "dog": [0, 1], "a cat": [0.9, 0.2], "a dog": [0.1, 0.8], "a fox": [0.6, 0.5],
    ])

    /// Writes a data set, with what BM25 found.
    private func write(_ folder: TemporaryFolder, _ path: (String) -> String) throws {
        let files = [
            "queries": #"{"_id": "q1", "text": "cat"}|{"_id": "q2", "text": "dog"}|{"_id": "q3", "text": ""}"#,
            "corpus": """
            {"_id": 1, "text": "a cat"}|{"_id": 2, "text": "a dog"}|{"_id": 3, "text": "a fox"}|{"_id": 4, "text": ""}
            """,
            "qrels": """
            {"query-id": "q1", "corpus-id": [1, 3]}|{"query-id": "q2", "corpus-id": [2]}|{"query-id": "q3", "corpus-id": [1]}
            """,
            "bm25": #"{"query-id": "q1", "corpus-ids": [2, 1, 3]}|{"query-id": "q2", "corpus-ids": [1, 3]}"#,
        ]
        for (name, lines) in files {
            try FilePath.makeFolder(FilePath.folder(of: folder.file(path(name))))
            try folder.write(lines.split(separator: "|").map { $0 + "\n" }.joined(), path(name))
        }
    }

    @Test func bothLayoutsAreRead() throws {
        let layouts: [(String) -> String] = [
            { "\($0)/NanoNQ-00000-of-00001.jsonl" }, { "NanoNQ/\($0)/train-00000-of-00001.jsonl" },
            { "NanoNQ/\($0).jsonl" },
        ]
        for layout in layouts {
            try withTemporaryFolder { folder in
                try write(folder, layout)
                let data = try NanoBEIRFolder(folder.path).retrievalData(.nq)
                #expect(data.queryIDs == ["q1", "q2"] && data.documentIDs == ["1", "2", "3"])
                #expect(data.judgements.map(\.count) == [2, 1])
                let samples = try NanoBEIRFolder(folder.path).rerankingSamples(.nq, count: 2)
                #expect(
                    samples == [
                        RerankingSample(
                            query: "cat",
                            positives: ["a cat", "a fox"],
                            candidates: .documents(["a dog", "a cat"])
                        ),
                        RerankingSample(
                            query: "dog",
                            positives: ["a dog"],
                            candidates: .documents(["a cat", "a fox"])
                        ),
                    ]
                )
            }
        }
    }

    @Test func meansAreThoseOfTheDataSets() throws {
        try withTemporaryFolder { folder in
            try write(folder) { "\($0)/NanoNQ.jsonl" }
            try write(folder) { "\($0)/NanoFEVER.jsonl" }
            let evaluator = try NanoBEIREvaluator(NanoBEIRFolder(folder.path), datasets: [.nq, .fever])
            let metrics = try evaluator.evaluate(Self.model)
            #expect(metrics.count == 3 * 15 && evaluator.primaryMetric == "NanoBEIR_mean_cosine_ndcg@10")
            #expect(metrics.value("NanoNQ_cosine_ndcg@10") == metrics.value("NanoBEIR_mean_cosine_ndcg@10"))
            #expect(evaluator.reports.map(\.name) == ["NanoNQ", "NanoFEVER", "NanoBEIR_mean"])
            #expect(
                evaluator.reports.map(\.description) == ["Information Retrieval", "Information Retrieval", "Nano BEIR"]
            )
            let one = try NanoBEIREvaluator(NanoBEIRFolder(folder.path), datasets: [.nq])
            _ = try one.evaluate(Self.model)
            #expect(one.reports.map(\.name) == ["NanoNQ"])
        }
    }

    @Test func whatIsMissingIsNamed() throws {
        try withTemporaryFolder { folder in
            try write(folder) { "\($0)/NanoNQ.jsonl" }
            let missing = #expect(throws: EvaluationError.self) { try NanoBEIREvaluator(NanoBEIRFolder(folder.path)) }
            #expect(missing?.description.contains("queries of NanoClimateFEVER is not there") == true)
            #expect(throws: EvaluationError.self) { try NanoBEIREvaluator(NanoBEIRFolder(folder.path), datasets: []) }
            #expect(throws: EvaluationError.self) {
                try NanoBEIREvaluator(NanoBEIRFolder(folder.path), datasets: [.nq, .nq])
            }
            try folder.write(#"{"query-id": "q1", "corpus-ids": [77]}"# + "\n", "bm25/NanoNQ.jsonl")
            let unknown = #expect(throws: EvaluationError.self) {
                try NanoBEIRFolder(folder.path).rerankingSamples(.nq, count: 5)
            }
            #expect(unknown?.description.contains("line 1: id \"77\" is not in the corpus of NanoNQ") == true)
        }
        #expect(NanoBEIRDataset(named: "NanoMSMARCO") == .msMARCO && NanoBEIRDataset(named: "MsMarco") == .msMARCO)
        #expect(NanoBEIRDataset(named: "trec") == nil)
    }
}
