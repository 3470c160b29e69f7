// What evaluators measure: `ettin-probe evaluate` answers each line of standard input, a request in JSON.
//
//     {"model": FOLDER, "evaluator": {"type": …}, "training": false, "reranker": false, "sparse": false, "output": FOLDER,
//      "epoch": 1.0, "step": 3}
//
// The answer has the metrics by key, in "order" their keys, and in "primary" the key of the primary metric. With "training"
// the model is one that could be trained, without packed weights.

import EttinEvaluation
import EttinFineTuning
import EttinInference
import EttinJSON
import EttinModel
import EttinTables

func answerEvaluationRequest(_ request: JSONValue) throws -> JSONValue {
    guard let folder = request["model"]?.stringValue, let arguments = request["evaluator"] else {
        throw ProbeError("a request has \"model\" and \"evaluator\"")
    }
    let recipe = try EvaluatorRecipe(arguments, name: "request")
    let data = EvaluatorData(table: nil, open: { try TableOpening().open([$0]) })
    let place = EvaluationPlace(
        folder: request["output"]?.stringValue,
        epoch: request["epoch"]?.doubleValue ?? -1,
        step: request["step"]?.intValue ?? -1
    )
    if request["reranker"]?.boolValue == true {
        let evaluator = try recipe.rerankingEvaluator(data)
        return answer(try evaluator.evaluate(RerankingPipeline(folder: folder), at: place), evaluator.primaryMetric)
    }
    if request["sparse"]?.boolValue == true {
        let model =
            request["training"]?.boolValue == true
            ? try SparseEmbeddingPipeline(training: SparseModel.loadForTraining(folder: folder))
            : try SparseEmbeddingPipeline(folder: folder)
        let evaluator = try recipe.sparseEvaluator(data) { try SparseEmbeddingPipeline(folder: $0) }
        return answer(try evaluator.evaluate(model, at: place), evaluator.primaryMetric)
    }
    let model: any TextVectors =
        request["training"]?.boolValue == true
        ? try ModelInTraining(EmbeddingModel.loadForTraining(folder: folder))
        : try TextEmbeddingPipeline(folder: folder)
    let evaluator = try recipe.embeddingEvaluator(data)
    return answer(try evaluator.evaluate(model, at: place), evaluator.primaryMetric)
}

private func answer(_ metrics: [Metric], _ primary: String?) -> JSONValue {
    [
        "metrics": .object(JSONObject(metrics.map { ($0.key, JSONValue($0.value)) })),
        "order": .array(metrics.map { .string($0.key) }), "primary": primary.map(JSONValue.string) ?? .null,
    ]
}
