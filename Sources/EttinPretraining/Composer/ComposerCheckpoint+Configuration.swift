import EttinFiles
import EttinJSON
public import EttinModel
import EttinTraining
import Yams

extension ComposerCheckpoint {
    /// The configuration of the model in the checkpoint.
    ///
    /// - Parameters:
    ///   - file: A recipe (`.yaml`), a `config.json` of transformers, or the training code's configuration as JSON; nil
    ///     for what the checkpoint itself holds.
    ///   - target: What the model becomes; nil for the checkpoint's own kind.
    /// - Returns: The configuration.
    /// - Throws: `TrainingError` when there is none or it describes another architecture; `CheckpointError` when the file
    ///   is broken.
    public func configuration(file: String? = nil, as target: ModelKind? = nil) throws -> ModernBERTConfiguration {
        var configuration = try stated(file)
        configuration.tiesWordEmbeddings = isTied
        guard let target, target != configuration.kind else { return configuration }
        return try ModelConversion.converted(configuration, to: target)
    }

    private func stated(_ file: String?) throws -> ModernBERTConfiguration {
        guard let file else {
            guard let modelConfig else {
                throw TrainingError(
                    .missing,
                    path,
                    found: "holds no configuration of the model",
                    expected: "that of its recipe or of transformers, given with it"
                )
            }
            return try flexBERT(modelConfig, place: "\(path): integrations.huggingface.model.config")
        }
        if file.hasSuffix(".yaml") || file.hasSuffix(".yml") {
            return try flexBERT(RecipeModelConfig.read(file), place: "\(file): model.model_config")
        }
        let object = try ModelFolderFiles.json(file)
        guard ModelKind.allCases.contains(where: { object["model_type"] == .string($0.rawValue) }) else {
            return try flexBERT(object, place: file)
        }
        let configuration = try ModernBERTConfiguration(object, file: file)
        return configuration.kind == kind ? configuration : try ModelConversion.converted(configuration, to: kind)
    }

    private func flexBERT(_ object: JSONObject, place: String) throws -> ModernBERTConfiguration {
        try FlexBERTConfiguration(object: object, place: place).modernBERT(kind)
    }
}

/// The part of a recipe that describes the model.
private enum RecipeModelConfig {
    private static let sizeLimit = 1 << 20

    static func read(_ path: String) throws -> JSONObject {
        let bytes = try TrainingError.translating { try MappedFile(path: path).withUnsafeBytes { Array($0) } }
        func refused(_ found: String) -> TrainingError {
            TrainingError(.malformed, path, found: found, expected: "a recipe with \"model.model_config\"")
        }
        // Yams descends by recursion, for which a text of brackets alone would have no end.
        let nesting = bytes.count { $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "{") }
        guard bytes.count <= sizeLimit, nesting <= 1000, let text = String(validating: bytes, as: UTF8.self) else {
            throw refused("is no recipe")
        }
        let node: Node?
        do {
            node = try compose(yaml: text)
        } catch {
            throw refused("is not YAML (\(error))")
        }
        guard case .object(let object)? = node?["model"]?["model_config"].map(json) else {
            throw refused("has no \"model.model_config\"")
        }
        return object
    }

    private static func json(_ node: Node) -> JSONValue {
        switch node {
        case .mapping(let mapping):
            return .object(JSONObject(mapping.map { ($0.key.string ?? "", json($0.value)) }))
        case .sequence(let sequence): return .array(sequence.map(json))
        case .scalar(let scalar):
            guard scalar.style == .plain else { return .string(scalar.string) }
            if node.null != nil { return .null }
            if let number = Int(scalar.string) { return JSONValue(number) }
            // `1e-5` is a number to the training code, and to YAML 1.1 a text.
            if let number = Double(scalar.string) { return JSONValue(number) }
            return node.bool.map { JSONValue($0) } ?? .string(scalar.string)
        case .alias: return .null
        }
    }
}
