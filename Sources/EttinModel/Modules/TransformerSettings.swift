import EttinFiles
package import EttinJSON

/// What `sentence_bert_config.json` says about a Transformer module.
package struct TransformerSettings: Hashable, Sendable {
    /// What a Transformer module gives.
    package enum Task: String, Hashable, Sendable, CaseIterable {
        /// The last hidden states.
        case featureExtraction = "feature-extraction"
        /// Logits over the vocabulary at each token.
        case fillMask = "fill-mask"
        /// Scores of each sequence.
        case sequenceClassification = "sequence-classification"

        /// The output of the Python model that the module takes.
        var methodOutput: String { self == .featureExtraction ? "last_hidden_state" : "logits" }
        /// The feature that the module writes unless its settings say otherwise.
        var defaultOutputName: String {
            self == .sequenceClassification ? FeatureName.scores : FeatureName.tokenEmbeddings
        }
    }

    static let file = "sentence_bert_config.json"

    /// What the module gives.
    package internal(set) var task = Task.featureExtraction
    /// The feature that it writes.
    package private(set) var outputName = FeatureName.tokenEmbeddings
    /// Maximum number of tokens of a text; nil where only the tokenizer and `config.json` limit it; `max_seq_length`.
    package var maxSequenceLength: Int?
    /// Maximum number of tokens of a query; `query_length`.
    package private(set) var queryLength: Int?
    /// Maximum number of tokens of a document; `document_length`.
    package private(set) var documentLength: Int?
    /// How queries are made longer, as the file has it; nil for not at all.
    package private(set) var queryExpansion: JSONObject?
    /// What the file says that has no effect, a sentence each.
    package private(set) var notices: [String] = []

    package init() {}

    /// Those of a transformer that gives scores of each sequence.
    static var classification: TransformerSettings {
        var settings = TransformerSettings()
        settings.task = .sequenceClassification
        settings.outputName = settings.task.defaultOutputName
        return settings
    }

    /// Reads the settings of a module's folder; without the file, those of its class.
    ///
    /// - Throws: `CheckpointError` with everything that is wrong.
    package init(_ folder: FeatureModuleFolder) throws {
        if FeatureModules.className(ofPath: folder.type) == TransformerModule.maskedLMClassName { task = .fillMask }
        var fields = try folder.settings(Self.file, isRequired: false)
        if fields.object["transformer_task"]?.isNull != true {
            fields.read("transformer_task", into: &task, named: Task.init(rawValue:))
        }
        outputName = task.defaultOutputName
        var name: String?
        fields.read("module_output_name", into: &name)
        outputName = name ?? outputName
        for (key, keyPath) in [
            ("max_seq_length", \Self.maxSequenceLength), ("query_length", \Self.queryLength),
            ("document_length", \Self.documentLength),
        ] {
            fields.read(key, into: &self[keyPath: keyPath])
            if let length = self[keyPath: keyPath], length < 1 {
                fields.refuse(key, "is \(length)", expected: "1 or more")
            }
        }
        if let value = fields.value("query_expansion"), !value.isNull {
            queryExpansion = value.objectValue
            if queryExpansion == nil { fields.refuse("query_expansion", "is \(value.text())", expected: "an object") }
        }
        var lowersCase = false
        fields.read("do_lower_case", into: &lowersCase)
        if lowersCase { fields.refuse("do_lower_case", "is true", expected: "false", kind: .unsupported) }
        checkMethod(&fields)
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        let others = fields.unused.filter { $0.key != "unpad_inputs" && !$0.value.isNull }.map(\.key)
        if !others.isEmpty { notices.append("\(fields.file): no effect of \(listing(others, limit: 10))") }
    }

    /// Checks that the output of the model is the one that is computed, from a text as it is.
    private func checkMethod(_ fields: inout ConfigurationFields) {
        func require(_ key: String, _ value: JSONValue?, _ expected: String) {
            guard let value, !value.isNull, value != .string(expected) else { return }
            fields.refuse(key, "is \(value.text())", expected: quoted(expected), kind: .unsupported)
        }
        let text = fields.value("modality_config")?["text"]
        require("modality_config.text.method", text?["method"], "forward")
        require("modality_config.text.method_output_name", text?["method_output_name"], task.methodOutput)
        // Padding is nothing that packed sequences have, and texts are truncated where the caller asks for it.
        for member in fields.value("processing_kwargs")?.objectValue ?? [:] {
            let modality = member.key
            let others = (member.value.objectValue ?? [:]).filter {
                !["padding", "truncation", "return_tensors"].contains($0.key)
            }
            guard ["common", "text"].contains(modality), let other = others.first else { continue }
            let key = "processing_kwargs.\(modality).\(other.key)"
            fields.refuse(key, "is \(other.value.text())", expected: "no such key", kind: .unsupported)
        }
    }

    /// Writes the settings into the folder of a module.
    ///
    /// - Throws: `CheckpointError` when the file cannot be written.
    func write(_ folder: FeatureModuleFolder) throws {
        // In the layout of versions from 6 the length is the tokenizer's.
        let isNew = folder.layout == .version6
        var settings: JSONObject = isNew ? [:] : ["do_lower_case": false]
        if let maxSequenceLength, !isNew { settings["max_seq_length"] = JSONValue(maxSequenceLength) }
        if let queryLength { settings["query_length"] = JSONValue(queryLength) }
        if let documentLength { settings["document_length"] = JSONValue(documentLength) }
        if let queryExpansion { settings["query_expansion"] = .object(queryExpansion) }
        if isNew || task == .sequenceClassification || outputName != task.defaultOutputName {
            settings["transformer_task"] = .string(task.rawValue)
            settings["modality_config"] = [
                "text": ["method": "forward", "method_output_name": .string(task.methodOutput)]
            ]
            settings["module_output_name"] = .string(outputName)
        }
        try folder.write(settings, Self.file)
    }
}
