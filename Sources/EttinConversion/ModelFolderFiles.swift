import EttinFiles
import EttinJSON
import EttinModel
import EttinTraining

/// What a model's folder holds besides configuration and weights.
enum ModelFolderFiles {
    /// The files that say how texts are read and written.
    private static let settings = [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "chat_template.jinja", "generation_config.json",
    ]

    /// Copies those files that are there.
    static func copySettings(from folder: String, to output: String) throws {
        try copy(settings, from: folder, to: output)
    }

    /// Copies files that are there.
    static func copy(_ names: [String], from folder: String, to output: String) throws {
        try CheckpointError.translating {
            for name in names {
                let path = FilePath.joined(folder, name)
                guard FilePath.exists(path) else { continue }
                let file = try MappedFile(path: path)
                let copy = try AtomicFile(path: FilePath.joined(output, name))
                try file.withUnsafeBytes { try copy.write($0) }
                try copy.commit()
            }
        }
    }

    /// Reads a file of settings.
    static func json(_ path: String) throws -> JSONObject {
        let file = try TrainingError.translating { try MappedFile(path: path) }
        func refused(_ found: String) -> TrainingError {
            TrainingError(.malformed, path, found: found, expected: "a JSON object")
        }
        do {
            guard let object = try file.withUnsafeBytes({ try JSONValue(parsing: $0) }).objectValue else {
                throw refused("is no object")
            }
            return object
        } catch let error as JSONError {
            throw refused("is not JSON: \(error)")
        }
    }
}
