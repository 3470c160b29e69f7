import EttinCorpus
import EttinJSON
import EttinPretraining
import EttinTokenizer
import EttinTraining
import Torch

/// Prepares what `ettin pretrain` would run, with a save_folder other than that of the run, as a session writes into it.
///
/// Arguments with an equals sign in them replace values of the recipes, which the others name.
func session(
    _ arguments: some Collection<String>,
    stoppingWhen shouldStop: @escaping () -> Bool = { false }
) throws -> PretrainingSession {
    let overrides = arguments.filter { $0.contains("=") }
    let recipes = try arguments.filter { !$0.contains("=") }.map {
        try PretrainingRecipe(path: $0, overrides: overrides)
    }
    guard 1...2 ~= recipes.count else {
        throw TrainingError(.invalidOption, "RECIPE", found: "is given \(recipes.count) times", expected: "one or two")
    }
    var options = PretrainingSession.Options()
    options.tokenizer = try recipes[0].tokenizerName.map { try Tokenizer(folder: $0) }
    options.shouldStop = shouldStop
    return try PretrainingSession(recipes, options)
}

/// Prints the batches that a session's next steps would see, a line each.
func printBatches(_ count: Int, of session: PretrainingSession) throws {
    for _ in 0..<max(0, count) {
        let batch = try session.trainers[0].task.nextBatch()
        let halves = batch.halves.map { JSONValue.array($0.map(json)) }
        print(JSONValue.object(["step": JSONValue(batch.step), "halves": .array(halves)]).text())
    }
}

/// Prints the microbatches that each run of a session is measured on, a run a line.
func printHeldOut(_ session: PretrainingSession) throws {
    for trainer in session.trainers {
        print(JSONValue.array(try (trainer.task.heldOutBatches() ?? []).map(json)).text())
    }
}

/// The sequences of a microbatch, and the labels of their tokens.
private func json(_ batch: TrainingBatch) -> JSONValue {
    let bounds = batch.packed.cuSeqlens.map(Int.init)
    func cut(_ values: [Int32]) -> JSONValue {
        .array(zip(bounds, bounds.dropFirst()).map { .array(values[$0..<$1].map { JSONValue(Int($0)) }) })
    }
    return .object(["sequences": cut(batch.packed.inputIDs), "labels": cut(batch.labels)])
}
