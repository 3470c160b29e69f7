import EttinFiles
import EttinJSON

/// The modules of a sentence-transformers folder after its transformer.
struct EmbeddingModules {
    /// The folder of the transformer, below the model's; empty for the model's own.
    var transformerPath = ""
    /// Vectors that are put end to end.
    var poolings: [Pooling] = []
    /// Whether the tokens of a prompt take part in pooling.
    var includesPrompt = true
    var steps: [EmbeddingStep] = []

    /// What a checkpoint without `modules.json` gets: the mean, or the last token for a causal language model.
    ///
    /// > Source: sentence-transformers 6.2, `SentenceTransformer._load_auto_model`.
    init(plain configuration: ModernBERTConfiguration) {
        let isCausal =
            configuration.architectures.first?.hasSuffix("ForCausalLM") == true
            && configuration.otherKeys["is_causal"]?.boolValue != false
        poolings = [isCausal ? .lastToken : .mean]
    }

    /// Reads `modules.json` and what it names.
    ///
    /// A module is known by the last part of its Python class path, so that every generation's paths are understood.
    ///
    /// - Parameter folder: A folder with `modules.json`.
    /// - Throws: `CheckpointError` for a file that is broken and for a module that is not known.
    init(folder: String) throws {
        let file = "modules.json"
        let path = FilePath.joined(folder, file)
        let list = try JSONFile.value(path: path, name: file, sizeLimit: JSONFile.settingsSizeLimit)
        guard let modules = list.arrayValue, !modules.isEmpty else {
            throw CheckpointError(.malformed, file: file, found: "is not a list of modules")
        }
        for (index, module) in modules.enumerated() {
            let item = "module \(index)"
            guard let type = module["type"]?.stringValue, let name = module["path"]?.stringValue else {
                throw CheckpointError(.malformed, file: file, item: item, found: "lacks \"type\" or \"path\"")
            }
            guard name.isEmpty || FilePath.isPlainName(name) else {
                throw CheckpointError(
                    .malformed,
                    file: file,
                    item: item,
                    found: "has the path \(quoted(name))",
                    expected: "a folder of the model"
                )
            }
            let kind = type.split(separator: ".").last.map(String.init) ?? ""
            guard (kind == "Transformer") == (index == 0), kind == "Transformer" || (kind == "Pooling") == (index == 1)
            else {
                throw CheckpointError(
                    .unsupported,
                    file: file,
                    item: item,
                    found: "is \(quoted(type))",
                    expected: "Transformer, then Pooling, then any of Dense and Normalize"
                )
            }
            switch kind {
            case "Transformer": transformerPath = name
            case "Pooling": try readPooling(folder: folder, name: name)
            case "Dense": steps.append(.dense(try DenseLayer(folder: folder, name: name)))
            case "Normalize": steps.append(.normalize)
            default:
                throw CheckpointError(
                    .unsupported,
                    file: file,
                    item: item,
                    found: "is \(quoted(type))",
                    expected: "Dense or Normalize"
                )
            }
        }
        guard !poolings.isEmpty else {
            throw CheckpointError(.unsupported, file: file, found: "has no Pooling", expected: "one after Transformer")
        }
    }

    /// The flags of versions up to 5, in the order in which their vectors are put together.
    private static let flags: [(key: String, pooling: Pooling)] = [
        ("pooling_mode_cls_token", .cls), ("pooling_mode_max_tokens", .max), ("pooling_mode_mean_tokens", .mean),
        ("pooling_mode_mean_sqrt_len_tokens", .meanSqrtLen), ("pooling_mode_weightedmean_tokens", .weightedMean),
        ("pooling_mode_lasttoken", .lastToken),
    ]

    private mutating func readPooling(folder: String, name: String) throws {
        let file = FilePath.joined(name, "config.json")
        let path = FilePath.joined(folder, file)
        guard FilePath.exists(path) else {
            poolings = [.mean]
            return
        }
        let object = try JSONFile.object(path: path, name: file, sizeLimit: JSONFile.settingsSizeLimit)
        var fields = ConfigurationFields(object, file: file)
        fields.read("include_prompt", into: &includesPrompt)
        if let mode = fields.value("pooling_mode") {
            let names = mode.arrayValue ?? [mode]
            poolings = names.compactMap { $0.stringValue.flatMap(Pooling.init(rawValue:)) }
            if poolings.count != names.count || names.isEmpty {
                fields.refuse(
                    "pooling_mode",
                    "is \(mode.text())",
                    expected: Pooling.allCases.map(\.rawValue).joined(separator: ", "),
                    kind: .unsupported
                )
            }
        } else {
            for (key, pooling) in Self.flags {
                var isOn = false
                fields.read(key, into: &isOn)
                if isOn { poolings.append(pooling) }
            }
            if poolings.isEmpty { poolings = [.mean] }
        }
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
    }
}
