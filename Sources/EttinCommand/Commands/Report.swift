import ArgumentParser
import EttinFiles
import EttinPretraining
import EttinTraining

/// The command `ettin report`.
struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a report of training runs as one HTML page.",
        discussion: """
            The page shows loss, learning rate, throughput, evaluation results, and
            whether the ledgers of a pair agree. The last checkpoint of each run
            completes sample texts: those of --prompt, or held-out data. The page is
            self-contained; its links to the runs' files are relative.

            The folder of a pair stands for both of its runs. --json prints all
            numbers.

            Examples:

              ettin report runs/pair --output report.html
              ettin report runs/a runs/b -o report.html --prompt "I am [MASK]."
              ettin report runs/pair --json --no-samples
            """
    )

    @Argument(help: "Folders of runs or pairs.", completion: .directory)
    var runs: [String]

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Output HTML file.", valueName: "file"),
        completion: .file(extensions: ["html"])
    )
    var output: String?

    @Option(help: ArgumentHelp("Sample text to complete, at [MASK] or at the end; may be repeated.", valueName: "text"))
    var prompt: [String] = []

    @Flag(inversion: .prefixedNo, help: "Include sample texts completed by the last checkpoints.")
    var samples = true

    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if output == nil, !json.isOn { throw ValidationError("expected --output, --json or both") }
        if output == "" { throw ValidationError("--output is empty; expected a file") }
        if !samples, !prompt.isEmpty {
            throw ValidationError("--prompt and --no-samples cannot be combined")
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
