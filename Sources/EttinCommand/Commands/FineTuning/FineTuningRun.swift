import ArgumentParser
import EttinFineTuning
import EttinJSON
import EttinTraining
import Torch

/// The kinds of models that can be fine-tuned, by the names of their commands.
enum FineTuningKind: String, CaseIterable {
    case embedding
    case reranker
    case sparse
    case colBERT = "colbert"
    case classifier
    case tagger

    /// Checks a recipe.
    ///
    /// - Throws: `TrainingError` naming file, line and key of what is wrong.
    func check(recipe path: String, _ values: [String]) throws {
        switch self {
        case .embedding: _ = try EmbeddingRecipe(path: path, overrides: values)
        case .reranker: _ = try RerankerRecipe(path: path, overrides: values)
        case .sparse: _ = try SparseRecipe(path: path, overrides: values)
        case .colBERT: _ = try MultiVectorRecipe(path: path, overrides: values)
        case .classifier: _ = try ClassifierRecipe(path: path, overrides: values)
        case .tagger: _ = try TaggerRecipe(path: path, overrides: values)
        }
    }

    /// A session as commands run it: names lead to the Hub, and progress goes to standard error.
    ///
    /// - Parameters:
    ///   - path: The recipe; nil where values alone make it.
    ///   - values: Values that replace those of the recipe.
    ///   - place: Where it is trained.
    /// - Returns: The session.
    /// - Throws: Whatever reading the recipe, finding the device and preparing the run throw.
    func session(recipe path: String?, _ values: [String], _ place: DeviceOptions) throws -> FineTuningSession {
        switch self {
        case .embedding:
            let recipe =
                try path.map { try EmbeddingRecipe(path: $0, overrides: values) } ?? EmbeddingRecipe(values: values)
            return try FineTuningSession(recipe, Self.options(place, device: recipe.arguments.device))
        case .reranker:
            let recipe =
                try path.map { try RerankerRecipe(path: $0, overrides: values) } ?? RerankerRecipe(values: values)
            return try FineTuningSession(recipe, Self.options(place, device: recipe.arguments.device))
        case .sparse:
            let recipe = try path.map { try SparseRecipe(path: $0, overrides: values) } ?? SparseRecipe(values: values)
            return try FineTuningSession(recipe, Self.options(place, device: recipe.arguments.device))
        case .colBERT:
            let recipe =
                try path.map { try MultiVectorRecipe(path: $0, overrides: values) } ?? MultiVectorRecipe(values: values)
            return try FineTuningSession(recipe, Self.options(place, device: recipe.arguments.device))
        case .classifier:
            let recipe =
                try path.map { try ClassifierRecipe(path: $0, overrides: values) } ?? ClassifierRecipe(values: values)
            return try FineTuningSession(recipe, Self.options(place, device: recipe.arguments.device))
        case .tagger:
            let recipe = try path.map { try TaggerRecipe(path: $0, overrides: values) } ?? TaggerRecipe(values: values)
            return try FineTuningSession(recipe, Self.options(place, device: recipe.arguments.device))
        }
    }

    private static func options(_ place: DeviceOptions, device: String) throws -> FineTuningSession.Options {
        var options = FineTuningSession.Options(opening: FineTuningData.opening)
        options.dataFolder = FineTuningData.folder
        options.modelFolder = { try HubAccess.folder($0, revision: nil) }
        options.device = try place.prepare(orElse: device)
        options.onLine = Diagnostics.note
        options.shouldStop = { Interruption.isRequested }
        TorchRuntime.setKeptMemoryLimit(bytes: .max)
        return options
    }
}

/// A run of fine-tuning with the options of its command.
struct FineTuningRun {
    private let arguments: FinetuneArguments
    private let place: DeviceOptions
    private let json: JSONOption

    init(_ arguments: FinetuneArguments, _ place: DeviceOptions, _ json: JSONOption) {
        (self.arguments, self.place, self.json) = (arguments, place, json)
    }

    /// Trains, or prints the plan.
    ///
    /// - Parameters:
    ///   - kind: The kind of model.
    ///   - values: Values that replace those of the recipe, or make one.
    /// - Throws: Whatever preparing and training throw; `ExitCode` after an interruption.
    func run(_ kind: FineTuningKind, _ values: [String]) throws {
        let session = try kind.session(recipe: arguments.recipe, values, place)
        if arguments.dryRun {
            for notice in session.notices { Diagnostics.note(notice) }
            let plan = arguments.measure ? try session.measuredPlan() : session.plan
            if json.isOn { return try StandardOutput.write(document: plan.json) }
            return try StandardOutput.write { try $0.line(plan.text) }
        }
        let outcome = try Interruption.draining(
            saying: "stopping after this step; interrupt again to stop without saving"
        ) {
            try session.run()
        }
        try report(session, isFinished: outcome == .finished)
        if outcome == .interrupted { throw ExitCode(130) }
    }

    /// Prints the folder of the finished model, or the newest checkpoint, and what was measured.
    private func report(_ session: FineTuningSession, isFinished: Bool) throws {
        let progress = session.progress
        let checkpoint = try session.newestCheckpoint()
        guard json.isOn else {
            return try StandardOutput.write { output in
                if let folder = isFinished ? session.finalFolder : checkpoint { try output.line(folder) }
                for (key, value) in progress.evaluation { try output.line("\(key)\t\(value)") }
            }
        }
        var object: JSONObject = [
            "finished": .bool(isFinished), "model": isFinished ? .string(session.finalFolder) : .null,
            "checkpoint": checkpoint.map { .string($0) } ?? .null, "step": JSONValue(progress.clock.batch),
            "tokens": JSONValue(progress.clock.token), "seconds": JSONValue(progress.clock.seconds),
        ]
        object["train_loss"] = progress.history.last?["train_loss"] ?? .null
        object["metrics"] = .object(JSONObject(progress.evaluation.map { ($0.key, JSONValue($0.value)) }))
        try StandardOutput.write(document: .object(object))
    }
}
