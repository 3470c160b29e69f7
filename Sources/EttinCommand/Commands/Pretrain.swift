import ArgumentParser
import EttinCorpus
import EttinFiles
import EttinJSON
import EttinModel
import EttinPretraining
import EttinTokenizer
import EttinTraining
import Torch

/// The command `ettin pretrain`.
struct Pretrain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a model, or both halves of a pair, by a recipe.",
        discussion: """
            Recipes are YAML files in the schema of the suite's published ones; those of
            Recipes/ are good to start from, and docs/pretraining.md says what every key
            does. Checkpoints are model folders that transformers loads, and hold what it
            takes to go on: with autoresume: true the same command continues where the
            last one stopped, to the same bits.

            With --lockstep both halves of a pair take every step on the same samples. If
            their save_folder is the same, the halves are its folders encoder and decoder.

            A run that is resumed must have the optimizer, masking, precision, dropout and
            rules it had; with --accept-changes it takes the recipe's new ones, and the
            old run.json stays as run.1.json. Lengths, schedules, intervals and paths may
            change; what did is named.

            SIGINT and SIGTERM save a checkpoint after the batch and exit with 130.

            Examples:

              ettin pretrain Recipes/nano/encoder-pretrain.yaml --dry-run
              ettin pretrain Recipes/nano/encoder-pretrain.yaml data_local=data/nano \\
                tokenizer_name=data/nano/tokenizer save_folder=runs/encoder
              ettin pretrain Recipes/nano/encoder-pretrain.yaml \\
                --lockstep Recipes/nano/decoder-pretrain.yaml save_folder=runs/pair
            """
    )

    @Argument(help: "The recipe.", completion: .file(extensions: ["yaml", "yml"]))
    var recipe: String

    @OptionGroup var values: RecipeOverrides

    @Option(
        help: ArgumentHelp("The recipe of the other half, to be trained on the same batches.", valueName: "recipe"),
        completion: .file(extensions: ["yaml", "yml"])
    )
    var lockstep: String?

    @Flag(help: "Print what would be done, and do nothing.")
    var dryRun = false

    @OptionGroup var changes: ChangeOptions

    @OptionGroup var place: DeviceOptions

    @OptionGroup var json: JSONOption

    func run() throws {
        let recipes = try ([recipe] + [lockstep].compactMap { $0 }).map {
            try PretrainingRecipe(path: $0, overrides: values.overrides)
        }
        if dryRun { return try printPlans(recipes) }
        let device = try place.prepare(orElse: recipes[0].device)
        let outcome = try Interruption.draining(saying: Training.stopNotice) {
            let outcome = try Training(recipes, device: device, changes).run()
            if json.isOn { try StandardOutput.write(document: outcome.json) } else { try outcome.printCheckpoints() }
            return outcome
        }
        if outcome.isInterrupted { throw ExitCode(130) }
    }

    /// The recipe with the numbers of its tokenizer, where that lies here: a plan fetches nothing.
    ///
    /// Data that are here are checked as a run checks them.
    private func fitted(_ recipe: PretrainingRecipe) throws -> PretrainingRecipe {
        guard let folder = recipe.tokenizerName, FilePath.kind(of: folder) == .folder else {
            guard !recipe.takesVocabularyFromTokenizer else { return recipe }
            try check(recipe, nil)
            return recipe
        }
        let tokenizer = try Tokenizer(folder: folder)
        let specials = try SpecialTokens(naming: tokenizer)
        let fitted = try recipe.fitted(vocabularySize: tokenizer.vocabularySize, specials: specials)
        try check(fitted, tokenizer)
        return fitted
    }

    private func check(_ recipe: PretrainingRecipe, _ tokenizer: Tokenizer?) throws {
        let notices = try recipe.checkData(
            vocabularySize: recipe.model.vocabularySize,
            tokenizer: tokenizer,
            from: recipe.tokenizerName
        )
        for notice in notices { Diagnostics.note(notice) }
    }

    private func printPlans(_ recipes: [PretrainingRecipe]) throws {
        let plans = try recipes.map { try PretrainingPlan(fitted($0)) }
        if json.isOn {
            try StandardOutput.write(document: plans.count == 1 ? plans[0].json : .array(plans.map(\.json)))
        } else {
            try StandardOutput.write { output in
                for (index, plan) in plans.enumerated() {
                    if index > 0 { try output.line("") }
                    try output.line(plan.text)
                }
            }
        }
    }
}

// MARK: -

/// Training as commands run it: notices and progress on standard error, signals heeded where the caller drains them.
struct Training {
    /// What the first signal says.
    static let stopNotice = "stopping after this batch; once more to stop without saving"

    let recipes: [PretrainingRecipe]
    let device: Device
    let changes: ChangeOptions

    init(_ recipes: [PretrainingRecipe], device: Device, _ changes: ChangeOptions) {
        self.recipes = recipes
        self.device = device
        self.changes = changes
    }

    /// Trains.
    ///
    /// - Throws: Whatever preparing and running throw.
    func run() throws -> PretrainingReport {
        for recipe in recipes { try recipe.checkRunnable() }
        var notices: [String] = []
        for notice in recipes.flatMap(\.notices) where !notices.contains(notice) { notices.append(notice) }
        for notice in notices { Diagnostics.note(notice) }
        let tokenizer = try RecipeTokenizer(recipes[0])
        var options = PretrainingSession.Options()
        options.tokenizer = tokenizer.tokenizer
        options.tokenizerFolder = tokenizer.folder
        options.acceptsChanges = changes.acceptChanges
        options.device = device
        options.onLine = Diagnostics.note
        options.shouldStop = { Interruption.isRequested }
        TorchRuntime.setKeptMemoryLimit(bytes: .max)
        let session = try PretrainingSession(recipes, options)
        for trainer in session.trainers {
            let run = trainer.task
            let begin = trainer.origin.map { "from \($0)" } ?? "with new weights"
            Diagnostics.note("\(run.folder.path): \(run.recipe.kind.name), \(run.recipe.objective.name), \(begin)")
            if trainer.isFinished {
                let length = "\(run.recipe.maxDuration)"
                Diagnostics.note("\(run.folder.path): finished already, nothing to train: max_duration is \(length)")
            }
        }
        let outcome = try session.run()
        return PretrainingReport(
            trainers: session.trainers,
            checkpoints: try session.newestCheckpoints(),
            isInterrupted: outcome == .interrupted
        )
    }
}

/// What training came to.
struct PretrainingReport {
    let trainers: [Trainer<PretrainingRun>]
    let checkpoints: [String?]
    let isInterrupted: Bool

    var json: JSONValue {
        [
            "finished": JSONValue(!isInterrupted),
            "runs": .array(
                zip(trainers, checkpoints).map { run, checkpoint in
                    var object: JSONObject = [
                        "folder": .string(run.task.folder.path), "kind": .string(run.task.recipe.kind.name),
                        "checkpoint": checkpoint.map { .string($0) } ?? .null, "batch": JSONValue(run.clock.batch),
                        "token": JSONValue(run.clock.token), "seconds": JSONValue(run.clock.seconds),
                        "loss": JSONValue(run.loss),
                    ]
                    for (key, value) in run.evaluation { object[key] = JSONValue(value) }
                    return .object(object)
                }
            ),
        ]
    }

    /// The newest checkpoint of each run, a line each.
    func printCheckpoints() throws {
        try StandardOutput.write { output in
            for case let checkpoint? in checkpoints { try output.line(checkpoint) }
        }
    }
}
