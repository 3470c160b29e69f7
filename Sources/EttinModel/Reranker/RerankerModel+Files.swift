import EttinFiles
import EttinJSON
import Torch

extension RerankerModel {
    /// Writes a folder that sentence-transformers loads.
    ///
    /// The tokenizer is not part of the model; its files belong beside those written here.
    ///
    /// - Parameters:
    ///   - folder: An existing folder.
    ///   - layout: The layout of the folder; nil for that of versions up to 5, which all versions read, where the head has
    ///     one. That has no place for prompts.
    /// - Throws: `CheckpointError` for a modular head or prompts in the layout of versions up to 5, when a file cannot be
    ///   written, and for a model that is prepacked for inference; `TorchError` when reading a device fails.
    package func save(folder: String, layout: ModuleLayout? = nil) throws {
        let layout = layout ?? (head == .modular ? .version6 : .version5)
        try check(layout)
        try requireOwnWeights(of: transformer.trunk, toSave: folder)
        guard let path = activation.classPath else {
            throw CheckpointError(
                .unsupported,
                file: folder,
                item: "the activation function",
                found: "is \(activation.rawValue)",
                expected: Activation.knownClasses
            )
        }
        switch (layout, transformer.model) {
        case (.version5, .classifier(let model)):
            try model.save(folder: folder) { RerankerSettings.write(activation: path, to: &$0.otherKeys) }
        case (.version5, _), (.version6, _):
            try FeatureModules.write(
                chain.modules,
                toFolder: folder,
                shardSize: .default,
                format: .version5,
                layout: .version6,
                activation: path
            )
            try settings.writeReranker(activation: path, toFolder: folder)
        }
    }

    /// Refuses a layout that has no place for something of the model.
    ///
    /// - Parameter layout: The layout of folders.
    /// - Throws: `CheckpointError` that says what has no place.
    package func check(_ layout: ModuleLayout) throws {
        guard layout == .version5 else { return }
        if head == .modular {
            throw CheckpointError(
                .unsupported,
                file: "layout",
                found: "is 5, whose versions of sentence-transformers have no modular rerankers",
                expected: "6, or head: classification"
            )
        }
        guard settings.prompts.isEmpty else {
            let names = listing(settings.prompts.keys.sorted())
            throw CheckpointError(
                .unsupported,
                file: "layout",
                found: "is 5, whose rerankers have no prompts, but the model has \(names)",
                expected: "6"
            )
        }
    }
}

extension EmbeddingSettings {
    /// Writes `config_sentence_transformers.json` of a reranker.
    ///
    /// > Source: sentence-transformers 6.2, `CrossEncoder._get_model_config`.
    fileprivate func writeReranker(activation: String, toFolder folder: String) throws {
        let model: JSONObject = [
            "__version__": [
                "sentence_transformers": "6.2.0", "transformers": "5.23.0", "pytorch": .string(TorchRuntime.version),
            ],
            "activation_fn": .string(activation),
            "default_prompt_name": defaultPromptName.map(JSONValue.string) ?? .null,
            "model_type": "CrossEncoder",
            "prompts": .object(JSONObject(prompts.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
        ]
        try JSONFile.write(.object(model), toFolder: folder, name: Self.file)
    }
}
