import ArgumentParser

/// The command `ettin finetune sparse`.
struct FinetuneSparse: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sparse",
        abstract: "Fine-tune a sparse (SPLADE) model for retrieval.",
        discussion: """
            A masked language model learns to give weights to the entries of its vocabulary,
            most of them 0. Recipes are YAML files whose keys are the arguments of
            sentence-transformers: those of `ettin finetune embedding`, and pooling_strategy,
            activation_function, max_active_dims and regularizer_scheduler. The loss is
            SpladeLoss, or CachedSpladeLoss for large batches in little memory.
            docs/finetuning.md describes them; Recipes/finetune/ has some to start from.

            Columns are taken by position: query, positive, negatives; a column named label,
            labels, score or scores holds labels. The finished model is written to final in
            the output folder, a folder of SparseEncoder that `ettin sparse` runs.

            Examples:

              ettin finetune sparse --model jhu-clsp/ettin-encoder-17m \\
                --train pairs.jsonl --output output/splade batch_sampler=no_duplicates
              ettin finetune sparse Recipes/finetune/sparse-nq.yaml --dry-run
              ettin finetune sparse recipe.yaml --lr 2e-5 --epochs 1
            """
    )

    @OptionGroup var arguments: FinetuneArguments

    @OptionGroup var layout: LayoutOption
    @OptionGroup var place: DeviceOptions
    @OptionGroup var json: JSONOption

    func run() throws {
        try FineTuningRun(arguments, place, json).run(.sparse, arguments.values + layout.values)
    }
}
