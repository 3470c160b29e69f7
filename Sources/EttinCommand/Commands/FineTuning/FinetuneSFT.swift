import ArgumentParser
import EttinFineTuning
import EttinJSON

/// The command `ettin finetune sft`.
struct FinetuneSFT: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sft",
        abstract: "Fine-tune a decoder on texts, conversations, or prompts with completions.",
        discussion: """
            Recipes are YAML files whose keys are the arguments of TRL's SFTConfig and
            ModelConfig: model_name_or_path, train_dataset or dataset_name, max_length,
            packing, assistant_only_loss, use_peft and every training argument with its
            default. docs/finetuning.md describes them; Recipes/finetune/ has some to
            start from. Every key is an option too, spelled as TRL does or with hyphens,
            so that the command line of a model card works as it is; options and key=value
            replace values of the recipe, and make one where there is no file.

            Data have a column text, messages, conversations, prompt and completion, or
            input_ids. Conversations are written by the tokenizer's chat template; a
            tokenizer without one gets that of Qwen3 with its tokens.

            The finished model is written to final in the output folder, with tokenizer and
            chat template. Checkpoints lie in checkpoint-N folders beside it;
            resume_from_checkpoint=true resumes from the newest to the same bits, and
            autoresume=true does so where there is one. SIGINT and SIGTERM save a
            checkpoint after the current step and exit with 130.

            Examples:

              ettin finetune sft --model_name_or_path jhu-clsp/ettin-decoder-17m \\
                --dataset_name trl-lib/Capybara --packing --output_dir output/chat
              ettin finetune sft recipe.yaml --dry-run
              ettin finetune sft recipe.yaml --learning-rate 2e-4 --use-peft --lora-r 32
            """
    )

    @Argument(
        parsing: .allUnrecognized,
        help: ArgumentHelp(
            "Recipe file (YAML), values that replace its own, such as packing=true, and options named as keys.",
            valueName: "recipe, key=value or --key value"
        ),
        completion: .file(extensions: ["yaml", "yml"])
    )
    var words: [String] = []

    @Option(help: "Recipe file (YAML), as TRL takes it.", completion: .file(extensions: ["yaml", "yml"]))
    var config: String?

    @Flag(help: "Print the plan without training.")
    var dryRun = false

    @Flag(inversion: .prefixedNo, help: "With --dry-run, take a few steps to measure time and memory.")
    var measure = true

    @OptionGroup var place: DeviceOptions
    @OptionGroup var json: JSONOption

    func validate() throws { _ = try arguments }

    func run() throws {
        let arguments = try arguments
        let recipe = arguments.recipe ?? config
        try FineTuningRun(recipe: recipe, isDry: dryRun, measures: measure, place, json).run(.sft, arguments.values)
    }

    private var arguments: RecipeArguments {
        get throws {
            let arguments = try RecipeArguments(words, keys: SFTRecipe.keys)
            if let other = arguments.recipe, let config {
                throw ValidationError("both \"\(other)\" and --config \"\(config)\" are given; expected one recipe")
            }
            return arguments
        }
    }
}

/// Words of a command line whose options are the keys of a recipe.
struct RecipeArguments {
    /// The recipe file; nil where values alone make the recipe.
    private(set) var recipe: String?
    /// The values, each `key=value` with YAML for the value.
    private(set) var values: [String] = []

    /// Options of other commands under their names in recipes.
    private static let shortNames = [
        "model": "model_name_or_path", "train": "train_dataset", "eval": "eval_dataset", "output": "output_dir",
        "lr": "learning_rate", "epochs": "num_train_epochs", "batch_size": "per_device_train_batch_size",
    ]
    /// Keys that may be followed by several words, as `nargs="+"` of Python has it.
    private static let lists: Set<String> = [
        "lora_target_modules", "lora_modules_to_save", "report_to", "columns", "exclude_modules", "language",
        "layers_to_transform",
    ]

    /// Takes words apart.
    ///
    /// - Parameters:
    ///   - words: The words, in order.
    ///   - keys: The keys of the recipe.
    /// - Throws: `ValidationError` for an option that is no key, and a second recipe.
    init(_ words: [String], keys: [String]) throws {
        let known = Set(keys)
        var place = 0
        while place < words.count {
            let word = words[place]
            place += 1
            guard word.hasPrefix("-"), word != "-" else {
                try take(word)
                continue
            }
            let parts = word.drop { $0 == "-" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            var key = parts.first.map { String($0.map { $0 == "-" ? "_" : $0 }) } ?? ""
            key = word.hasPrefix("--") ? Self.shortNames[key] ?? key : key == "o" ? "output_dir" : ""
            var flag: String?
            if !known.contains(key), key.hasPrefix("no_"), known.contains(String(key.dropFirst(3))) {
                (key, flag) = (String(key.dropFirst(3)), "false")
            }
            guard known.contains(key) else { throw ValidationError("Unknown option '\(parts.first ?? "")'") }
            if let flag {
                values.append("\(key)=\(flag)")
            } else if parts.count == 2 {
                values.append("\(key)=\(Self.yaml(String(parts[1])))")
            } else {
                let following = words[place...].prefix {
                    !$0.hasPrefix("--") && ($0 == "-" || !Self.isAssignment($0, known))
                }
                let taken = following.prefix(Self.lists.contains(key) ? following.count : 1)
                let isFlag = taken.first.map { ["yaml", "yml"].contains($0.split(separator: ".").last ?? "") } ?? true
                guard !isFlag else {
                    values.append("\(key)=true")
                    continue
                }
                place += taken.count
                let texts = taken.map(Self.yaml)
                values.append("\(key)=" + (texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"))
            }
        }
    }

    private mutating func take(_ word: String) throws {
        if word.contains("=") {
            values.append(word)
        } else if let recipe {
            throw ValidationError("\"\(recipe)\" and \"\(word)\" are given; expected one recipe, options and key=value")
        } else {
            recipe = word
        }
    }

    private static func isAssignment(_ word: String, _ keys: Set<String>) -> Bool {
        word.firstIndex(of: "=").map { keys.contains(String(word[..<$0])) } ?? false
    }

    /// A word as YAML: numbers, Booleans, lists and mappings as they are, everything else as a text.
    private static func yaml(_ word: String) -> String {
        let isPlain =
            Double(word) != nil || ["true", "false"].contains(word.lowercased()) || word.hasPrefix("[")
            || word.hasPrefix("{")
        return isPlain ? word : JSONValue.string(word).text()
    }
}
