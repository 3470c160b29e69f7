import EttinJSON
public import EttinModel
import EttinTraining

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
            return try flexBERT(RecipeTree.modelConfig(file), place: "\(file): model.model_config")
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

extension RecipeTree {
    /// The part of a recipe that describes the model.
    fileprivate static func modelConfig(_ path: String) throws -> JSONObject {
        var tree = try RecipeTree(path: path)
        try tree.interpolate()
        guard let object = tree.root.json["model"]?["model_config"]?.objectValue else {
            throw TrainingError(
                .malformed,
                path,
                found: "has no \"model.model_config\"",
                expected: "a recipe with \"model.model_config\""
            )
        }
        return object
    }
}
