import EttinEvaluation
import EttinJSON
import EttinReports

/// What `ettin evaluate glue` prints.
struct GLUEReport {
    let summaries: [GLUESummary]
    let average: GLUEAverage

    /// The tables: jobs, means of tasks, and the score by every average.
    var lines: [String] {
        let averages = GLUEAverage.allCases.map { average in
            [average.rawValue] + summaries.map { Self.shown($0.mean(by: average)) }
        }
        let models = summaries.map(\.model)
        return TextColumns.lines(jobCells)
            + ["", "Mean of each task over its runs ± standard deviation, average: \(average.rawValue)"]
            + TextColumns.lines([["task"] + models] + taskCells)
            + ["", "Score of GLUE, the mean over tasks"] + TextColumns.lines([["average"] + models] + averages)
    }

    private var jobCells: [[String]] {
        let rows = summaries.flatMap(\.jobs).flatMap { job in
            job.scores.map { score in
                [job.name, Self.name(of: job.task, score.part), score.metric.rawValue, Self.percent(score.value)]
            }
        }
        return [["job", "dataset", "metric", "value"]] + rows
    }

    private var taskCells: [[String]] {
        let means = summaries.map { $0.tasks(by: average) }
        let tasks = GLUETask.allCases.filter { task in means.joined().contains { $0.task == task } }
        return tasks.map { task in
            [task.title] + means.map { Self.shown($0.first { $0.task == task }) }
        }
    }

    private static func name(of task: GLUETask, _ part: GLUEPart) -> String {
        part == .validation ? task.title : "\(task.title) \(part.rawValue)"
    }

    private static func percent(_ value: Double) -> String { NumberText.fixed(value * 100, places: 2) }

    private static func shown(_ mean: GLUESummary.TaskMean?) -> String {
        guard let mean else { return "–" }
        let deviation = mean.deviation.map { " ± \(percent($0))" } ?? ""
        return percent(mean.mean) + deviation + (mean.jobCount == 1 ? " (1 run)" : " (\(mean.jobCount) runs)")
    }

    private static func shown(_ score: (value: Double, taskCount: Int)?) -> String {
        guard let score else { return "–" }
        let whole = GLUETask.scored.count
        return percent(score.value) + (score.taskCount == whole ? "" : " (\(score.taskCount) of \(whole) tasks)")
    }

    /// One document, values as they are, 1 at best.
    var document: JSONValue {
        func number(_ value: Double?) -> JSONValue { value.flatMap { $0.isFinite ? JSONValue($0) : nil } ?? .null }
        let jobs = summaries.flatMap(\.jobs).map { job -> JSONValue in
            let scores = job.scores.map { score -> JSONValue in
                [
                    "part": .string(score.part.rawValue), "metric": .string(score.metric.rawValue),
                    "value": number(score.value),
                ]
            }
            return [
                "job": .string(job.name), "model": .string(job.model), "task": .string(job.task.rawValue),
                "seed": job.seed.map { JSONValue($0) } ?? .null, "scores": .array(scores),
            ]
        }
        let models = summaries.map { summary -> JSONValue in
            var (tasks, glue): (JSONObject, JSONObject) = ([:], [:])
            for average in GLUEAverage.allCases {
                let score = summary.mean(by: average)
                glue[average.rawValue] = [
                    "value": number(score?.value), "tasks": JSONValue(score?.taskCount ?? 0),
                ]
                tasks[average.rawValue] = .object(
                    JSONObject(
                        summary.tasks(by: average).map { mean in
                            let value: JSONValue = [
                                "mean": number(mean.mean), "std": number(mean.deviation),
                                "runs": JSONValue(mean.jobCount),
                            ]
                            return (mean.task.rawValue, value)
                        }
                    )
                )
            }
            return ["model": .string(summary.model), "tasks": .object(tasks), "glue": .object(glue)]
        }
        return ["average": .string(average.rawValue), "jobs": .array(jobs), "models": .array(models)]
    }
}
