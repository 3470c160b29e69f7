import EttinCorpus
import EttinJSON
import EttinModel
import EttinPretraining
import EttinTraining
import Torch

/// Times the steps of a run inside the loop, and the same steps alone: loss, gradients and update on the same batches.
///
/// Prints seconds a step of each, in turn, as one line for each round.
func timeLoop(steps: Int, rounds: Int, _ arguments: [String]) throws {
    for round in 0..<rounds {
        let own = arguments + ["max_duration=\(steps + 2)ba", "save_interval=1_000_000ba", "eval_interval=1_000_000ba"]
        let bare = try secondsOfBareSteps(steps, own + ["save_overwrite=true", "autoresume=false"])
        var marks: [ContinuousClock.Instant] = []
        let looped = try session(own + ["save_overwrite=true", "autoresume=false"]) {
            marks.append(.now)
            return marks.count > steps + 1
        }
        _ = try looped.run()
        // Between the first two marks lies the first step, which warms up.
        let loop = (marks[marks.count - 1] - marks[1]) / .seconds(1) / Double(marks.count - 2)
        let line: JSONValue = ["round": JSONValue(round), "bare_step": JSONValue(bare), "loop_step": JSONValue(loop)]
        print(line.text())
    }
}

private func secondsOfBareSteps(_ steps: Int, _ arguments: [String]) throws -> Double {
    let session = try session(arguments)
    let batches = try (0..<steps).map { _ in try session.trainers[0].task.nextBatch() }
    let (recipe, model) = (session.trainers[0].task.recipe, session.trainers[0].task.languageModel)
    let optimizer = recipe.optimizer.optimizer(for: model.parameters)
    func step(_ index: Int) throws {
        let microbatches = batches[index].halves[0]
        try withRecovery {
            for microbatch in microbatches {
                let loss = model.loss(
                    microbatch.packed,
                    labels: microbatch.labels,
                    training: DropoutContext(seed: recipe.seed, step: index),
                    precision: recipe.precision
                )
                (loss.loss * (1 / Double(microbatches.count))).backward()
            }
            optimizer.step()
            optimizer.clearGradients()
        }
    }
    try step(0)
    let begin = ContinuousClock.now
    for index in batches.indices { try step(index) }
    return (ContinuousClock.now - begin) / .seconds(1) / Double(batches.count)
}
