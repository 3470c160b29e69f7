import EttinFiles
package import EttinJSON
import EttinReports

extension SweepResults {
    /// The names of the files in the folder of a sweep.
    private static let fileNames = (json: "sweep.json", text: "sweep.txt")

    /// The results for reading: a line for each run, one for each setting where there are several seeds, and the best.
    package var text: String {
        var parts = [TextColumns.lines(runCells).joined(separator: "\n")]
        if sweep.seeds.count > 1, let metric = sweep.metric, settings.contains(where: { !$0.results.isEmpty }) {
            let lines = TextColumns.lines(settingCells(metric)).joined(separator: "\n")
            parts.append("Mean ± standard deviation over \(sweep.seeds.count) seeds:\n\(lines)")
        }
        if let metric = sweep.metric { parts.append(bestLines(metric).joined(separator: "\n")) }
        return parts.joined(separator: "\n\n")
    }

    private var settingKeys: [String] {
        (sweep.recipes[0].name == nil ? [] : ["recipe"]) + sweep.parameters.map(\.key)
    }

    private var runCells: [[String]] {
        let names = settingKeys + (sweep.seeds.isEmpty ? [] : ["seed"])
        let heading = names + ["state", "batches", "time"] + (sweep.metric.map { [$0.name] } ?? [])
        return [heading]
            + rows.map { row in
                let seed = row.run.seed.map { ["\($0)"] } ?? []
                let (state, batch) =
                    switch row.status {
                    case .state(let state): (state.name, state.batch.map { "\($0)" } ?? "–")
                    case .failed: ("failed", "–")
                    }
                let time = row.seconds.map(NumberText.duration) ?? "–"
                let value = sweep.metric == nil ? [] : [row.value.map(Self.shown) ?? "–"]
                return row.run.setting.map(\.text) + seed + [state, batch, time] + value
            }
    }

    private func settingCells(_ metric: SweepFile.Metric) -> [[String]] {
        let heading = settingKeys + ["finished", metric.name]
        return [heading]
            + settings.map { setting in
                let count = "\(setting.results.count) of \(setting.runCount)"
                return setting.values.map(\.text) + [count, Self.shown(setting)]
            }
    }

    private func bestLines(_ metric: SweepFile.Metric) -> [String] {
        guard let run = bestRun, let value = run.value else {
            return ["No run has finished with a \(metric.name) yet."]
        }
        var lines: [String] = []
        if let setting = bestSetting, sweep.seeds.count > 1, !setting.values.isEmpty {
            let values = setting.values.map { "\($0.key)=\($0.text)" }.joined(separator: " ")
            lines.append("Best setting: \(values), \(metric.name) \(Self.shown(setting))")
        }
        return lines + ["Best run: \(run.run.outputFolder), \(metric.name) \(Self.shown(value))"]
    }

    private static func shown(_ value: Double) -> String { NumberText.significant(value, digits: 5) }

    private static func shown(_ setting: Setting) -> String {
        guard let mean = setting.mean else { return "–" }
        return shown(mean) + (setting.deviation.map { " ± \(NumberText.significant($0, digits: 2))" } ?? "")
    }

    // MARK: - JSON

    /// The results for programs, numbers unrounded.
    package var json: JSONValue {
        [
            "sweep": .string(sweep.path),
            "command": .string(sweep.command.name),
            "recipe": sweep.recipes[0].name == nil ? .string(sweep.recipes[0].path) : .null,
            "output": .string(sweep.outputFolder),
            "metric": sweep.metric.map {
                [
                    "name": .string($0.name), "goal": .string($0.goal.rawValue),
                    "summary": .string($0.summary.rawValue),
                ]
            } ?? .null,
            "runs": .array(rows.map(document)),
            "settings": .array(settings.map(document)),
            "best_setting": bestSetting.map(document) ?? .null,
            "best_run": bestRun.map(document) ?? .null,
        ]
    }

    private func document(_ row: Row) -> JSONValue {
        var object: JSONObject = [
            "folder": .string(row.run.outputFolder),
            "parameters": Self.parameters(row.run.setting),
            "seed": row.run.seed.map { JSONValue($0) } ?? .null,
        ]
        switch row.status {
        case .state(let state):
            object["state"] = .string(state.name)
            object["batch"] = state.batch.map { JSONValue($0) } ?? .null
        case .failed(let reason):
            object["state"] = "failed"
            object["error"] = .string(reason)
        }
        object["seconds"] = row.seconds.map { JSONValue($0) } ?? .null
        object["metric"] = row.value.map { JSONValue($0) } ?? .null
        object["overrides"] = .array(row.run.overrides.map { .string($0) })
        return .object(object)
    }

    private func document(_ setting: Setting) -> JSONValue {
        [
            "parameters": Self.parameters(setting.values),
            "runs": JSONValue(setting.runCount),
            "finished": JSONValue(setting.results.count),
            "mean": setting.mean.map { JSONValue($0) } ?? .null,
            "std": setting.deviation.map { JSONValue($0) } ?? .null,
        ]
    }

    private static func parameters(_ setting: [SweepRun.Value]) -> JSONValue {
        .object(JSONObject(setting.map { ($0.key, .string($0.text)) }))
    }

    // MARK: - Files

    /// Writes both into the folder of the sweep, which must exist.
    ///
    /// - Throws: `TrainingError` when a file cannot be written.
    package func write() throws {
        let document = json.text(JSONWritingOptions(layout: .indented(2)))
        try TrainingError.translating {
            for (name, text) in [(Self.fileNames.json, document), (Self.fileNames.text, text)] {
                try AtomicFile.write(Array((text + "\n").utf8), to: FilePath.joined(sweep.outputFolder, name))
            }
        }
    }
}
