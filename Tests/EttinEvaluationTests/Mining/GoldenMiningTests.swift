import EttinJSON
import EttinTables
import Foundation
import TestSupport
import Testing

@testable import EttinEvaluation

/// What sentence-transformers' `mine_hard_negatives` made of a few vectors.
@Suite struct GoldenMiningTests {
    struct Case: CustomStringConvertible {
        let description: String
        var usesCorpus = true
        let set: @Sendable (inout MiningOptions) -> Void
    }

    static let cases = [
        Case(description: "triplet_default_num2") { _ in },
        Case(description: "ntuple_num2") { $0.outputFormat = .nTuple },
        Case(description: "labeled_pair_num2_margin0_range100") {
            $0.outputFormat = .labeledPair
            $0.absoluteMargin = 0
            $0.rangeMax = 100
        },
        Case(description: "labeled_list_num2") { $0.outputFormat = .labeledList },
        Case(description: "ntuple_include_positives_num4") {
            $0.numNegatives = 4
            $0.includePositives = true
        },
        Case(description: "triplet_relative_margin_0.05_scores") {
            $0.relativeMargin = 0.05
            $0.outputScores = true
        },
        Case(description: "triplet_absolute_margin_0.2") { $0.absoluteMargin = 0.2 },
        Case(description: "triplet_range_min1") { $0.rangeMin = 1 },
        Case(description: "triplet_max_score_0.5") { $0.maxScore = 0.5 },
        Case(description: "labeled_pair_no_corpus", usesCorpus: false) { $0.outputFormat = .labeledPair },
    ]

    @Test(.enabled(if: SharedData.isAvailable, "no golden files beside the repository"), arguments: cases)
    func equalsTheOriginal(_ example: Case) throws {
        let path = "\(try #require(SharedData.folder))/golden/finetune/evaluators_reranker.json"
        let file = try JSONValue(parsing: String(contentsOfFile: path, encoding: .utf8))
        let given = try #require(file["mine_hard_negatives"])
        let expected = try #require(given[example.description])
        let embeddings = try #require(given["embeddings"]?.objectValue)
        let model = VectorTable(
            vectors: Dictionary(
                uniqueKeysWithValues: embeddings.map { member in
                    (member.key, member.value.arrayValue?.compactMap { $0.doubleValue.map { Float($0) } } ?? [])
                }
            )
        )
        func texts(_ value: JSONValue?) -> [String] { value?.arrayValue?.compactMap(\.stringValue) ?? [] }
        let dataset = try #require(given["dataset"])
        let table = pairTable(Array(zip(texts(dataset["question"]), texts(dataset["answer"]))))
        var options = MiningOptions()
        options.numNegatives = 2
        example.set(&options)
        let pairs = try MiningPairs(table, corpus: example.usesCorpus ? texts(given["corpus"]) : nil)
        let mined = try NegativeMiner(options).mine(pairs, with: model)
        #expect(mined.columnNames == texts(expected["columns"]))
        let expectedRows = try #require(expected["rows"]?.arrayValue)
        let found = rows(mined)
        #expect(found.count == expectedRows.count && mined.rowCount == found.count)
        for (row, expected) in zip(found, expectedRows) {
            let expected = try #require(expected.arrayValue)
            #expect(row.count == expected.count)
            for (value, expected) in zip(row, expected) { #expect(agrees(value, expected), "\(row) \(expected)") }
        }
    }

    /// Whether texts are equal and numbers nearly so.
    private func agrees(_ value: JSONValue, _ expected: JSONValue) -> Bool {
        if let number = value.doubleValue, let expected = expected.doubleValue { return abs(number - expected) < 1e-5 }
        if let list = value.arrayValue, let expected = expected.arrayValue {
            return list.count == expected.count && zip(list, expected).allSatisfy(agrees)
        }
        return value == expected
    }
}
