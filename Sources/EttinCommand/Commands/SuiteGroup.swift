import ArgumentParser
import EttinJSON
import EttinModel
import EttinPretraining
import Torch

/// The commands `ettin suite …`.
struct SuiteGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suite",
        abstract: "Train a whole suite: sizes, objectives and phases from one file.",
        discussion: """
            Examples:

              ettin suite list Recipes/nano-suite.yaml
              ettin suite run Recipes/nano-suite.yaml data_local=data/nano
            """,
        subcommands: [SuiteList.self, SuiteRunCommand.self]
    )
}

/// A suite file with values that replace those of its recipes.
struct SuiteArguments: ParsableArguments {
    @Argument(help: "The suite file.", completion: .file(extensions: ["yaml", "yml"]))
    var suite: String

    @OptionGroup var values: RecipeOverrides

    @Option(help: ArgumentHelp("Only models whose name holds this, such as 17m or decoder.", valueName: "text"))
    var only: String?

    /// A run with its recipe and how far it is.
    typealias Run = (run: SuiteRun, recipe: PretrainingRecipe, state: SuiteRun.State)

    /// The runs with their recipes and how far they are.
    ///
    /// - Throws: `TrainingError` for what cannot be read or run.
    func runs() throws -> [Run] {
        // Some keys are the suite file's own; all others are those of its recipes.
        let own = values.overrides.filter { text in SuiteFile.keys.contains { text.hasPrefix("\($0)=") } }
        let file = try SuiteFile(path: suite, overrides: own)
        let runs = file.runs.filter { run in only.map { run.model.contains($0) } ?? true }
        guard !runs.isEmpty else {
            throw ValidationError(
                "--only \"\(only ?? "")\" fits none of \(file.runs.map(\.model).joined(separator: ", "))"
            )
        }
        return try runs.map { run in
            let recipe = try run.recipe(overrides: values.overrides.filter { !own.contains($0) })
            return (run, recipe, try run.state(recipe))
        }
    }
}

// MARK: -

/// The command `ettin suite list`.
struct SuiteList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the runs of a suite and how far they are.",
        discussion: """
            Examples:

              ettin suite list Recipes/nano-suite.yaml
              ettin suite list Recipes/suite.yaml --only 17m
            """
    )

    @OptionGroup var arguments: SuiteArguments
    @OptionGroup var json: JSONOption

    func run() throws {
        let runs = try arguments.runs()
        if json.isOn {
            let list = runs.map { run, recipe, state -> JSONValue in
                [
                    "model": .string(run.model), "kind": .string(run.kind.name), "size": .string(run.size),
                    "phase": .string(run.phase.rawValue), "recipe": .string(run.recipePath),
                    "folder": .string(run.outputFolder), "max_duration": .string("\(recipe.maxDuration)"),
                    "state": .string(state.name), "batch": state.batch.map { JSONValue($0) } ?? .null,
                ]
            }
            return try StandardOutput.write(document: .array(list))
        }
        let width = runs.map(\.run.model.count).max() ?? 0
        try StandardOutput.write { output in
            for (run, recipe, state) in runs {
                let name = run.model + String(repeating: " ", count: width - run.model.count)
                let progress = state.batch.map { "\(state.name), batch \($0)" } ?? state.name
                try output.line("\(name)  \(run.phase.rawValue)  \(recipe.maxDuration)  \(progress)")
            }
        }
    }
}

/// The command `ettin suite run`.
struct SuiteRunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Train what is not yet trained, phase after phase.",
        discussion: """
            Runs that are finished are passed over, and the one that was interrupted goes
            on. With --lockstep an encoder and a decoder of one size and phase are trained
            together, from one stream of data.

            Examples:

              ettin suite run Recipes/nano-suite.yaml data_local=data/nano \\
                tokenizer_name=data/nano/tokenizer
              ettin suite run Recipes/suite.yaml --only 17m --lockstep
            """
    )

    @OptionGroup var arguments: SuiteArguments

    @Flag(help: "Train encoder and decoder of a size and phase on the same batches, together.")
    var lockstep = false

    @OptionGroup var changes: ChangeOptions
    @OptionGroup var place: DeviceOptions
    @OptionGroup var json: JSONOption

    func run() throws {
        let runs = try arguments.runs()
        for (_, recipe, _) in runs { try recipe.checkRunnable() }
        let devices = try runs.map { try place.prepare(orElse: $0.recipe.device) }
        let isInterrupted = try Interruption.draining(saying: Training.stopNotice) {
            var documents: [JSONValue] = []
            let isInterrupted = try train(runs, on: devices, into: &documents)
            if json.isOn { try StandardOutput.write(document: .array(documents)) }
            return isInterrupted
        }
        if isInterrupted { throw ExitCode(130) }
    }

    /// Trains the runs one after the other.
    ///
    /// - Returns: Whether a signal has ended it.
    private func train(
        _ runs: [SuiteArguments.Run],
        on devices: [Device],
        into documents: inout [JSONValue]
    ) throws -> Bool {
        var index = 0
        while index < runs.count {
            if Interruption.isRequested { return true }
            let (run, recipe, state) = runs[index]
            let device = devices[index]
            index += 1
            if case .finished(let batch) = state {
                Diagnostics.note("\(run.outputFolder): finished with batch \(batch)")
                continue
            }
            var recipes = [recipe]
            if lockstep, index < runs.count, run.isHalf(of: runs[index].run), runs[index].state == state {
                recipes.append(runs[index].recipe)
                index += 1
            }
            let outcome = try Training(recipes, device: device, changes).run()
            if json.isOn { documents.append(outcome.json) } else { try outcome.printCheckpoints() }
            if outcome.isInterrupted { return true }
        }
        return false
    }
}

extension SuiteRun {
    /// Whether two runs are encoder and decoder of one size and phase.
    fileprivate func isHalf(of other: SuiteRun) -> Bool {
        size == other.size && phase == other.phase && kind != other.kind && phase != .cross
    }
}

extension SuiteRun.State {
    fileprivate var name: String {
        switch self {
        case .new: "new"
        case .begun: "begun"
        case .finished: "finished"
        }
    }

    fileprivate var batch: Int? {
        switch self {
        case .new: nil
        case .begun(let batch), .finished(let batch): batch
        }
    }
}
