import EttinFineTuning
import EttinJSON
import EttinTraining

/// Prints the batches that the run of a recipe computes gradients of, a line each: the name of the data set, empty for the
/// only one, and where the rows are in their files, counted from 0.
///
///   ettin-probe finetune batches KIND RECIPE [key=value …]
///
/// Or the rows of supervised fine-tuning, an object each:
///
///   ettin-probe finetune rows sft RECIPE [key=value …]
func runFineTuning(_ arguments: [String]) throws {
    guard arguments.count >= 3, ["batches", "rows"].contains(arguments[0]) else {
        endWithUsage("usage: ettin-probe finetune batches|rows KIND RECIPE [key=value ...]")
    }
    let path = arguments[2]
    // Nothing is written, so that a folder of its own keeps the run from being refused.
    let values = Array(arguments.dropFirst(3)) + ["output_dir=\(path)-batches"]
    let (session, settings): (FineTuningSession, FineTuningSettings)
    switch arguments[1] {
    case "embedding":
        let recipe = try EmbeddingRecipe(path: path, overrides: values)
        (session, settings) = (try FineTuningSession(recipe), recipe.settings)
    case "sparse":
        let recipe = try SparseRecipe(path: path, overrides: values)
        (session, settings) = (try FineTuningSession(recipe), recipe.settings)
    case "colbert":
        let recipe = try MultiVectorRecipe(path: path, overrides: values)
        (session, settings) = (try FineTuningSession(recipe), recipe.settings)
    case "sft" where arguments[0] == "rows":
        return printRows(of: try FineTuningSession(SFTRecipe(path: path, overrides: values)))
    default: throw ProbeError("no kind \(arguments[1])")
    }
    let group = settings.arguments.accumulationSteps
    var steps = session.plan.length.totalSteps
    for epoch in 0... where steps > 0 {
        let batches = try session.trainer.task.places(ofEpoch: epoch)
        let count = min(batches.count, steps * group)
        for batch in batches[..<count] {
            let rows = try batch.rows.map { place in
                guard let line = Int(place.split(separator: " ").last ?? "") else {
                    throw ProbeError("\(place): no number of a line")
                }
                return JSONValue(line - 1)
            }
            print(JSONValue.array([.string(batch.dataset ?? ""), .array(rows)]).text())
        }
        steps -= (count - 1) / group + 1
        if steps == 0 { return }
    }
}

/// The token ids, the labels and the lengths of the parts of each row.
private func printRows(of session: FineTuningSession) {
    for case let set as SFTRows in session.trainer.task.trainingRows {
        for row in 0..<set.rowCount {
            let parts = set.parts(ofRow: row)
            func numbers(_ numbers: [Int32]) -> JSONValue { .array(numbers.map { JSONValue(Int($0)) }) }
            let object: JSONObject = [
                "input_ids": numbers(parts.flatMap { Array($0.ids) }), "labels": numbers(parts.flatMap(\.labels)),
                "seq_lengths": numbers(parts.map { Int32($0.ids.count) }),
            ]
            print(JSONValue.object(object).text())
        }
    }
}
