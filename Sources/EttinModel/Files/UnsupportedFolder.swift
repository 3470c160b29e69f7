import EttinFiles
import EttinJSON

/// Folders that cannot be run here, each refused by a sentence that says what it is and what would work.
package enum UnsupportedFolder {
    /// Refuses a folder that is about to be loaded: a model of another library, an adapter alone, weights in another
    /// format.
    ///
    /// - Parameter folder: A model's folder.
    /// - Throws: `CheckpointError` for such a folder; nothing when the folder may be a model.
    package static func check(_ folder: String) throws {
        try checkConfiguration(folder)
        if let error = try withoutWeights(folder) { throw error }
    }

    /// Refuses a folder of whose configuration no key tells what it is, before it is read.
    ///
    /// - Parameter folder: A model's folder.
    /// - Throws: `CheckpointError` for a model of another library, and for an adapter alone or weights in another format
    ///   without a `config.json`, whose absence would say less.
    static func checkConfiguration(_ folder: String) throws {
        if FilePath.exists(FilePath.joined(folder, "gliner_config.json")) {
            throw CheckpointError(
                .unsupported,
                file: folder,
                found: "is a GLiNER model (gliner_config.json is there), which finds entities by name with a BERT "
                    + "encoder and a head of its own",
                expected: "a ModernBERT model, such as a token classifier for `ettin tag`; the Python package gliner "
                    + "runs this one"
            )
        }
        guard !FilePath.exists(FilePath.joined(folder, "config.json")), let error = try withoutWeights(folder) else {
            return
        }
        throw error
    }

    /// What a folder without weights that are read here holds instead.
    ///
    /// - Parameter folder: A model's folder.
    /// - Returns: The refusal of an adapter or of weights in another format; nil when there is neither, or weights.
    /// - Throws: `CheckpointError` when the folder or a file cannot be read.
    package static func withoutWeights(_ folder: String) throws -> CheckpointError? {
        let hasWeights = TensorStore.Form.allCases.contains { FilePath.exists(FilePath.joined(folder, $0.rawValue)) }
        // Modules without a transformer at the top have their weights in folders of their own.
        let liesElsewhere =
            FilePath.exists(FilePath.joined(folder, FeatureModules.file))
            && !FilePath.exists(FilePath.joined(folder, "config.json"))
        guard !hasWeights, !liesElsewhere, FilePath.kind(of: folder) == .folder else { return nil }
        if let adapter = try adapter(folder) { return adapter }
        return try otherFormat(folder)
    }

    /// A PEFT adapter, which is nothing without the model that it changes.
    private static func adapter(_ folder: String) throws -> CheckpointError? {
        let name = "adapter_config.json"
        let path = FilePath.joined(folder, name)
        guard FilePath.exists(path) else { return nil }
        let settings = try JSONFile.object(path: path, name: name, sizeLimit: JSONFile.settingsSizeLimit)
        let base = settings["base_model_name_or_path"]?.stringValue ?? ""
        let type = settings["peft_type"]?.stringValue.map { " of type \(quoted($0, limit: 40))" } ?? ""
        let model = base.isEmpty ? "a model that it does not name" : quoted(base, limit: 120)
        return CheckpointError(
            .unsupported,
            file: folder,
            found: "is an adapter\(type) for \(model), without that model (adapter_config.json is there, and no "
                + "weights)",
            expected: "the two merged, by `ettin merge` or PEFT's `merge_and_unload()`"
        )
    }

    /// Formats of weights that other programs read, and how their files are told.
    private static let formats: [(name: String, matches: @Sendable (String) -> Bool)] = [
        ("ONNX", { $0.hasSuffix(".onnx") }), ("GGUF", { $0.hasSuffix(".gguf") }),
        ("OpenVINO", { $0.hasPrefix("openvino") && $0.hasSuffix(".xml") }),
        ("TensorFlow", { $0 == "tf_model.h5" }), ("Flax", { $0 == "flax_model.msgpack" }),
        ("Core ML", { $0.hasSuffix(".mlpackage") || $0.hasSuffix(".mlmodelc") }),
    ]

    private static func otherFormat(_ folder: String) throws -> CheckpointError? {
        func names(_ path: String) throws -> [String] {
            try CheckpointError.translating { try FilePath.names(inFolder: path) }
        }
        var files = try names(folder)
        for part in ["onnx", "openvino"] where FilePath.kind(of: FilePath.joined(folder, part)) == .folder {
            files += try names(FilePath.joined(folder, part)).map { FilePath.joined(part, $0) }
        }
        for format in formats {
            guard let file = files.first(where: { format.matches(FilePath.lastComponent(of: $0)) }) else { continue }
            return CheckpointError(
                .unsupported,
                file: folder,
                found: "has its weights as \(format.name) only (\(quoted(file, limit: 80)))",
                expected: "model.safetensors or pytorch_model.bin, which the model that was converted has"
            )
        }
        return nil
    }

    /// The refusal of a configuration of another architecture.
    ///
    /// - Parameters:
    ///   - object: The content of `config.json`.
    ///   - file: The file's name for messages.
    /// - Returns: A sentence that names the architecture.
    static func otherArchitecture(_ object: JSONObject, file: String) -> CheckpointError {
        let own = ModelKind.allCases.map { quoted($0.rawValue) }.joined(separator: " or ")
        guard let type = object["model_type"]?.stringValue else {
            let found = object["model_type"].map { "is \(ConfigurationFields.shown($0))" } ?? "is missing"
            let kind: CheckpointError.Kind = object["model_type"] == nil ? .malformed : .unsupported
            return CheckpointError(kind, file: file, item: "\"model_type\"", found: found, expected: own)
        }
        let seesImages =
            object["vision_config"] != nil || ["vbert", "vision", "clip", "vl"].contains { type.hasSuffix($0) }
        var found = "is \(quoted(type, limit: 60)), " + (seesImages ? "a model of images" : "another architecture")
        if object["auto_map"].map({ !$0.isNull }) == true { found += " whose Python code (\"auto_map\") is not run" }
        return CheckpointError(
            .unsupported,
            file: file,
            item: "\"model_type\"",
            found: found,
            expected: own + "; Python's transformers runs others"
        )
    }

    /// The ends of names that quantization gives to tensors, and what it is called.
    private static let quantizations: [(ending: String, name: String)] = [
        (".qweight", "GPTQ or AWQ"), (".qzeros", "GPTQ or AWQ"), (".absmax", "bitsandbytes"), (".SCB", "bitsandbytes"),
        (".weight_packed", "compressed-tensors"), (".weight_scale", "compressed-tensors or FP8"),
        (".weight_scale_inv", "FP8"),
    ]

    /// Refuses quantized weights that no configuration tells of.
    ///
    /// - Parameter store: The weights.
    /// - Throws: `CheckpointError` that names the first such tensor.
    static func requireUnquantized(_ store: TensorStore) throws {
        for name in store.names {
            guard let quantization = quantizations.first(where: { name.hasSuffix($0.ending) }) else { continue }
            throw CheckpointError(
                .unsupported,
                file: store.form?.rawValue ?? store.files.first ?? "weights",
                item: name,
                found: "belongs to weights quantized by \(quantization.name)",
                expected: "the original weights; --dtype int8 quantizes them here"
            )
        }
    }
}
