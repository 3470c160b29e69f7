import EttinFiles
import EttinJSON
import Torch

/// How two embeddings are compared; larger is always nearer.
public enum EmbeddingSimilarity: String, Sendable, Hashable, CaseIterable {
    /// The cosine of the angle between them.
    case cosine
    /// Their inner product.
    case dot
    /// Minus their Euclidean distance.
    case euclidean
    /// Minus the sum of the absolute differences.
    case manhattan
}

/// What a sentence-transformers folder says about a whole model, in `config_sentence_transformers.json` and
/// `sentence_bert_config.json`.
///
/// > Source: sentence-transformers 6.2, whose reader also understands what versions up to 5 wrote.
public struct EmbeddingSettings: Sendable, Hashable {
    /// Texts put before an input, by name.
    public var prompts: [String: String] = [:]
    /// The prompt that is used when none is named.
    public var defaultPromptName: String?
    /// How embeddings are meant to be compared.
    public var similarity = EmbeddingSimilarity.cosine
    /// How many leading dimensions an embedding keeps; nil for all.
    public var truncateDimension: Int?
    /// The most tokens of a text; nil where the tokenizer and `config.json` decide alone.
    public var maxSequenceLength: Int?
    /// What the files say that has no effect, a sentence each.
    package private(set) var notices: [String] = []

    /// Creates the settings of a folder that has none.
    public init() {}

    /// Reads the settings of a folder.
    ///
    /// - Parameter folder: A folder with `modules.json`.
    /// - Throws: `CheckpointError` with everything that is wrong; absent files are defaults.
    init(folder: String) throws {
        var problems: [CheckpointError.Problem] = []
        if var fields = try Self.fields("config_sentence_transformers.json", in: folder) {
            if let value = fields.value("prompts"), !value.isNull {
                let texts = value.objectValue?.map { ($0.key, $0.value.stringValue) }
                for (name, text) in texts ?? [("", nil)] {
                    guard let text else {
                        fields.refuse("prompts", "is not an object of strings", expected: "names and texts")
                        break
                    }
                    prompts[name] = text
                }
            }
            fields.read("default_prompt_name", into: &defaultPromptName)
            if let name = defaultPromptName, fields.problems.isEmpty, prompts[name] == nil {
                fields.refuse("default_prompt_name", "is \(quoted(name))", expected: "a key of \"prompts\"")
            }
            if fields.object["similarity_fn_name"]?.isNull != true {
                fields.read("similarity_fn_name", into: &similarity, named: EmbeddingSimilarity.init(rawValue:))
            }
            fields.read("truncate_dim", into: &truncateDimension)
            if let size = truncateDimension, size < 1 {
                fields.refuse("truncate_dim", "is \(size)", expected: "1 or more")
            }
            note(&fields, inert: ["__version__", "model_type"])
            problems += fields.problems
        }
        if var fields = try Self.fields("sentence_bert_config.json", in: folder) {
            fields.read("max_seq_length", into: &maxSequenceLength)
            if let length = maxSequenceLength, length < 1 {
                fields.refuse("max_seq_length", "is \(length)", expected: "1 or more")
            }
            var lowersCase = false
            fields.read("do_lower_case", into: &lowersCase)
            if lowersCase { fields.refuse("do_lower_case", "is true", expected: "false", kind: .unsupported) }
            Self.checkTransformer(&fields)
            note(&fields, inert: ["unpad_inputs", "query_length", "document_length"])
            problems += fields.problems
        }
        guard problems.isEmpty else { throw CheckpointError(problems) }
    }

    /// Checks that the first module is what is computed: the last hidden states of a text as it is.
    private static func checkTransformer(_ fields: inout ConfigurationFields) {
        func require(_ key: String, _ value: JSONValue?, _ expected: String, in fields: inout ConfigurationFields) {
            guard let value, !value.isNull, value != .string(expected) else { return }
            fields.refuse(key, "is \(value.text())", expected: quoted(expected), kind: .unsupported)
        }
        require("transformer_task", fields.value("transformer_task"), "feature-extraction", in: &fields)
        require("module_output_name", fields.value("module_output_name"), FeatureName.tokenEmbeddings, in: &fields)
        let text = fields.value("modality_config")?["text"]
        require("modality_config.text.method", text?["method"], "forward", in: &fields)
        require(
            "modality_config.text.method_output_name",
            text?["method_output_name"],
            "last_hidden_state",
            in: &fields
        )
        if let value = fields.value("query_expansion"), !value.isNull {
            fields.refuse("query_expansion", "is \(value.text())", expected: "null", kind: .unsupported)
        }
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

    /// Notes the keys that nobody asked for.
    private mutating func note(_ fields: inout ConfigurationFields, inert: Set<String>) {
        let keys = fields.unused.filter { !inert.contains($0.key) && !$0.value.isNull }.map(\.key)
        if !keys.isEmpty { notices.append("\(fields.file): no effect of \(listing(keys, limit: 10))") }
    }

    /// Writes the settings into the folder of a model.
    ///
    /// - Parameters:
    ///   - folder: An existing folder.
    ///   - format: The generation of transformers that the files name.
    /// - Throws: `CheckpointError` when a file cannot be written.
    func write(toFolder folder: String, format: ModernBERTConfiguration.Format) throws {
        var model: JSONObject = [
            "model_type": "SentenceTransformer",
            "__version__": [
                // The release whose rules for texts and prompts are ours.
                "sentence_transformers": "6.2.0",
                "transformers": .string(format == .version4 ? "4.54.0" : "5.23.0"),
                "pytorch": .string(TorchRuntime.version),
            ],
            "prompts": .object(JSONObject(prompts.map { ($0.key, .string($0.value)) })),
            "default_prompt_name": defaultPromptName.map(JSONValue.string) ?? .null,
            "similarity_fn_name": .string(similarity.rawValue),
        ]
        if let truncateDimension { model["truncate_dim"] = JSONValue(truncateDimension) }
        try JSONFile.write(.object(model), toFolder: folder, name: "config_sentence_transformers.json")
        var texts: JSONObject = ["do_lower_case": false]
        if let maxSequenceLength { texts["max_seq_length"] = JSONValue(maxSequenceLength) }
        try JSONFile.write(.object(texts), toFolder: folder, name: "sentence_bert_config.json")
    }

    private static func fields(_ name: String, in folder: String) throws -> ConfigurationFields? {
        let path = FilePath.joined(folder, name)
        guard FilePath.exists(path) else { return nil }
        return ConfigurationFields(
            try JSONFile.object(path: path, name: name, sizeLimit: JSONFile.settingsSizeLimit),
            file: name
        )
    }
}
