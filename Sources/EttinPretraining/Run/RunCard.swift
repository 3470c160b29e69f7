import EttinHub
import EttinModel
import EttinTraining
import Torch

/// The model card of a checkpoint.
struct RunCard {
    let card: ModelCard

    init(_ recipe: PretrainingRecipe, clock: TrainingClock, evaluation: [(key: String, value: Double)]) {
        let isEncoder = recipe.kind == .encoder
        var card = ModelCard(title: recipe.runName ?? "A pre-trained \(recipe.kind.name)")
        card.summary =
            "A ModernBERT \(recipe.kind.name) after \(clock.batch) batches and \(clock.token) tokens of pre-training with "
            + (isEncoder ? "masked" : "causal") + " language modelling."
        card.pipelineTag = isEncoder ? "fill-mask" : "text-generation"
        card.recipe = [
            .init("seed", "\(recipe.seed)"), .init("objective", recipe.objective.name),
            .init(
                "batch",
                "\(recipe.globalTrainBatchSize) sequences of at most \(recipe.data.maxSequenceLength) tokens"
            ),
            .init("optimizer", recipe.optimizer.name.rawValue),
            .init("learning rate", "\(recipe.optimizer.learningRate)"),
            .init("weight decay", "\(recipe.optimizer.weightDecay)"), .init("schedule", recipe.schedule.name),
            .init("length", "\(recipe.maxDuration)"), .init("precision", recipe.precision.rawValue),
        ]
        if case .masked(let probability) = recipe.objective {
            card.recipe.append(.init("mask probability", "\(probability)"))
        }
        card.metrics = evaluation.map { key, value in
            ModelCard.Metric(
                task: isEncoder ? "fill-mask" : "text-generation",
                dataset: "held-out part of the training data",
                name: String(key.split(separator: "/").last ?? ""),
                value: value
            )
        }
        card.usage =
            isEncoder
            ? "ettin fill-mask FOLDER \"A text with a [MASK].\"" : "ettin generate FOLDER \"Once upon a time\""
        self.card = card
    }
}
