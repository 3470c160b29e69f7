public import EttinJSON
import EttinModel
import EttinTraining

extension PretrainingPlan {
    /// The plan as JSON, numbers unrounded.
    public var json: JSONValue {
        [
            "name": recipe.runName.map { .string($0) } ?? .null,
            "kind": .string(recipe.kind == .encoder ? "encoder" : "decoder"),
            "objective": .string(recipe.objective.name),
            "phase": .string(recipe.checkpoints.phase.rawValue),
            "parameters": JSONValue(recipe.model.parameterCount),
            "embedding_parameters": JSONValue(recipe.model.embeddingParameterCount),
            "vocab_size": JSONValue(recipe.model.vocabularySize),
            "max_duration": .string(recipe.maxDuration.description),
            "tokens_per_sequence": JSONValue(sequenceLength.mean),
            "tokens_per_sequence_source": .string(sequenceLength.source.rawValue),
            "tokens_per_step": JSONValue(tokensPerStep),
            "steps_per_epoch": batchesPerEpoch.map { JSONValue($0) } ?? .null,
            "steps": steps.map { JSONValue($0) } ?? .null,
            "tokens": tokens.map { JSONValue($0) } ?? .null,
            "learning_rates": .array(
                rates.map { ["share": JSONValue($0.share), "time": JSONValue($0.time), "lr": JSONValue($0.value)] }
            ),
            "batch_sizes": .array(
                batchSizes.map { ["tokens": JSONValue($0.tokens), "sequences": JSONValue($0.sequences)] }
            ),
            "checkpoints": checkpoints.map {
                [
                    "count": JSONValue($0.count), "tags": .array($0.tags.map { .string($0) }),
                    "bytes": JSONValue($0.bytes),
                ]
            } ?? .null,
            "memory": [
                "weights": JSONValue(memory.weights), "gradients": JSONValue(memory.gradients),
                "optimizer": JSONValue(memory.optimizer),
                "activations_per_token": JSONValue(memory.activationsPerToken),
                "activations": memory.activations.map { JSONValue($0) } ?? .null,
                "total": JSONValue(memory.total),
            ],
            "rules": recipe.rules.json,
            "notices": .array(recipe.notices.map { .string($0) }),
            "recipe": recipe.resolved,
        ]
    }
}
