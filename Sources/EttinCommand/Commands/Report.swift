import ArgumentParser
import EttinFiles
import EttinPretraining
import EttinTraining

/// The command `ettin report`.
struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what training runs measured, on one page.",
        discussion: """
            The page shows loss, schedule, throughput, what was measured on held-out
            data, and what the ledgers say about a pair. The last checkpoint of each
            run fills and continues texts: those of --prompt, or some of the held-out
            data. The page is one file that needs no other; its links to the runs'
            files are relative to it.

            The folder of a pair stands for its two runs. With --json, every number
            is printed.

            Examples:

              ettin report runs/pair --output report.html
              ettin report runs/a runs/b -o report.html --prompt "I am [MASK]."
              ettin report runs/pair --json --no-samples
            """
    )

    @Argument(help: "Folders of runs, or of pairs.", completion: .directory)
    var runs: [String]

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The page to write.", valueName: "file"),
        completion: .file(extensions: ["html"])
    )
    var output: String?

    @Option(help: ArgumentHelp("A text to fill at [MASK] and to continue; may be repeated.", valueName: "text"))
    var prompt: [String] = []

    @Flag(inversion: .prefixedNo, help: "Let the last checkpoints fill and continue texts.")
    var samples = true

    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if output == nil, !json.isOn { throw ValidationError("expected --output, --json or both") }
        if output == "" { throw ValidationError("--output is empty; expected a file") }
        if !samples, !prompt.isEmpty {
            throw ValidationError("--prompt gives texts to models, but --no-samples asks none")
        }
    }

    func run() throws {
        if let output { try AtomicFile.checkPlace(output) }
        var options = RunReport.Options()
        options.prompts = prompt
        options.includesSamples = samples
        options.compute = try compute.prepare()
        let report = try RunReport(runs, options: options)
        for warning in report.warnings { Diagnostics.note("note: \(warning)") }
        if let output {
            try report.write(output)
            Diagnostics.note("wrote \(output)")
        }
        if json.isOn { try StandardOutput.write { try $0.line(report.json) } }
    }
}
