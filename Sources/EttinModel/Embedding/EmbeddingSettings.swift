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

/// The generations of sentence-transformers, which read texts and count the tokens of prompts in ways of their own.
public enum SentenceTransformersGeneration: String, Sendable, Hashable, CaseIterable {
    /// Versions up to 5: blanks around a text are left out.
    case version5 = "5"
    /// Versions from 6: a text is read as it is.
    case version6 = "6"
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
    /// Whose rules hold for blanks around a text and the tokens of a prompt.
    public var generation = SentenceTransformersGeneration.version6
    /// Maximum number of tokens of a text; nil where only the tokenizer and `config.json` limit it; `max_seq_length`.
    public var maxSequenceLength: Int?
    /// What the files say that has no effect, a sentence each.
    package internal(set) var notices: [String] = []

    static let file = "config_sentence_transformers.json"

    /// Creates the settings of a folder that has none.
    public init() {}

    /// Reads the settings of a folder.
    ///
    /// - Parameter folder: A folder with `modules.json`.
    /// - Throws: `CheckpointError` with everything that is wrong; an absent file is defaults.
    package init(folder: String) throws {
        var (settings, fields) = try Self.read(folder: folder)
        settings.note(&fields, inert: [])
        self = settings
    }

    /// Reads the settings of a folder, and leaves those of other kinds of models to the caller.
    ///
    /// - Parameter folder: A folder with `modules.json`.
    /// - Returns: The settings that all kinds share, and the fields of `config_sentence_transformers.json`; those that
    ///   the caller does not ask for have no effect.
    /// - Throws: `CheckpointError` with everything that is wrong; an absent file is defaults.
    package static func read(folder: String) throws -> (EmbeddingSettings, ConfigurationFields) {
        var settings = EmbeddingSettings()
        var fields = try Self.fields(Self.file, in: folder)
        fields.drop("model_type", "requirements")
        // The version that wrote the folder tells, and without it the class paths of its modules.
        let version = fields.value("__version__")?["sentence_transformers"]?.stringValue ?? ""
        let major = Int(version.prefix { $0 != "." })
        settings.generation =
            try major.map { $0 < 6 ? .version5 : .version6 } ?? ModuleListing(folder: folder)?.generation ?? .version6
        if let value = fields.value("prompts"), !value.isNull {
            let texts = value.objectValue?.map { ($0.key, $0.value.stringValue) }
            for (name, text) in texts ?? [("", nil)] {
                guard let text else {
                    fields.refuse("prompts", "is not an object of strings", expected: "names and texts")
                    break
                }
                settings.prompts[name] = text
            }
        }
        fields.read("default_prompt_name", into: &settings.defaultPromptName)
        if let name = settings.defaultPromptName, fields.problems.isEmpty, settings.prompts[name] == nil {
            fields.refuse("default_prompt_name", "is \(quoted(name))", expected: "a key of \"prompts\"")
        }
        // Late interaction is no similarity of two vectors.
        let similarity = fields.value("similarity_fn_name") ?? .null
        if !similarity.isNull, !["MaxSim", "maxsim", "meanmaxsim"].contains(similarity.stringValue) {
            fields.read("similarity_fn_name", into: &settings.similarity, named: EmbeddingSimilarity.init(rawValue:))
        }
        fields.read("truncate_dim", into: &settings.truncateDimension)
        if let size = settings.truncateDimension, size < 1 {
            fields.refuse("truncate_dim", "is \(size)", expected: "1 or more")
        }
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        return (settings, fields)
    }

    /// Notes the keys that nobody asked for.
    package mutating func note(_ fields: inout ConfigurationFields, inert: Set<String>) {
        let keys = fields.unused.filter { !inert.contains($0.key) && !$0.value.isNull }.map(\.key)
        if !keys.isEmpty { notices.append("\(fields.file): no effect of \(listing(keys, limit: 10))") }
    }

    /// Writes the settings into the folder of a model.
    ///
    /// - Parameters:
    ///   - folder: An existing folder.
    ///   - format: The generation of transformers that the files name.
    ///   - modelType: The Python class of the model.
    ///   - others: Settings that only models of this class have.
    /// - Throws: `CheckpointError` when a file cannot be written.
    func write(
        toFolder folder: String,
        format: ModernBERTConfiguration.Format,
        modelType: String = "SentenceTransformer",
        _ others: JSONObject = [:]
    ) throws {
        // Both generations name these two, as empty texts where they have none.
        var prompts = JSONObject(["query", "document"].map { ($0, .string(self.prompts[$0] ?? "")) })
        for (name, text) in self.prompts.sorted(by: { $0.key < $1.key }) { prompts[name] = .string(text) }

        var model: JSONObject = [
            "model_type": .string(modelType),
            "__version__": [
                // The release whose rules for texts and prompts the model follows.
                "sentence_transformers": generation == .version5 ? "5.3.0" : "6.2.0",
                "transformers": .string(format == .version4 ? "4.54.0" : "5.23.0"),
                "pytorch": .string(TorchRuntime.version),
            ],
            "prompts": .object(prompts),
            "default_prompt_name": defaultPromptName.map(JSONValue.string) ?? .null,
            "similarity_fn_name": .string(similarity.rawValue),
        ]
        if let truncateDimension { model["truncate_dim"] = JSONValue(truncateDimension) }
        for member in others { model[member.key] = member.value }
        try JSONFile.write(.object(model), toFolder: folder, name: Self.file)
    }

    private static func fields(_ name: String, in folder: String) throws -> ConfigurationFields {
        let path = FilePath.joined(folder, name)
        guard FilePath.exists(path) else { return ConfigurationFields(JSONObject(), file: name) }
        return ConfigurationFields(
            try JSONFile.object(path: path, name: name, sizeLimit: JSONFile.settingsSizeLimit),
            file: name
        )
    }
}
