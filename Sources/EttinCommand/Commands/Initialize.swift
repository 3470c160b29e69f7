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
        abstract: "Make a model with random weights.",
        discussion: """
            Writes config.json, model.safetensors, the tokenizer's files and, for
            decoders, generation_config.json. Vocabulary size and special ids are the
            tokenizer's. The folder appears complete or not at all.

            An encoder and a decoder of one shape and seed start from the same
            weights.

            Examples:

              ettin init encoder --size 17m --kind encoder --tokenizer tokenizer
              ettin init decoder --size 17m --kind decoder --tokenizer tokenizer
              ettin init tiny --size 17m --kind encoder --tokenizer tokenizer \\
                --layers 2 --hidden-size 32 --intermediate-size 48 --heads 2
            """
    )

    @Argument(help: "The folder to make.", completion: .directory)
    var folder: String

    @OptionGroup var shape: ShapeOptions

    @Option(
        help: ArgumentHelp("The folder of the tokenizer; without one, none is written.", valueName: "folder"),
        completion: .directory
    )
    var tokenizer: String?

    @Option(help: ArgumentHelp("The seed of the weights.", valueName: "number"))
    var seed: UInt64 = 0

    @Option(name: .customLong("init"), help: "How weights are drawn.")
    var scheme: WeightInitialization = .fullMegatron

    @Option(
        help: ArgumentHelp("The type of the stored weights, float32 or bfloat16.", valueName: "dtype"),
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
            Diagnostics.note("no --tokenizer: the folder gets none and the vocabulary stays that of the size")
        }
        initializer.scheme = scheme
        initializer.seed = seed
        initializer.dtype = dtype
        let parameters = try initializer.write(toFolder: folder)
        Diagnostics.note("wrote \(initializer.configuration.kind.name) of \(parameters) parameters to \(folder)")
        if json.isOn {
            try StandardOutput.write(document: ["folder": .string(folder), "parameters": JSONValue(parameters)])
        }
    }
}
