import ArgumentParser
import EttinTraining

/// The command `ettin sweep`.
struct Sweep: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a recipe with several values and seeds, and compare the runs.",
        discussion: """
            A sweep file names a recipe, the command that runs it, and values or
            distributions for some of its keys, in the words of a Weights & Biases
            sweep; docs/sweeps.md describes every key. Each setting runs with every
            seed, in a folder of its own. Finished runs are skipped and interrupted
            runs resume. If a run fails, the others go on.

            The table of results is printed at the end and written to the sweep's
            folder, as sweep.txt and sweep.json.

            Examples:

              ettin sweep Recipes/nano-sweep.yaml --dry-run
              ettin sweep Recipes/nano-sweep.yaml data_local=data/nano \\
                tokenizer_name=data/nano/tokenizer
              ettin sweep sweep.yaml 'seeds=[1, 2, 3]' output=runs/three-seeds
            """
    )

    @Argument(help: "Sweep file (YAML).", completion: .file(extensions: ["yaml", "yml"]))
    var sweep: String

    @OptionGroup var values: RecipeOverrides

    @Flag(help: "List the runs and their progress without training.")
    var dryRun = false

    @Flag(help: "Stop at the first run that fails.")
    var failFast = false

    @OptionGroup var changes: ChangeOptions
    @OptionGroup var place: DeviceOptions
    @OptionGroup var json: JSONOption

    func run() throws {
        let commands = SweptCommand.allCases.map(\.command)
        let file = try SweepFile(path: sweep, overrides: values.overrides, commands: commands)
        guard let command = SweptCommand.allCases.first(where: { $0.command == file.command }) else { return }
        let session = try SweepSession(file, acceptsChanges: changes.acceptChanges) { run in
            try command.state(recipe: run.recipe.path, run)
        }
        let wanted = (file.runCap ?? 0) * max(1, file.seeds.count)
        if file.method == .random, session.runCount < wanted {
            Diagnostics.note("note: the parameters have values for \(session.runCount) runs, not \(wanted)")
        }
        if dryRun { return try show(session.results) }
        let report = try Interruption.draining(saying: Training.stopNotice) {
            try session.run(
                keepsGoing: !failFast,
                shouldStop: { Interruption.isRequested },
                say: Diagnostics.note,
                train: { try command.train(recipe: $0.recipe.path, $0, place: place, changes) }
            )
        }
        try show(session.results)
        if report.isInterrupted { throw ExitCode(130) }
        guard report.failures.isEmpty else { throw RunFailures(count: report.failures.count, of: session.runCount) }
    }

    private func show(_ results: SweepResults) throws {
        if json.isOn { return try StandardOutput.write(document: results.json) }
        try StandardOutput.write { try $0.line(results.text) }
    }
}
