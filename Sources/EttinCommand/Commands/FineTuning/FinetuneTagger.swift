import ArgumentParser

/// The command `ettin finetune tagger`.
struct FinetuneTagger: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tagger",
        abstract: "Fine-tune a classifier of tokens, such as one that finds names.",
        discussion: """
            Recipes are YAML files whose keys are the arguments of transformers' trainer and
            of its run_ner.py: model_name_or_path, max_length, text_column_name,
            label_column_name, label_all_tokens, train_dataset and every training argument
            with its default. docs/finetuning.md describes them; Recipes/finetune/ has some
            to start from. Options and key=value replace values of the recipe, and make one
            where there is no file.

            The model is an encoder, which gets a new classifier, or a tagger that is
            trained further. Rows hold a list of words (tokens) and a label for each
            (ner_tags, tags or labels), or a text and a list of spans in it, such as
            [[0, 5, "PER"]], which get B- and I- labels. Words are joined by blanks, and
            labels are aligned by offsets: the first token of a word counts.

            Evaluations measure precision, recall and F1 of whole spans, as seqeval does.
            The finished model is written to final in the output folder, as transformers'
            AutoModelForTokenClassification loads it; `ettin tag` runs it. Checkpoints lie
            in checkpoint-N folders beside it; resume_from_checkpoint=true resumes from the
            newest to the same bits, and autoresume=true does so where there is one.

            Examples:

              ettin finetune tagger --model jhu-clsp/ettin-encoder-17m --train ner.jsonl \\
                --output output/names
              ettin finetune tagger recipe.yaml --dry-run
              ettin finetune tagger recipe.yaml --lr 5e-5 label_all_tokens=true
            """
    )

    @OptionGroup var arguments: FinetuneArguments
    @OptionGroup var place: DeviceOptions
    @OptionGroup var json: JSONOption

    func run() throws { try FineTuningRun(arguments, place, json).run(.tagger, arguments.values) }
}
