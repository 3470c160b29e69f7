// Losses of given embeddings, for the checks that compare them with sentence-transformers. Each line is a request:
//
//   {"loss": what a recipe says, "embeddings": [[[x]]], "labels": [x] | [[x]], "guide": [[[x]]]}
//        {"loss": x, "gradients": [[[x]]], "value": x}
//
// Embeddings are those of each column, as are those of the guide; `value` is the loss as evaluation takes it.

import EttinFineTuning
import EttinJSON
import Torch

/// A model that knows the embeddings of texts, which are the numbers of their column and row.
private struct KnownGuide: GuideModel {
    let columns: [[[Float]]]

    func guideEmbeddings(of texts: [String]) throws -> (values: [Float], dimensions: Int) {
        let rows = texts.map { text in
            let parts = text.split(separator: " ").compactMap { Int($0) }
            return columns[parts[0]][parts[1]]
        }
        return (rows.flatMap(\.self), rows.first?.count ?? 0)
    }
}

private func matrices(_ value: JSONValue?) -> [[[Float]]] {
    (value?.arrayValue ?? []).map { column in
        (column.arrayValue ?? []).map { ($0.arrayValue ?? []).compactMap { $0.doubleValue.map(Float.init) } }
    }
}

private func labels(_ value: JSONValue?) -> LossLabels? {
    guard let rows = value?.arrayValue, let first = rows.first else { return nil }
    guard let width = first.arrayValue?.count else {
        let isWhole = rows.allSatisfy { $0.intValue != nil && !$0.text().contains(".") }
        return LossLabels(isWhole ? .integer : .real, rows.compactMap(\.doubleValue))
    }
    return LossLabels(.list(count: width), rows.flatMap { ($0.arrayValue ?? []).compactMap(\.doubleValue) })
}

func answerLossRequest(_ request: JSONValue) throws -> JSONValue {
    let columns = matrices(request["embeddings"])
    let guide = KnownGuide(columns: matrices(request["guide"]))
    let objective = try EmbeddingLosses.make(
        json: request["loss"] ?? .null,
        EmbeddingLosses.Context(guide: { _ in guide })
    )
    let labels = labels(request["labels"])
    let width = columns.first?.first?.count ?? 0
    try objective.check(columns: columns.count, labels: labels?.kind, width: width)
    let leaves = columns.map { Tensor($0.flatMap(\.self), shape: [$0.count, width]) }
    for leaf in leaves { leaf.setRequiresGradient(true) }
    let texts = columns.indices.map { column in columns[column].indices.map { "\(column) \($0)" } }
    let batch = LossBatch(embeddings: leaves, labels: labels, texts: objective.readsTexts ? texts : [])
    return try withRecovery {
        let prepared = try objective.loss.prepared(batch)
        let loss = try objective.loss.backward(prepared, weight: 1)
        let gradients = try leaves.map { leaf in
            let values = try leaf.gradient?.array(of: Float.self) ?? []
            return JSONValue.array(
                stride(from: 0, to: values.count, by: width).map { row in
                    .array(values[row..<row + width].map { JSONValue(Double($0)) })
                }
            )
        }
        let value = try withoutGradients { try objective.loss.value(of: prepared) }
        return ["loss": JSONValue(loss), "gradients": .array(gradients), "value": JSONValue(value)]
    }
}
