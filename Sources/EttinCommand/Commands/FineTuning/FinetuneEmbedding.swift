import ArgumentParser

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

    @OptionGroup var layout: LayoutOption
    @OptionGroup var place: DeviceOptions
    @OptionGroup var json: JSONOption

    func run() throws {
        try FineTuningRun(arguments, place, json).run(.embedding, arguments.values + layout.values)
    }
}
