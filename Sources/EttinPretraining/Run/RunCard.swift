import EttinConversion
import EttinFiles
import EttinModel
import EttinTraining
import Torch

/// The model card of a checkpoint.
struct RunCard {
    let card: ModelCard

    /// - Parameters:
    ///   - recipe: What was run.
    ///   - clock: How far.
    ///   - evaluation: What was measured of these weights.
    ///   - average: What kind of average of the trained weights they are; nil for the weights themselves.
    init(
        _ recipe: PretrainingRecipe,
        clock: TrainingClock,
        evaluation: [(key: String, value: Double)],
        average: String? = nil
    ) {
        let isEncoder = recipe.kind == .encoder
        var card = ModelCard(title: recipe.runName ?? "A pre-trained \(recipe.kind.name)")
        card.summary =
            "A ModernBERT \(recipe.kind.name) after \(clock.batch) batches and \(clock.token) tokens of pre-training with "
            + (isEncoder ? "masked" : "causal") + " language modelling"
            + (average.map { ": the \($0) of its weights." } ?? ".")
        card.pipelineTag = isEncoder ? "fill-mask" : "text-generation"
        card.recipe = [
            .init("start", Self.start(recipe)), .init("data", Self.data(recipe.data)),
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

    /// What training began with.
    private static func start(_ recipe: PretrainingRecipe) -> String {
        if let path = recipe.checkpoints.loadPath {
            let article = recipe.startKind == .encoder ? "an" : "a"
            let kind = recipe.startKind == recipe.kind ? "" : " of \(article) \(recipe.startKind.name)"
            return "the checkpoint \(shortened(path))\(kind)"
        }
        if let smaller = recipe.initFromCheckpoint {
            return "the weights of the smaller model \(shortened(smaller.path)), \(smaller.mode.rawValue)"
        }
        return "new weights, \(recipe.initialization.rawValue)"
    }

    private static func data(_ settings: DataSettings) -> String {
        guard settings.streams.isEmpty else { return settings.streams.map(\.name).joined(separator: ", ") }
        return shortened(settings.split.map { FilePath.joined(settings.localPath, $0) } ?? settings.localPath)
    }

    /// The end of a path: the rest says more about the machine than about the model.
    private static func shortened(_ path: String) -> String {
        let parts = path.split(separator: "/").filter { $0 != "." && $0 != ".." }
        return parts.suffix(2).joined(separator: "/")
    }
}
