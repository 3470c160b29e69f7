import ArgumentParser
import EttinFineTuning
import EttinJSON
import EttinModel
import EttinTraining
import Torch

/// The command `ettin finetune embedding`.
struct FinetuneEmbedding: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "embedding",
        abstract: "Fine-tune an embedding model for retrieval and similarity.",
        discussion: """
            Recipes are YAML files whose keys are the arguments of sentence-transformers:
            model_name_or_path, train_dataset, loss, evaluator and every training
            argument with its default. docs/finetuning.md describes them; Recipes/finetune/
            has some to start from. Options and key=value replace values of the recipe,
            and make one where there is no file.

            Data are JSONL, CSV, TSV, Parquet and Arrow files, folders that datasets
            saved, and data sets on the Hub (owner/name:config:split). Columns are taken
            by position: query, positive, negatives; a column named label, labels, score
            or scores holds labels.

            The finished model is written to final in the output folder, a
            sentence-transformers folder. Checkpoints lie in checkpoint-N folders beside
            it; resume_from_checkpoint=true resumes from the newest to the same bits, and
            autoresume=true does so where there is one. SIGINT and SIGTERM save a
            checkpoint after the current step and exit with 130.

            Examples:

              ettin finetune embedding --model jhu-clsp/ettin-encoder-17m \\
                --train pairs.jsonl --output output/first loss=MultipleNegativesRankingLoss
              ettin finetune embedding recipe.yaml --dry-run
              ettin finetune embedding recipe.yaml --lr 8e-5 --epochs 1 warmup_ratio=0.05
              ettin finetune embedding recipe.yaml resume_from_checkpoint=true
            """
    )

    @OptionGroup var arguments: FinetuneArguments

    @Option(
        help: ArgumentHelp(
            "Layout of the folders: 5, which every version of sentence-transformers reads, or 6 (default: 5).",
            valueName: "version"
        )
    )
    var layout: String?

    @OptionGroup var place: DeviceOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if let layout, ModuleLayout(rawValue: layout) == nil {
            throw ValidationError("--layout is \"\(layout)\"; expected 5 or 6")
        }
    }

    func run() throws {
        let values = arguments.values + (layout.map { ["layout=\($0)"] } ?? [])
        let recipe =
            try arguments.recipe.map { try EmbeddingRecipe(path: $0, overrides: values) }
            ?? EmbeddingRecipe(values: values)
        var options = EmbeddingFineTuning.Options(table: FineTuningData.table)
        options.dataFolder = FineTuningData.folder
        options.modelFolder = { try HubAccess.folder($0, revision: nil) }
        options.device = try place.prepare(orElse: recipe.arguments.device)
        options.onLine = Diagnostics.note
        options.shouldStop = { Interruption.isRequested }
        TorchRuntime.setKeptMemoryLimit(bytes: .max)
        let session = try EmbeddingFineTuning(recipe, options)
        if arguments.dryRun {
            for notice in session.notices { Diagnostics.note(notice) }
            if json.isOn { return try StandardOutput.write(document: session.plan.json) }
            return try StandardOutput.write { try $0.line(session.plan.text) }
        }
        let outcome = try Interruption.draining(
            saying: "stopping after this step; interrupt again to stop without saving"
        ) {
            try session.run()
        }
        try report(session, isFinished: outcome == .finished)
        if outcome == .interrupted { throw ExitCode(130) }
    }

    /// Prints the folder of the finished model, or the newest checkpoint, and what was measured.
    private func report(_ session: EmbeddingFineTuning, isFinished: Bool) throws {
        let progress = session.progress
        let checkpoint = try session.newestCheckpoint()
        guard json.isOn else {
            return try StandardOutput.write { output in
                if let folder = isFinished ? session.finalFolder : checkpoint { try output.line(folder) }
                for (key, value) in progress.evaluation { try output.line("\(key)\t\(value)") }
            }
        }
        var object: JSONObject = [
            "finished": .bool(isFinished), "model": isFinished ? .string(session.finalFolder) : .null,
            "checkpoint": checkpoint.map { .string($0) } ?? .null, "step": JSONValue(progress.clock.batch),
            "tokens": JSONValue(progress.clock.token), "seconds": JSONValue(progress.clock.seconds),
        ]
        object["train_loss"] = progress.history.last?["train_loss"] ?? .null
        object["metrics"] = .object(JSONObject(progress.evaluation.map { ($0.key, JSONValue($0.value)) }))
        try StandardOutput.write(document: .object(object))
    }
}
