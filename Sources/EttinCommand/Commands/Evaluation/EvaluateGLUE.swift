public import ArgumentParser
public import EttinEvaluation
import EttinFiles
import EttinFineTuning
import EttinInference
import EttinJSON
import EttinTables

/// The command `ettin evaluate glue`.
struct EvaluateGLUE: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "glue",
        abstract: "Gather the scores of runs on GLUE, and print their means.",
        discussion: """
            Each folder is a run of `ettin finetune classifier` with a task_name, or has
            runs in it, as a sweep leaves them; a run has the scores of its finished
            model. With --data the finished models are measured anew on the validation
            sets, and folders of classifiers that are no runs are measured too.

            The table has a line for each job and metric, then the mean of each task over
            its seeds for each model that training began with, then the score of GLUE:
            the mean over the eight tasks, WNLI excluded. MRPC and QQP have two metrics;
            --average says which of them count in the table of tasks, and the score is
            printed by every average. Values are times 100.

            Examples:

              ettin sweep Recipes/finetune/glue.yaml
              ettin evaluate glue output/glue
              ettin evaluate glue output/encoder output/decoder --average accuracy
              ettin evaluate glue models/rte --task rte --data data/glue
            """
    )

    @Argument(help: "Folders of runs, or of models.", completion: .directory)
    var folders: [String]

    @Option(help: "Metrics of MRPC and QQP that count in the table of tasks: mean, last, accuracy or f1.")
    var average = GLUEAverage.mean

    @Option(
        help: ArgumentHelp(
            "Measure the finished models on this data: the folder with the folders of tasks, or a name on the Hub.",
            valueName: "folder"
        ),
        completion: .directory
    )
    var data: String?

    @Option(help: "Task of a model whose config.json does not tell it (finetuning_task).")
    var task: GLUETask?

    @Option(help: ArgumentHelp("Maximum number of tokens of a text or pair, with --data.", valueName: "count"))
    var maxLength = 256

    @OptionGroup var batches: BatchOptions
    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if maxLength < 8 { throw ValidationError("--max-length is \(maxLength); expected 8 or more") }
        if task != nil, data == nil { throw ValidationError("--task applies to models that are measured; pass --data") }
    }

    func run() throws {
        var jobs: [GLUEJob] = []
        var measurements: [GLUETask: GLUEMeasurement] = [:]
        for folder in folders {
            let (runs, others) = try GLUERun.runs(inFolder: folder)
            for other in others {
                Diagnostics.note("\(other): is not a run of a classifier with a task_name and is left out")
            }
            if runs.isEmpty, others.isEmpty { jobs.append(try measured(model: folder, &measurements)) }
            for run in runs {
                guard run.isFinished else {
                    Diagnostics.note("\(run.folder): has not finished and is left out")
                    continue
                }
                if data != nil {
                    let folder = try HubAccess.modelFolder(run.modelFolder, revision: nil)
                    let scores = try scores(of: folder, run.job.task, &measurements)
                    let job = run.job
                    jobs.append(
                        GLUEJob(name: job.name, model: job.model, task: job.task, seed: job.seed, scores: scores)
                    )
                } else if run.job.value(by: .mean) == nil {
                    Diagnostics.note(
                        "\(run.folder): has not evaluated \(run.job.task.title) and is left out; pass --data to measure it"
                    )
                } else {
                    jobs.append(run.job)
                }
            }
        }
        guard !jobs.isEmpty else {
            throw ValidationError("\(folders.joined(separator: ", ")): no finished run on a task of GLUE is there")
        }
        let report = GLUEReport(summaries: GLUESummary.summaries(jobs), average: average)
        if json.isOn { return try StandardOutput.write(document: report.document) }
        try StandardOutput.write { output in
            for line in report.lines { try output.line(line) }
        }
    }

    /// The job of a model that is no run's.
    private func measured(model folder: String, _ measurements: inout [GLUETask: GLUEMeasurement]) throws -> GLUEJob {
        guard data != nil else {
            throw ValidationError(
                "\(folder): has no run of a classifier; expected one with a task_name, or --data to measure a model"
            )
        }
        let folder = try HubAccess.folder(folder, revision: nil)
        guard let task = try task ?? configuredTask(folder) else {
            throw ValidationError("\(folder): nothing says which task of GLUE the model is for; pass --task")
        }
        let opened = try HubAccess.modelFolder(folder, revision: nil)
        let scores = try scores(of: opened, task, &measurements)
        let name = FilePath.lastComponent(of: folder) + "_task=\(task.rawValue)"
        return GLUEJob(name: name, model: folder, task: task, seed: nil, scores: scores)
    }

    /// The task that transformers notes in the configuration of what `run_glue.py` trains.
    private func configuredTask(_ folder: String) throws -> GLUETask? {
        let path = FilePath.joined(folder, "config.json")
        guard FilePath.kind(of: path) == .file else { return nil }
        let configuration = try? JSONValue(parsing: OpenFile.contents(of: path))
        return configuration?["finetuning_task"]?.stringValue.flatMap { GLUETask(rawValue: $0) }
    }

    private func scores(
        of folder: String,
        _ task: GLUETask,
        _ measurements: inout [GLUETask: GLUEMeasurement]
    ) throws -> [GLUEScore] {
        let measurement: GLUEMeasurement
        if let known = measurements[task] {
            measurement = known
        } else {
            let place = data ?? ""
            measurement = try GLUEMeasurement(task) { try task.table(place, $0, with: FineTuningData.opening) }
            for notice in measurement.notices { Diagnostics.note("note: \(notice)") }
            measurements[task] = measurement
        }
        let model = try TextClassificationPipeline(folder: folder, options: compute.prepare())
        for notice in model.notices { Diagnostics.note(notice) }
        let (scores, truncatedCount) = try measurement(
            model,
            maxLength: maxLength,
            maxBatchTokens: batches.maxBatchTokens
        )
        if truncatedCount > 0 {
            Diagnostics.note("\(folder): truncated \(truncatedCount) texts to \(maxLength) tokens")
        }
        return scores
    }
}

extension GLUEAverage: ExpressibleByArgument {}
extension GLUETask: ExpressibleByArgument {}
