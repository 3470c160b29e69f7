import ArgumentParser
import EttinModel

/// The command `ettin finetune reranker`.
struct FinetuneReranker: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reranker",
        abstract: "Fine-tune a reranker, which scores pairs of texts.",
        discussion: """
            Recipes are YAML files whose keys are the arguments of sentence-transformers'
            CrossEncoder: model_name_or_path, num_labels, max_length, activation_fn,
            train_dataset, loss, evaluator and every training argument with its default.
            docs/finetuning.md describes them; Recipes/finetune/ has some to start from.
            Options and key=value replace values of the recipe, and make one where there
            is no file.

            The model is an encoder, which gets a new head, or a reranker that is trained
            further. The head is that of a classification checkpoint, which every version
            of sentence-transformers and transformers reads, or modular, as Ettin's
            rerankers have it and version 6 reads.

            Columns are taken by position: query, document; a column named label, labels,
            score or scores holds labels. `ettin mine-negatives --output-format
            labeled-pair` makes such data of queries with answers. Losses over lists take
            a list of documents and a list of labels in each row.

            The finished model is written to final in the output folder. Checkpoints lie
            in checkpoint-N folders beside it; resume_from_checkpoint=true resumes from
            the newest to the same bits, and autoresume=true does so where there is one.
            SIGINT and SIGTERM save a checkpoint after the current step and exit with 130.

            Examples:

              ettin finetune reranker --model jhu-clsp/ettin-encoder-17m \\
                --train labeled.jsonl --output output/reranker
              ettin finetune reranker recipe.yaml --dry-run
              ettin finetune reranker recipe.yaml --lr 2e-5 --epochs 1 \\
                "loss={type: BinaryCrossEntropyLoss, pos_weight: 5}"
              ettin finetune reranker --model jhu-clsp/ettin-encoder-17m --head modular \\
                --train scored.jsonl --output output/student loss=MSELoss
            """
    )

    @OptionGroup var arguments: FinetuneArguments

    @Option(
        help: ArgumentHelp(
            "Head of the model: classification or modular (default: what the model has, else classification).",
            valueName: "kind"
        )
    )
    var head: String?

    @OptionGroup var layout: LayoutOption
    @OptionGroup var place: DeviceOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if let head, RerankerModel.Head(rawValue: head) == nil {
            throw ValidationError("--head is \"\(head)\"; expected classification or modular")
        }
    }

    func run() throws {
        let heads = head.map { ["head=\($0)"] } ?? []
        try FineTuningRun(arguments, place, json).run(.reranker, arguments.values + layout.values + heads)
    }
}
