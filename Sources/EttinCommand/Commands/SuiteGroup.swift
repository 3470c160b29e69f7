import ArgumentParser
import EttinJSON
import EttinModel
import EttinPretraining
import EttinTraining
import Torch

/// The commands `ettin suite …`.
struct SuiteGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suite",
        abstract: "Pretrain a suite of sizes, objectives and phases from one file.",
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
    @Argument(help: "Suite file (YAML).", completion: .file(extensions: ["yaml", "yml"]))
    var suite: String

    @OptionGroup var values: RecipeOverrides

    @Option(help: ArgumentHelp("Only models whose name contains this text, such as 17m or decoder.", valueName: "text"))
    var only: String?

    /// A run with its recipe and how far it is.
    typealias Run = (run: SuiteRun, recipe: PretrainingRecipe, state: RunState)

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
                "--only \"\(only ?? "")\" matches none of \(file.runs.map(\.model).joined(separator: ", "))"
            )
        }
        return try runs.map { run in
            let recipe = try run.recipe(overrides: values.overrides.filter { !own.contains($0) })
            return (run, recipe, try recipe.state(inFolder: run.outputFolder))
        }
    }
}

// MARK: -

/// The command `ettin suite list`.
struct SuiteList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the runs of a suite and their progress.",
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
        abstract: "Run the phases that are not finished, in order.",
        discussion: """
            Finished runs are skipped, and an interrupted run resumes. With --lockstep the
            encoder and decoder of a size and phase train together on the same batches.

            Examples:

              ettin suite run Recipes/nano-suite.yaml data_local=data/nano \\
                tokenizer_name=data/nano/tokenizer
              ettin suite run Recipes/suite.yaml --only 17m --lockstep
            """
    )

    @OptionGroup var arguments: SuiteArguments

    @Flag(help: "Train the encoder and decoder of each size and phase together, on the same batches.")
    var lockstep = false

    @Flag(help: "If a run fails, go on with those that do not depend on it.")
    var keepGoing = false

    @OptionGroup var changes: ChangeOptions
    @OptionGroup var place: DeviceOptions
    @OptionGroup var json: JSONOption

    func run() throws {
        let runs = try arguments.runs()
        for (_, recipe, _) in runs { try recipe.checkRunnable() }
        let items = try runs.map { run, recipe, state in
            Item(run: run, recipe: recipe, state: state, device: try place.prepare(orElse: recipe.device))
        }
        let queue = RunQueue(entries(items), keepsGoing: keepGoing)
        let report = try Interruption.draining(saying: Training.stopNotice) {
            var documents: [JSONValue] = []
            let report = try queue.run(shouldStop: { Interruption.isRequested }, say: Diagnostics.note) { entry in
                let outcome = try Training(entry.runs.map(\.recipe), device: entry.runs[0].device, changes).run()
                if json.isOn { documents.append(outcome.json) } else { try outcome.printCheckpoints() }
                return outcome.isInterrupted ? .interrupted : .finished
            }
            if json.isOn { try StandardOutput.write(document: .array(documents)) }
            return report
        }
        if report.isInterrupted { throw ExitCode(130) }
        guard report.failures.isEmpty else { throw RunFailures(count: report.failures.count, of: runs.count) }
    }

    /// A run that is to be trained, with all that it takes.
    private struct Item: QueuedRun {
        let run: SuiteRun
        let recipe: PretrainingRecipe
        let state: RunState
        let device: Device

        var outputFolder: String { run.outputFolder }
        var dependencies: [String] { run.dependencies }
    }

    /// The runs in order, the halves of a pair as one where they train together.
    private func entries(_ items: [Item]) -> [RunQueue<Item>.Entry] {
        var entries: [RunQueue<Item>.Entry] = []
        var index = 0
        while index < items.count {
            let item = items[index]
            index += 1
            var runs = [item]
            if lockstep, !item.state.isFinished, index < items.count, item.run.isHalf(of: items[index].run),
                items[index].state == item.state
            {
                runs.append(items[index])
                index += 1
            }
            entries.append(RunQueue.Entry(runs, state: item.state))
        }
        return entries
    }
}

/// Some of the runs of a list failed, each of which has said why.
struct RunFailures: Error, CustomStringConvertible {
    let count: Int
    let total: Int

    init(count: Int, of total: Int) { (self.count, self.total) = (count, total) }

    var description: String { "\(count) of \(total) runs failed; the same command tries them again" }
}

extension SuiteRun {
    /// Whether two runs are encoder and decoder of one size and phase.
    fileprivate func isHalf(of other: SuiteRun) -> Bool {
        size == other.size && phase == other.phase && kind != other.kind && phase != .cross
    }
}
