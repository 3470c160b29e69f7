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
    case sft

    /// Checks a recipe.
    ///
    /// - Throws: `TrainingError` naming file, line and key of what is wrong.
    func check(recipe path: String, _ values: [String]) throws {
        switch self {
        case .embedding: _ = try EmbeddingRecipe(path: path, overrides: values)
        case .reranker: _ = try RerankerRecipe(path: path, overrides: values)
        case .sparse: _ = try SparseRecipe(path: path, overrides: values)
        case .colBERT: _ = try MultiVectorRecipe(path: path, overrides: values)
        case .sft: _ = try SFTRecipe(path: path, overrides: values)
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
        case .sft:
            let recipe = try path.map { try SFTRecipe(path: $0, overrides: values) } ?? SFTRecipe(values: values)
            return try FineTuningSession(recipe, Self.options(place, device: recipe.arguments.device))
        }
    }

    private static func options(_ place: DeviceOptions, device: String) throws -> FineTuningSession.Options {
        var options = FineTuningSession.Options(table: FineTuningData.table)
        options.dataFolder = FineTuningData.folder
        options.modelFolder = { try HubAccess.modelFolder($0, revision: nil) }
        options.device = try place.prepare(orElse: device)
        options.onLine = Diagnostics.note
        options.shouldStop = { Interruption.isRequested }
        TorchRuntime.setKeptMemoryLimit(bytes: .max)
        return options
    }
}

/// A run of fine-tuning with the options of its command.
struct FineTuningRun {
    private let recipe: String?
    private let isDry: Bool
    private let measures: Bool
    private let place: DeviceOptions
    private let json: JSONOption

    init(_ arguments: FinetuneArguments, _ place: DeviceOptions, _ json: JSONOption) {
        self.init(recipe: arguments.recipe, isDry: arguments.dryRun, measures: arguments.measure, place, json)
    }

    /// Takes what a command's options say.
    ///
    /// - Parameters:
    ///   - recipe: The recipe; nil where values alone make it.
    ///   - isDry: Whether the plan is printed in place of training.
    ///   - measures: Whether a few steps are taken for the plan.
    ///   - place: Where it is trained.
    ///   - json: Whether results are JSON.
    init(recipe: String?, isDry: Bool, measures: Bool, _ place: DeviceOptions, _ json: JSONOption) {
        (self.recipe, self.isDry, self.measures) = (recipe, isDry, measures)
        (self.place, self.json) = (place, json)
    }

    /// Trains, or prints the plan.
    ///
    /// - Parameters:
    ///   - kind: The kind of model.
    ///   - values: Values that replace those of the recipe, or make one.
    /// - Throws: Whatever preparing and training throw; `ExitCode` after an interruption.
    func run(_ kind: FineTuningKind, _ values: [String]) throws {
        let session = try kind.session(recipe: recipe, values, place)
        if isDry {
            for notice in session.notices { Diagnostics.note(notice) }
            let plan = measures ? try session.measuredPlan() : session.plan
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
