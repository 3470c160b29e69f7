import EttinJSON
import Foundation
import TestSupport
import Testing
import Torch

/// Pooling and scores of the originals' operators, on the numbers of the golden files.
@Suite(.enabled(if: SharedData.isAvailable, "needs ../shared beside the repository"))
struct GoldenRetrievalTests {
    private static func golden(_ name: String, _ key: String) throws -> JSONValue {
        let path = try #require(SharedData.folder) + "/golden/finetune/\(name).json"
        return try #require(try JSONValue(parsing: [UInt8](Data(contentsOf: URL(fileURLWithPath: path))))[key])
    }

    private static func floats(_ value: JSONValue?) -> [Float] {
        if let items = value?.arrayValue { return items.flatMap { floats($0) } }
        return value?.doubleValue.map { [Float($0)] } ?? []
    }

    /// The rows of padded texts that their mask counts, and where each text ends.
    private static func packed(_ texts: JSONValue?, mask: JSONValue? = nil) throws -> (rows: Tensor, ends: [Int32]) {
        var (rows, ends): ([[Float]], [Int32]) = ([], [0])
        for (text, padded) in try #require(texts?.arrayValue).enumerated() {
            for (place, row) in try #require(padded.arrayValue).enumerated()
            where mask == nil || mask?[text]?[place]?.intValue == 1 {
                rows.append(floats(row))
            }
            ends.append(Int32(rows.count))
        }
        return (Tensor(rows.flatMap(\.self), shape: [rows.count, rows.first?.count ?? 0]), ends)
    }

    private static func areClose(_ values: Tensor, _ expected: JSONValue?) throws -> Bool {
        let (values, expected) = (try values.detached().array(of: Float.self), floats(expected))
        return values.count == expected.count && zip(values, expected).allSatisfy { abs($0 - $1) < 1e-6 }
    }

    @Test(arguments: ["max_relu", "max_log1p_relu", "sum_relu", "sum_log1p_relu"])
    func spladePooling(name: String) throws {
        let golden = try Self.golden("sparse", "splade_pooling")
        let (logits, ends) = try Self.packed(golden["logits"], mask: golden["attention_mask"])
        // Logits are hidden states times a weight of ones on the diagonal.
        let size = logits.size(1)
        let weight = Tensor((0..<size * size).map { $0 / size == $0 % size ? 1 : 0 as Float }, shape: [size, size])
        weight.setRequiresGradient(true)
        let rule = SpladePoolingRule(isSum: name.hasPrefix("sum"), takesLogarithmTwice: name.hasSuffix("log1p_relu"))
        for isComposed in [false, true] {
            let pooled = logits.spladePooled(
                weight: weight,
                bias: nil,
                cuSeqlens: ends,
                rule: rule,
                isComposed: isComposed
            )
            #expect(try Self.areClose(pooled, golden[name]))
        }
    }

    @Test func maxSimScores() throws {
        let golden = try Self.golden("colbert", "scores")
        func check(
            _ key: String,
            _ pairs: MaxSimPairs,
            isMasked: Bool = false,
            documents: JSONValue? = nil,
            competing: [Bool]? = nil
        ) throws {
            let (queries, cuQueries) = try Self.packed(golden["q"], mask: isMasked ? golden["q_mask"] : nil)
            let (rows, cuDocuments) = try Self.packed(
                documents ?? golden["d"],
                mask: isMasked ? golden["d_mask"] : nil
            )
            let scores = maxSim(
                queries: queries,
                cuQueries: cuQueries,
                documents: rows,
                cuDocuments: cuDocuments,
                pairs: pairs,
                competesWithZero: competing
            )
            #expect(try Self.areClose(scores, golden[key]), "\(key)")
        }
        try check("colbert_scores_nomask", .all)
        try check("colbert_scores_masks", .all, isMasked: true, competing: [true, false])
        try check("pairwise", .pairwise)
        let grouped = (golden["kd_documents"]?.arrayValue ?? []).flatMap { $0.arrayValue ?? [] }
        try check("colbert_kd_scores", .grouped(perQuery: 2), documents: .array(grouped))
    }
}
