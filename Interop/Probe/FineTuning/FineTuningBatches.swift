import EttinFineTuning
import EttinJSON
import EttinTraining

/// Prints the batches that the run of a recipe computes gradients of, a line each: the name of the data set, empty for the
/// only one, and where the rows are in their files, counted from 0.
///
///   ettin-probe finetune batches [sparse] RECIPE [key=value …]
func runFineTuning(_ arguments: [String]) throws {
    let kind = arguments.dropFirst().first { $0 == "sparse" }
    let rest = arguments.dropFirst(kind == nil ? 1 : 2)
    guard let path = rest.first, arguments[0] == "batches" else {
        endWithUsage("usage: ettin-probe finetune batches [sparse] RECIPE [key=value ...]")
    }
    // Nothing is written, so that a folder of its own keeps the run from being refused.
    let overrides = rest.dropFirst() + ["output_dir=\(path)-batches"]
    let (session, group): (FineTuningSession, Int)
    if kind == nil {
        let recipe = try EmbeddingRecipe(path: path, overrides: Array(overrides))
        (session, group) = (try FineTuningSession(recipe), recipe.arguments.accumulationSteps)
    } else {
        let recipe = try SparseRecipe(path: path, overrides: Array(overrides))
        (session, group) = (try FineTuningSession(recipe), recipe.arguments.accumulationSteps)
    }
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
