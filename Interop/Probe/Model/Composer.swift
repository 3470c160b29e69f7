import EttinConversion
import EttinJSON
import EttinTraining

/// Prints what a raw training checkpoint says, and writes the moments of its optimizer under our keys.
func describeComposerCheckpoint(_ path: String, moments file: String) throws {
    let checkpoint = try ComposerCheckpoint(path: path)
    let moments = checkpoint.optimizer?.moments ?? []
    try write(
        moments.flatMap { [($0.key + ".exp_avg", $0.first), ($0.key + ".exp_avg_sq", $0.second)] },
        file
    )
    let groups = (checkpoint.optimizer?.groups ?? []).map { group -> JSONValue in
        [
            "lr": JSONValue(group.learningRate), "weight_decay": JSONValue(group.weightDecay),
            "initial_lr": group.initialLearningRate.map { JSONValue($0) } ?? .null,
            "max_lr": group.maximumLearningRate.map { JSONValue($0) } ?? .null, "eps": JSONValue(group.epsilon),
            "betas": .array(group.betas.map { JSONValue($0) }),
            "keys": .array(group.keys.map(JSONValue.string)),
        ]
    }
    let clock = checkpoint.clock ?? TrainingClock()
    let description: JSONValue = [
        "clock": [
            "batch": JSONValue(clock.batch), "sample": JSONValue(clock.sample), "token": JSONValue(clock.token),
            "seconds": JSONValue(clock.seconds),
        ],
        "steps": .array(Set(moments.map(\.step)).sorted().map { JSONValue($0) }), "groups": .array(groups),
        "base_lrs": .array(checkpoint.baseLearningRates.map { JSONValue($0) }),
        "seed": checkpoint.seed.map { JSONValue($0) } ?? .null,
    ]
    print(description.text())
}
