import ArgumentParser
import EttinModel

/// The shape of a new model: a size of the suite or a configuration file, and what differs from it.
struct ShapeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Suite size to start from.", valueName: "size"))
    var size: EttinSize?

    @Option(
        name: [.customShort("c"), .long],
        help: ArgumentHelp("config.json to start from instead of a size.", valueName: "file"),
        completion: .file()
    )
    var config: String?

    @Option(help: "Encoder or decoder (default with --config: as in the file).")
    var kind: ModelKind?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Number of layers; every third one has global attention.", valueName: "count")
    )
    var layers: Int?

    @Option(parsing: .unconditional, help: ArgumentHelp("Hidden size.", valueName: "width"))
    var hiddenSize: Int?

    @Option(parsing: .unconditional, help: ArgumentHelp("Intermediate size of the MLP.", valueName: "width"))
    var intermediateSize: Int?

    @Option(parsing: .unconditional, help: ArgumentHelp("Number of attention heads.", valueName: "count"))
    var heads: Int?

    @Option(parsing: .unconditional, help: ArgumentHelp("Maximum sequence length in tokens.", valueName: "count"))
    var maxPositionEmbeddings: Int?

    func validate() throws {
        guard (size == nil) != (config == nil) else {
            throw ValidationError("expected either --size or --config")
        }
        if size != nil, kind == nil { throw ValidationError("--size needs --kind encoder or --kind decoder") }
        if config != nil, let kind {
            throw ValidationError("--kind \(kind.name) applies to --size; with --config, the file sets the kind")
        }
        let counts = [
            ("layers", layers), ("hidden-size", hiddenSize), ("intermediate-size", intermediateSize), ("heads", heads),
            ("max-position-embeddings", maxPositionEmbeddings),
        ]
        for case (let name, let value?) in counts where value < 1 {
            throw ValidationError("--\(name) is \(value); expected 1 or more")
        }
    }

    /// The configuration; whether it makes a model is checked when weights are made.
    ///
    /// - Throws: `CheckpointError` when the file is broken.
    func configuration() throws -> ModernBERTConfiguration {
        var configuration: ModernBERTConfiguration
        if let config {
            configuration = try ModernBERTConfiguration(path: config)
        } else {
            configuration = .ettin(size: size ?? .size17M, kind: kind ?? .encoder)
        }
        configuration.hiddenSize = hiddenSize ?? configuration.hiddenSize
        configuration.intermediateSize = intermediateSize ?? configuration.intermediateSize
        configuration.attentionHeads = heads ?? configuration.attentionHeads
        configuration.maxPositionEmbeddings = maxPositionEmbeddings ?? configuration.maxPositionEmbeddings
        if let layers { configuration.layerTypes = LayerType.pattern(layers: layers, globalEvery: 3) }
        return configuration
    }
}
