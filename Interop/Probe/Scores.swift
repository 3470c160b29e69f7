// What scores predictions have: `ettin-probe scores` answers each line of standard input, a request in JSON.
//
//     {"kind": "classes", "predictions": [0, 1], "labels": [0, 0]}
//     {"kind": "sets", "predictions": [[1, 0]], "labels": [[0, 1]]}
//     {"kind": "numbers", "predictions": [0.5, 1], "labels": [1, 2]}
//     {"kind": "spans", "predictions": [["B-A", "O"]], "labels": [["O", "O"]]}
//
// The answer has every score by name; NaN is null.

import EttinEvaluation
import EttinJSON

func answerScoreRequest(_ request: JSONValue) throws -> JSONValue {
    guard let kind = request["kind"]?.stringValue, let predictions = request["predictions"]?.arrayValue,
        let labels = request["labels"]?.arrayValue
    else { throw ProbeError("a request has \"kind\", \"predictions\" and \"labels\"") }
    func rows<Value>(_ list: [JSONValue], _ value: (JSONValue) -> Value?) -> [[Value]] {
        list.map { ($0.arrayValue ?? []).compactMap(value) }
    }
    switch kind {
    case "classes":
        let scores = try ClassificationScores(
            predictions: predictions.compactMap(\.intValue),
            labels: labels.compactMap(\.intValue)
        )
        var answer = averages(scores.micro, scores.macro, scores.weighted)
        answer["accuracy"] = JSONValue(scores.accuracy)
        answer["matthews"] = JSONValue(scores.matthewsCorrelation)
        answer["binary_f1"] = JSONValue(scores.f1(ofClass: 1))
        answer["classes"] = classes(scores.classes)
        answer["confusion"] = .array(scores.confusion.map { .array($0.map { JSONValue($0) }) })
        answer["report"] = .string(scores.report(digits: 3))
        return .object(answer)
    case "sets":
        let scores = try MultiLabelScores(
            predictions: rows(predictions) { $0.intValue.map { $0 == 1 } },
            labels: rows(labels) { $0.intValue.map { $0 == 1 } }
        )
        var answer = averages(scores.micro, scores.macro, scores.weighted)
        answer["accuracy"] = JSONValue(scores.accuracy)
        answer["classes"] = classes(scores.classes)
        return .object(answer)
    case "numbers":
        let scores = try RegressionScores(
            predictions: predictions.compactMap(\.doubleValue),
            labels: labels.compactMap(\.doubleValue)
        )
        func number(_ value: Double) -> JSONValue { value.isNaN ? .null : JSONValue(value) }
        return [
            "pearson": number(scores.pearson), "spearman": number(scores.spearman),
            "mse": number(scores.meanSquaredError),
        ]
    case "spans":
        let scores = try SpanScores(
            predictions: rows(predictions, \.stringValue),
            labels: rows(labels, \.stringValue)
        )
        var answer = averages(scores.micro, scores.macro, scores.weighted)
        answer["accuracy"] = JSONValue(scores.accuracy)
        answer["classes"] = classes(scores.types)
        answer["report"] = .string(scores.types.isEmpty ? "" : scores.report(digits: 3))
        return .object(answer)
    default: throw ProbeError("\"kind\" is \(kind)")
    }
}

private func averages(_ micro: AveragedScores, _ macro: AveragedScores, _ weighted: AveragedScores) -> JSONObject {
    var answer: JSONObject = [:]
    for (name, scores) in [("micro", micro), ("macro", macro), ("weighted", weighted)] {
        answer[name] = [JSONValue(scores.precision), JSONValue(scores.recall), JSONValue(scores.f1)]
    }
    return answer
}

private func classes(_ classes: [ClassCounts]) -> JSONValue {
    .array(
        classes.map {
            [
                .string($0.name), JSONValue($0.precision), JSONValue($0.recall), JSONValue($0.f1),
                JSONValue($0.support),
            ]
        }
    )
}
