import EttinFiles
import EttinJSON
import Torch

extension MultiVectorModel {
    /// Writes a folder that PyLate loads, and sentence-transformers from version 6.
    ///
    /// The tokenizer is not part of the model; its files belong beside those written here.
    ///
    /// - Parameters:
    ///   - folder: An existing folder.
    ///   - shardSize: The largest file of weights, as transformers' `max_shard_size`.
    ///   - format: The generation of transformers whose `config.json` is written; both are read by the newest.
    /// - Throws: `CheckpointError` when a file cannot be written, the model has what PyLate has no place for, an adapter is
    ///   attached that is not merged, or the model is prepacked for inference; `TorchError` when reading a device fails.
    package func savePyLate(
        folder: String,
        shardSize: ShardSize = .default,
        format: ModernBERTConfiguration.Format = .version4
    ) throws {
        guard settings.layout == .pylate else {
            throw CheckpointError(
                .unsupported,
                file: folder,
                found: "would lack what \(settings.layout) says about queries and documents",
                expected: "settings as PyLate has them"
            )
        }
        try requireOwnWeights(of: transformer.trunk, toSave: folder)
        var entries: [JSONValue] = []
        func files(_ name: String, type: String) throws -> FeatureModuleFolder {
            let files = FeatureModuleFolder(
                model: folder,
                name: name,
                shardSize: shardSize,
                format: format,
                layout: .version5
            )
            try CheckpointError.translating { try FilePath.makeFolder(files.path) }
            entries.append([
                "idx": JSONValue(entries.count), "name": .string("\(entries.count)"), "path": .string(name),
                "type": .string(type),
            ])
            return files
        }
        try transformer.write(files("", type: TransformerModule.classPath))
        // What is skipped and the length of vectors are PyLate's own business, not modules.
        for module in chain.modules.compactMap({ $0 as? DenseModule }) {
            try module.writeForPyLate(files("\(entries.count)_Dense", type: "pylate.models.Dense.Dense"))
        }
        try JSONFile.write(.array(entries), toFolder: folder, name: FeatureModules.file)
        try settings.writePyLate(toFolder: folder, format: format)
    }
}

extension MultiVectorSettings {
    /// Writes `config_sentence_transformers.json` as PyLate does.
    ///
    /// - Parameters:
    ///   - folder: An existing folder.
    ///   - format: The generation of transformers that the file names.
    /// - Throws: `CheckpointError` when the file cannot be written.
    fileprivate func writePyLate(toFolder folder: String, format: ModernBERTConfiguration.Format) throws {
        var prompts = JSONObject(["query", "document"].map { ($0, .string(self.prompts[$0] ?? "")) })
        for (name, text) in self.prompts.sorted(by: { $0.key < $1.key }) { prompts[name] = .string(text) }
        let settings: JSONValue = [
            "model_type": "ColBERT",
            "__version__": [
                "sentence_transformers": "5.3.0",
                "transformers": .string(format == .version4 ? "4.54.0" : "5.3.0"),
                "pytorch": .string(TorchRuntime.version),
            ],
            "prompts": .object(prompts),
            "default_prompt_name": defaultPromptName.map(JSONValue.string) ?? .null,
            "similarity_fn_name": "MaxSim",
            "query_prefix": .string(queryPrefix),
            "document_prefix": .string(documentPrefix),
            "query_length": (expansion?.length ?? queryLength).map { JSONValue($0) } ?? .null,
            "document_length": documentLength.map { JSONValue($0) } ?? .null,
            "attend_to_expansion_tokens": JSONValue(expansion?.isAttendedTo ?? false),
            "skiplist_words": .array((skippedWords ?? []).map(JSONValue.string)),
            "do_query_expansion": JSONValue(expansion != nil),
        ]
        try JSONFile.write(settings, toFolder: folder, name: EmbeddingSettings.file)
    }
}
