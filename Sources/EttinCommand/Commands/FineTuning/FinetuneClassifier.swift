import ArgumentParser

/// The command `ettin finetune classifier`.
struct FinetuneClassifier: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "classifier",
        abstract: "Fine-tune a classifier of texts or pairs of texts.",
        discussion: """
            Recipes are YAML files whose keys are the arguments of transformers' trainer and
            of its run_glue.py and run_classification.py: model_name_or_path, num_labels,
            problem_type, max_length, text_column_names, label_column_name, train_dataset,
            metrics and every training argument with its default. docs/finetuning.md
            describes them; Recipes/finetune/ has some to start from. Options and key=value
            replace values of the recipe, and make one where there is no file.

            The model is an encoder or a decoder, which gets a new classifier, or a
            classifier that is trained further. Encoders pool by classifier_pooling;
            decoders are read at their last token, and read pairs as pair_template says,
            [CLS] A [SEP] B [SEP] by default.

            One or two columns hold texts, and one labels: names or numbers of classes, a
            list of names or of a 0 or 1 for each (several labels), or numbers
            (regression). labels: names them in order; without it they are sorted.

            The finished model is written to final in the output folder, as transformers'
            AutoModelForSequenceClassification loads it; `ettin classify` runs it.
            Checkpoints lie in checkpoint-N folders beside it; resume_from_checkpoint=true
            resumes from the newest to the same bits, and autoresume=true does so where
            there is one. SIGINT and SIGTERM save a checkpoint after the current step and
            exit with 130.

            Examples:

              ettin finetune classifier --model jhu-clsp/ettin-encoder-17m \\
                --train reviews.jsonl --output output/reviews
              ettin finetune classifier recipe.yaml --dry-run
              ettin finetune classifier --model jhu-clsp/ettin-decoder-17m --train rte.tsv \\
                --eval dev.tsv eval_strategy=epoch optim=decoupled_adamw weight_decay=1e-5
              ettin finetune classifier --model output/mnli/final --train rte.tsv \\
                ignore_mismatched_sizes=true
            """
    )

    @OptionGroup var arguments: FinetuneArguments
    @OptionGroup var place: DeviceOptions
    @OptionGroup var json: JSONOption

    func run() throws { try FineTuningRun(arguments, place, json).run(.classifier, arguments.values) }
}
