import EttinEvaluation
import EttinFiles
import EttinJSON
import EttinModel
import EttinReports
import EttinTraining

/// The card of a model that a recipe has trained.
///
/// > Source: sentence-transformers 6.2, `SentenceTransformerModelCardData`: the keys of its front matter, and the
/// > sections of its text.
struct FineTuningCard {
    let recipe: FineTuningSettings
    /// The classes of the loss, those it wraps included.
    let lossNames: LossNames
    /// The rows of the data to train on.
    let rowCount: Int
    /// The weights of the model.
    let parameterCount: Int

    /// The card of the model as it is now.
    ///
    /// - Parameters:
    ///   - subject: The model.
    ///   - run: How far the run has come, and what it has logged.
    ///   - reports: What evaluators measured last.
    /// - Returns: The card.
    func card(_ subject: any FineTuningSubject, _ run: RunProgress, reports: [EvaluationReport]) -> ModelCard {
        var card = ModelCard(title: "")
        card.license = recipe.license
        card.languages = recipe.languages
        card.usageLanguage = "python"
        subject.describe(&card)
        if let title = recipe.title { card.title = title }
        if recipe.adapters != nil {
            // What sentence-transformers loads, adapters included, is its.
            if card.libraryName == "transformers" { card.libraryName = "peft" }
            card.tags += ["peft", "lora"]
        }
        card.tags += ["generated_from_trainer", "dataset_size:\(rowCount)"] + lossNames.all.map { "loss:\($0)" }
        card.datasets = recipe.trainData.flatMap(\.references).compactMap(Self.hubName)
        // A folder of this machine is no name on the Hub.
        card.baseModel = Self.hubName(recipe.model)
        card.metrics = reports.flatMap { report in
            report.metrics.compactMap { metric in
                let name = report.name.isEmpty ? metric.key : String(metric.key.dropFirst(report.name.count + 1))
                // Those of a retriever alone are not the model's; the logs have them.
                guard !name.hasPrefix("base_") else { return nil }
                var figure = ModelCard.Metric(
                    task: report.description.lowercased().split(separator: " ").joined(separator: "-"),
                    dataset: report.name.isEmpty
                        ? "evaluation data" : String(report.name.map { "_-".contains($0) ? " " : $0 }),
                    datasetID: report.name.isEmpty ? nil : report.name,
                    name: name,
                    value: metric.value
                )
                figure.taskTitle = report.description
                figure.title = name.split(separator: "_").map { $0.prefix(1).uppercased() + $0.dropFirst() }
                    .joined(separator: " ")
                return figure
            }
        }
        card.recipe = settings(run)
        card.sections = [logSection(run)].compactMap(\.self)
        return card
    }

    /// A name on the Hub, without configuration and split; nil for a path.
    private static func hubName(_ reference: String) -> String? {
        let name = reference.split(separator: ":").first.map(String.init) ?? reference
        guard !FilePath.exists(reference), !["/", ".", "~"].contains(where: reference.hasPrefix),
            !name.contains(where: { "*?[".contains($0) })
        else { return nil }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2 && !parts.contains("") ? name : nil
    }

    /// The loss, and the arguments that the recipe gives.
    private func settings(_ run: RunProgress) -> [ModelCard.Setting] {
        var settings = [ModelCard.Setting("loss", lossNames.text)]
        let hidden = [
            "loss", "model_name_or_path", "language", "license", "model_name", "output_dir", "evaluator",
            "train_dataset", "eval_dataset",
            // What has no part in the model, and may hold paths of this machine.
            "run_name", "overwrite_output_dir", "resume_from_checkpoint", "autoresume", "device", "use_cpu",
            "report_to", "disable_tqdm",
        ]
        for member in recipe.resolved.objectValue ?? [:]
        where !member.value.isNull && !hidden.contains(member.key) && ArgumentRule.all[member.key] == nil {
            let text = member.value.stringValue ?? member.value.text()
            settings.append(ModelCard.Setting(member.key, text))
        }
        settings.append(ModelCard.Setting("steps", "\(run.clock.batch)"))
        return settings
    }

    /// What the run has logged, a line for each step with an entry.
    private func logSection(_ run: RunProgress) -> ModelCard.Section? {
        let keys = run.history.flatMap(\.keys).filter { key in
            key == "loss" || (key.hasPrefix("eval_") && !MetricName.isSpeed(key))
        }
        var columns: [String] = []
        for key in keys where !columns.contains(key) { columns.append(key) }
        guard !columns.isEmpty else { return nil }
        var rows: [(step: Int, cells: [String])] = []
        for entry in run.history {
            guard let step = entry["step"]?.intValue, let epoch = entry["epoch"]?.doubleValue,
                columns.contains(where: { entry[$0] != nil })
            else { continue }
            if rows.last?.step != step {
                rows.append((step, [NumberText.fixed(epoch, places: 4), "\(step)"] + columns.map { _ in "-" }))
            }
            for (place, column) in columns.enumerated() {
                guard let value = entry[column]?.doubleValue else { continue }
                rows[rows.count - 1].cells[place + 2] = NumberText.fixed(value, places: 4)
            }
        }
        return ModelCard.Section(
            title: "Training logs",
            heads: ["epoch", "step"] + columns,
            // The last entries tell what the model has come to.
            rows: rows.suffix(200).map(\.cells)
        )
    }
}
