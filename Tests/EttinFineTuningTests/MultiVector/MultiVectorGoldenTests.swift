import EttinInference
import EttinJSON
import EttinModel
import EttinTables
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinFineTuning

@Suite("Golden values of PyLate", .enabled(if: SharedData.isAvailable, "needs shared/golden"))
struct MultiVectorGoldenTests {
    private let golden: String
    private let file: JSONValue

    init() throws {
        golden = try #require(SharedData.folder) + "/golden/finetune"
        file = try JSONValue(parsing: String(contentsOfFile: "\(golden)/colbert.json", encoding: .utf8))
    }

    private func texts(_ key: String) throws -> [String] {
        try #require(file["encode"]?[key]?.arrayValue).compactMap(\.stringValue)
    }

    private func pipeline(_ values: String...) throws -> LateInteractionPipeline {
        let run = try TinyColBERTRun()
        let recipe = try run.recipe(
            "run",
            overriding: ["embedding_size=", "query_length=", "document_length="] + values
        )
        let (model, tokenizer) = try MultiVectorBuilding(recipe: recipe, folder: "\(golden)/models/colbert").model()
        return try LateInteractionPipeline(training: model, tokenizer: tokenizer)
    }

    private func ids(_ value: JSONValue?) -> [[Int32]] {
        (value?.arrayValue ?? []).map { ($0.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) } }
    }

    @Test("Texts become the tokens of PyLate", arguments: ["query_train_or_encode", "query_attend_true"])
    func queries(key: String) throws {
        let pipeline = try pipeline("attend_to_expansion_tokens=\(key == "query_attend_true")")
        let found = try pipeline.preparer.prepare(texts("queries"), as: .query, overlong: .keepStart)
        #expect(found.map(\.tokenIDs) == ids(file["tokens"]?[key]?["input_ids"]))
        let attended = ids(file["tokens"]?[key]?["attention_mask"]).map { $0.count { $0 == 1 } }
        #expect(found.map { $0.tokenIDs.count - $0.unattendedTokenCount } == attended)
    }

    @Test("Documents are those of the training collator, without its padding")
    func documents() throws {
        let found = try pipeline().preparer.prepare(texts("documents"), as: .document, overlong: .keepStart)
        let padded = ids(file["tokens"]?["documents_train_pad"]?["input_ids"])
        let masks = ids(file["tokens"]?["documents_train_pad"]?["attention_mask"])
        #expect(padded.allSatisfy { $0.count == 16 })
        #expect(found.map(\.tokenIDs) == zip(padded, masks).map { row, mask in Array(row[..<mask.count { $0 == 1 }]) })
    }

    @Test("Vectors and scores of a training pass are those of PyLate")
    func vectors() throws {
        let pipeline = try pipeline()
        let queries = try pipeline.preparer.prepare(texts("queries"), as: .query, overlong: .keepStart)
        let documents = try pipeline.preparer.prepare(texts("documents"), as: .document, overlong: .keepStart)
        let model = pipeline.model
        let rows = model.rows(of: queries + documents, task: nil, dropout: DropoutContext(step: 0), precision: .full)
        let expected = try (["query_embeddings", "document_embeddings"]).flatMap { key in
            try #require(file["encode"]?[key]?.arrayValue).flatMap { $0.arrayValue ?? [] }
                .flatMap { $0.arrayValue ?? [] }.compactMap(\.doubleValue)
        }
        let found = try rows.array(of: Float.self)
        #expect(found.count == expected.count)
        for (a, b) in zip(found, expected) { #expect(abs(Double(a) - b) < 1e-5) }
        func starts(_ texts: [PreparedText]) -> [Int32] {
            texts.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32(model.rowCount(of: $1))) }
        }
        let cut = Int(starts(queries)[3])
        let scores = TokenRows(
            rows.narrowed(along: 0, from: 0, count: cut),
            starts: starts(queries),
            competesWithZero: [false, false, false]
        ).scores(
            TokenRows(
                rows.narrowed(along: 0, from: cut, count: found.count / 4 - cut),
                starts: starts(documents),
                competesWithZero: [false, false, false]
            ),
            .all
        )
        let wanted = try #require(file["encode"]?["maxsim"]?.arrayValue).flatMap { $0.arrayValue ?? [] }
        for (a, b) in zip(try scores.array(of: Float.self), wanted.compactMap(\.doubleValue)) {
            #expect(abs(Double(a) - b) < 1e-4)
        }
    }
}
