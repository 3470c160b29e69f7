import ArgumentParser

/// The command `ettin finetune colbert`.
struct FinetuneColBERT: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "colbert",
        abstract: "Fine-tune a multi-vector model (ColBERT) for retrieval.",
        discussion: """
            Recipes are YAML files whose keys are the arguments of PyLate's classes and of
            sentence-transformers' trainer: model_name_or_path, embedding_size,
            query_length, train_dataset, loss, evaluator and every training argument with
            its default. docs/finetuning.md describes them; Recipes/finetune/ has some to
            start from. Options and key=value replace values of the recipe, and make one
            where there is no file.

            A plain encoder gets a projection and prefix tokens; a multi-vector model is
            trained further. Data are ids of queries and documents with a teacher's
            scores, whose texts queries_dataset and documents_dataset have, or columns of
            texts: a query (query or anchor in its name), then documents.

            The finished model is written to final in the output folder, a folder of
            PyLate, which sentence-transformers 6 loads too. Checkpoints lie in
            checkpoint-N folders beside it; resume_from_checkpoint=true resumes from the
            newest to the same bits, and autoresume=true does so where there is one.
            SIGINT and SIGTERM save a checkpoint after the current step and exit with 130.

            Examples:

              ettin finetune colbert --model jhu-clsp/ettin-encoder-17m \\
                --train scores.jsonl queries_dataset=queries.jsonl \\
                documents_dataset=documents.jsonl --output output/colbert
              ettin finetune colbert --train triplets.jsonl loss=Contrastive \\
                --model jhu-clsp/ettin-encoder-17m --output output/colbert
              ettin finetune colbert recipe.yaml --dry-run
              ettin finetune colbert recipe.yaml --lr 8e-5 resume_from_checkpoint=true
            """
    )

    @OptionGroup var arguments: FinetuneArguments
    @OptionGroup var place: DeviceOptions
    @OptionGroup var json: JSONOption

    func run() throws { try FineTuningRun(arguments, place, json).run(.colBERT, arguments.values) }
}
