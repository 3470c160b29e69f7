import ArgumentParser
import EttinJSON
import EttinModel

/// The commands `ettin finetune …`.
struct FinetuneGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "finetune",
        abstract: "Fine-tune a model on your own data.",
        discussion: """
            Examples:

              ettin finetune embedding --model jhu-clsp/ettin-encoder-17m \\
                --train pairs.jsonl --output output/first loss=MultipleNegativesRankingLoss
              ettin finetune embedding Recipes/finetune/embedding-snli.yaml --dry-run
              ettin finetune reranker --model jhu-clsp/ettin-encoder-17m \\
                --train labeled.jsonl --output output/reranker
              ettin finetune sparse --model jhu-clsp/ettin-encoder-17m --train pairs.jsonl
              ettin finetune colbert Recipes/finetune/colbert-laptop.yaml --dry-run
              ettin finetune classifier --model jhu-clsp/ettin-encoder-17m --train reviews.jsonl
              ettin finetune tagger --model jhu-clsp/ettin-encoder-17m --train ner.jsonl
            """,
        subcommands: [
            FinetuneEmbedding.self, FinetuneColBERT.self, FinetuneSparse.self, FinetuneReranker.self,
            FinetuneClassifier.self, FinetuneTagger.self,
        ]
    )
}

/// A recipe of fine-tuning with the values that replace its own.
struct FinetuneArguments: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "Recipe file (YAML), and values that replace its own, such as warmup_ratio=0.05.",
            valueName: "recipe or key=value"
        ),
        completion: .file(extensions: ["yaml", "yml"])
    )
    var words: [String] = []

    @Option(
        help: ArgumentHelp(
            "Model to begin with (model_name_or_path): a folder or a name on the Hub.",
            valueName: "model"
        )
    )
    var model: String?

    @Option(help: ArgumentHelp("Data to train on (train_dataset).", valueName: "data"), completion: .file())
    var train: String?

    @Option(help: ArgumentHelp("Data to evaluate on (eval_dataset).", valueName: "data"), completion: .file())
    var eval: String?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Output folder (output_dir).", valueName: "folder"),
        completion: .directory
    )
    var output: String?

    @Option(help: ArgumentHelp("Peak learning rate (learning_rate).", valueName: "rate"))
    var lr: Double?

    @Option(help: ArgumentHelp("Passes over the data (num_train_epochs).", valueName: "number"))
    var epochs: Double?

    @Option(help: ArgumentHelp("Rows per batch (per_device_train_batch_size).", valueName: "count"))
    var batchSize: Int?

    @Flag(help: "Print the plan without training.")
    var dryRun = false

    @Flag(inversion: .prefixedNo, help: "With --dry-run, take a few steps to measure time and memory.")
    var measure = true

    /// The file; nil where values alone make the recipe.
    var recipe: String? { words.first { !$0.contains("=") } }

    /// The values, those of flags last.
    var values: [String] {
        var values = words.filter { $0.contains("=") }
        func add(_ key: String, _ text: String?) {
            if let text { values.append("\(key)=\(JSONValue.string(text).text())") }
        }
        add("model_name_or_path", model)
        add("train_dataset", train)
        add("eval_dataset", eval)
        add("output_dir", output)
        if let lr { values.append("learning_rate=\(lr)") }
        if let epochs { values.append("num_train_epochs=\(epochs)") }
        if let batchSize { values.append("per_device_train_batch_size=\(batchSize)") }
        return values
    }

    func validate() throws {
        let files = words.filter { !$0.contains("=") }
        guard files.count > 1 else { return }
        throw ValidationError("\"\(files[1])\" is neither the recipe nor an override; expected key=value")
    }
}

/// The layout of the folders that a run writes.
struct LayoutOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Layout of the folders: 5, which every version of sentence-transformers reads, or 6 (default: 5; 6 of a "
                + "modular reranker).",
            valueName: "version"
        )
    )
    var layout: String?

    /// The value of the recipe; none without the option.
    var values: [String] { layout.map { ["layout=\($0)"] } ?? [] }

    func validate() throws {
        if let layout, ModuleLayout(rawValue: layout) == nil {
            throw ValidationError("--layout is \"\(layout)\"; expected 5 or 6")
        }
    }
}
