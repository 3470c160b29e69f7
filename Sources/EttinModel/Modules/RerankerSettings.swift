import EttinFiles
import EttinJSON
package import Torch

/// What a reranker's folder says besides its weights: prompts, and how raw scores become those of the model.
package struct RerankerSettings {
    /// Prompts and what has no effect.
    package let settings: EmbeddingSettings
    /// The activation function of the scores, or why the one that is named cannot be applied.
    package let activation: Result<Activation, CheckpointError>

    /// Keys of `config.json` that are obeyed.
    package static let configurationKeys: Set<String> = [legacyKey]
    static let legacyKey = "sbert_ce_default_activation_function"
    private static let objectKey = "sentence_transformers"

    /// Says the activation function as versions up to 5 read it.
    ///
    /// - Parameters:
    ///   - path: Its Python class.
    ///   - keys: Those of `config.json`.
    static func write(activation path: String, to keys: inout JSONObject) {
        keys[objectKey] = ["activation_fn": .string(path), "version": "5.3.0"]
        keys[legacyKey] = nil
    }

    /// Replaces the activation function that versions up to 5 read, where one is named.
    ///
    /// - Parameters:
    ///   - path: Its Python class.
    ///   - keys: Those of `config.json`.
    static func replace(activation path: String, in keys: inout JSONObject) {
        guard keys[objectKey] != nil || keys[legacyKey] != nil else { return }
        write(activation: path, to: &keys)
    }

    /// Takes what is known of a model that is being trained.
    ///
    /// - Parameters:
    ///   - settings: Its prompts.
    ///   - activation: What raw scores go through.
    package init(_ settings: EmbeddingSettings, activation: Activation) {
        self.settings = settings
        self.activation = .success(activation)
    }

    /// Reads the settings of a folder.
    ///
    /// The first of these that names an activation function decides: `config_sentence_transformers.json`; the object
    /// `sentence_transformers` of `config.json`, which versions up to 5 write; `sbert_ce_default_activation_function`
    /// there, from before version 4. Without any, or with a null in the object, it is the sigmoid of one score, and the
    /// identity for several.
    ///
    /// - Parameters:
    ///   - folder: The model's folder.
    ///   - configuration: That of its transformer.
    ///   - labelCount: The number of scores of a pair.
    /// - Throws: `CheckpointError` with everything that is wrong; absent files are defaults.
    ///
    /// > Source: sentence-transformers 6.2 `cross_encoder/model.py`.
    package init(folder: String, configuration: ModernBERTConfiguration, labelCount: Int = 1) throws {
        var (settings, fields) = try EmbeddingSettings.read(folder: folder)
        var path: String?
        fields.read("activation_fn", into: &path)
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        var (file, key) = (fields.file, "activation_fn")
        if path == nil {
            file = "config.json"
            let object = configuration.otherKeys[Self.objectKey]
            if let value = object?["activation_fn"] {
                // A null is the default, whatever the older key says.
                path = value.isNull ? nil : value.stringValue ?? value.text()
                key = "sentence_transformers.activation_fn"
            } else if let value = configuration.otherKeys[Self.legacyKey], !value.isNull {
                (path, key) = (value.stringValue ?? value.text(), Self.legacyKey)
            }
        }
        settings.note(&fields, inert: [])
        self.settings = settings
        guard let path else {
            activation = .success(labelCount == 1 ? .sigmoid : .identity)
            return
        }
        if let function = Activation(classPath: path) {
            activation = .success(function)
        } else {
            let problem = CheckpointError.Problem(
                .unsupported,
                file: file,
                item: quoted(key),
                found: "is \(quoted(path, limit: 100)), which is not run",
                expected: "\(Activation.knownClasses); --activation replaces it"
            )
            activation = .failure(CheckpointError([problem]))
        }
    }
}
