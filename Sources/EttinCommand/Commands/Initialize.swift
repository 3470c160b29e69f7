import ArgumentParser
import EttinInference
import EttinJSON
import EttinModel
import EttinTokenizer
import Torch

/// The command `ettin init`.
struct Initialize: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Create a model with random weights.",
        discussion: """
            Writes config.json, model.safetensors, the tokenizer files and, for
            decoders, generation_config.json. Vocabulary size and special token ids
            come from the tokenizer. A partial folder is never left behind.

            An encoder and a decoder with the same shape and seed get the same
            weights.

            Examples:

              ettin init encoder --size 17m --kind encoder --tokenizer tokenizer
              ettin init decoder --size 17m --kind decoder --tokenizer tokenizer
              ettin init tiny --size 17m --kind encoder --tokenizer tokenizer \\
                --layers 2 --hidden-size 32 --intermediate-size 48 --heads 2
            """
    )

    @Argument(help: "Output folder.", completion: .directory)
    var folder: String

    @OptionGroup var shape: ShapeOptions

    @Option(
        help: ArgumentHelp("Tokenizer folder (default: no tokenizer is written).", valueName: "folder"),
        completion: .directory
    )
    var tokenizer: String?

    @Option(help: ArgumentHelp("Random seed.", valueName: "number"))
    var seed: UInt64 = 0

    @Option(name: .customLong("init"), help: "Weight initialization.")
    var scheme: WeightInitialization = .fullMegatron

    @Option(
        help: ArgumentHelp("Data type to store the weights in: float32 or bfloat16.", valueName: "dtype"),
        completion: .list(["float32", "bfloat16"]),
        transform: {
            guard let dtype = DType(rawValue: $0), dtype == .float32 || dtype == .bfloat16 else {
                throw ValidationError("expected float32 or bfloat16")
            }
            return dtype
        }
    )
    var dtype = DType.float32

    @OptionGroup var json: JSONOption

    func run() throws {
        var initializer = try ModelInitializer(configuration: shape.configuration())
        if let tokenizer {
            try initializer.adopt(Tokenizer(folder: tokenizer))
        } else {
            Diagnostics.note("no --tokenizer: writing no tokenizer, with the default vocabulary size")
        }
        initializer.scheme = scheme
        initializer.seed = seed
        initializer.dtype = dtype
        let parameters = try initializer.write(toFolder: folder)
        Diagnostics.note("wrote \(initializer.configuration.kind.name) with \(parameters) parameters to \(folder)")
        if json.isOn {
            try StandardOutput.write(document: ["folder": .string(folder), "parameters": JSONValue(parameters)])
        }
    }
}
