import ArgumentParser
import EttinJSON
import EttinModel
import EttinTokenizer

/// The command `ettin info`.
struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Describe a model's folder, or a size of the suite.",
        discussion: """
            Examples:

              ettin info encoder
              ettin info encoder --json
              ettin info 150m --kind decoder
            """
    )

    @Argument(
        help: "A model: its folder, owner/name on the Hub, a name of the suite; or a size such as 17m.",
        completion: .directory
    )
    var model: String

    @Option(help: ArgumentHelp("A branch, tag (such as step599525) or commit on the Hub.", valueName: "name"))
    var revision: String?

    @Option(help: "With a size: encoder or decoder.")
    var kind: ModelKind?

    @OptionGroup var json: JSONOption

    func run() throws {
        let (summary, tokenizer) = try load()
        (summary.notices + (tokenizer?.notices ?? [])).forEach(Diagnostics.note)
        try json.isOn
            ? StandardOutput.write(document: document(summary, tokenizer))
            : printLines(summary, tokenizer)
    }

    private func load() throws -> (CheckpointSummary, Tokenizer?) {
        if !CheckpointFolder.isFolder(model), let size = EttinSize(named: model) {
            return (CheckpointSummary(size: size, kind: kind ?? .encoder), nil)
        }
        if let kind { throw ValidationError("--kind \(kind.name) is for a size of the suite, and \(model) is none") }
        let folder = try HubAccess.folder(model, revision: revision)
        let summary = try CheckpointSummary(folder: folder)
        let hasTokenizer = summary.files.contains { $0.name == "tokenizer.json" }
        return (summary, hasTokenizer ? try Tokenizer(folder: folder) : nil)
    }

    // MARK: - For people

    private func printLines(_ summary: CheckpointSummary, _ tokenizer: Tokenizer?) throws {
        let configuration = summary.configuration
        let layers = configuration.layerTypes.enumerated()
        try StandardOutput.write { output in
            try output.line("kind         \(configuration.kind.name) (\(configuration.kind.rawValue))")
            try output.line("task         \(summary.kind?.rawValue ?? "not stated")")
            try output.line("size         \(summary.size?.rawValue ?? "not one of the suite's")")
            try output.line(
                "parameters   \(summary.parameterCount): \(summary.embeddingParameterCount) in the embedding, "
                    + "\(summary.nonEmbeddingParameterCount) others"
            )
            for type in LayerType.allCases {
                let numbers = layers.filter { $0.element == type }.map(\.offset)
                guard let first = numbers.first else { continue }
                let list = numbers.map(String.init).joined(separator: " ")
                try output.line(
                    "layers       \(numbers.count) \(type.rawValue) (\(list)), \(window(configuration, first))"
                )
            }
            try output.line("hidden size  \(configuration.hiddenSize), MLP \(configuration.intermediateSize)")
            try output.line("heads        \(configuration.attentionHeads) of width \(configuration.headDimensions)")
            try output.line("context      \(configuration.maxPositionEmbeddings) tokens")
            try output.line("vocabulary   \(configuration.vocabularySize) rows")
            if let tokenizer {
                let special = tokenizer.addedTokens.filter(\.token.isSpecial).map(\.token.content)
                let shown = special.prefix(8).joined(separator: " ") + (special.count > 8 ? " …" : "")
                try output.line("tokenizer    \(tokenizer.vocabularySize) tokens, special: \(shown)")
            }
            let names = summary.dtypes.map(\.rawValue).joined(separator: ", ")
            try output.line("weights      \(summary.hasWeights ? names : "none")")
            for file in summary.files { try output.line("file         \(file.name) (\(file.byteCount) bytes)") }
        }
    }

    private func window(_ configuration: ModernBERTConfiguration, _ layer: Int) -> String {
        let window = configuration.window(layer: layer)
        let left = window.left.map { "\($0)" } ?? "all"
        let right = window.right.map { "\($0)" } ?? "all"
        return "sees \(left) tokens before and \(right) after, rope theta \(configuration.ropeTheta(layer: layer))"
    }

    // MARK: - For programs

    private func document(_ summary: CheckpointSummary, _ tokenizer: Tokenizer?) -> JSONValue {
        let configuration = summary.configuration
        let layers = configuration.layerTypes.enumerated().map { layer, type -> JSONValue in
            let window = configuration.window(layer: layer)
            return [
                "type": .string(type.rawValue),
                "left": window.left.map { JSONValue($0) } ?? .null,
                "right": window.right.map { JSONValue($0) } ?? .null,
                "rope_theta": JSONValue(configuration.ropeTheta(layer: layer)),
            ]
        }
        return [
            "kind": .string(configuration.kind.name),
            "model_type": .string(configuration.kind.rawValue),
            "task": summary.kind.map { .string($0.rawValue) } ?? .null,
            "architectures": .array(configuration.architectures.map(JSONValue.string)),
            "size": summary.size.map { .string($0.rawValue) } ?? .null,
            "parameters": JSONValue(summary.parameterCount),
            "embedding_parameters": JSONValue(summary.embeddingParameterCount),
            "non_embedding_parameters": JSONValue(summary.nonEmbeddingParameterCount),
            "hidden_size": JSONValue(configuration.hiddenSize),
            "intermediate_size": JSONValue(configuration.intermediateSize),
            "num_attention_heads": JSONValue(configuration.attentionHeads),
            "max_position_embeddings": JSONValue(configuration.maxPositionEmbeddings),
            "vocab_size": JSONValue(configuration.vocabularySize),
            "layers": .array(layers),
            "dtypes": .array(summary.dtypes.map { .string($0.rawValue) }),
            "files": .array(
                summary.files.map { ["name": .string($0.name), "bytes": JSONValue($0.byteCount)] }
            ),
            "tokenizer": tokenizer.map(document(of:)) ?? .null,
        ]
    }

    private func document(of tokenizer: Tokenizer) -> JSONValue {
        let special = tokenizer.addedTokens.filter(\.token.isSpecial)
        return [
            "vocabulary_size": JSONValue(tokenizer.vocabularySize),
            "model_max_length": tokenizer.modelMaxLength.map { JSONValue($0) } ?? .null,
            "special_tokens": .object(JSONObject(special.map { ($0.token.content, JSONValue(Int($0.id))) })),
        ]
    }
}
