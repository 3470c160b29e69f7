import EttinJSON
public import EttinModel
import EttinRecipes
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
        var configuration = try TrainingError.translatingRecipe { try stated(file) }
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
                    found: "has no model configuration",
                    expected: "a recipe or config.json given with --config"
                )
            }
            return try FlexBERTConfiguration(
                YAMLNode(.object(modelConfig)),
                file: path,
                path: "integrations.huggingface.model.config"
            ).modernBERT(kind)
        }
        if file.hasSuffix(".yaml") || file.hasSuffix(".yml") {
            return try FlexBERTConfiguration(RecipeTree.modelConfig(file), file: file, path: "model.model_config")
                .modernBERT(kind)
        }
        let object = try ModelFolderFiles.json(file)
        guard ModelKind.allCases.contains(where: { object["model_type"] == .string($0.rawValue) }) else {
            return try FlexBERTConfiguration(YAMLNode(.object(object)), file: file, path: "").modernBERT(kind)
        }
        let configuration = try ModernBERTConfiguration(object, file: file)
        return configuration.kind == kind ? configuration : try ModelConversion.converted(configuration, to: kind)
    }
}

extension RecipeTree {
    /// The part of a recipe that describes the model.
    fileprivate static func modelConfig(_ path: String) throws -> YAMLNode {
        var tree = try RecipeTree(path: path)
        try tree.interpolate()
        guard let node = tree.root["model"]?["model_config"], case .mapping = node.content else {
            throw TrainingError(
                .malformed,
                path,
                found: "has no \"model.model_config\"",
                expected: "a recipe with \"model.model_config\""
            )
        }
        return node
    }
}
