import EttinCorpus
import EttinFiles
import EttinInference

/// A folder in which mining keeps what took long: vectors, candidates and a cross-encoder's scores.
///
/// File names end in a hash of everything the content depends on, so that other texts, prompts or models find other
/// files. The original's names hash what it calls the model's name, which is empty for most folders: models would share
/// them.
package struct MiningCache: Sendable {
    /// The folder, which is there.
    let folder: String
    /// What tells the model from others.
    let model: String
    /// What tells the cross-encoder from others; nil for none.
    let crossEncoder: String?

    /// Opens a folder, and makes it where there is none.
    ///
    /// - Parameters:
    ///   - folder: The folder.
    ///   - model: What tells the model from others, such as ``fingerprint(ofFolder:)``.
    ///   - crossEncoder: What tells the cross-encoder from others; nil for none.
    /// - Throws: ``EvaluationError`` when it cannot be made.
    package init(folder: String, model: String, crossEncoder: String? = nil) throws {
        (self.folder, self.model, self.crossEncoder) = (folder, model, crossEncoder)
        guard FilePath.kind(of: folder) != .folder else { return }
        try EvaluationError.translating { try FilePath.makeFolder(folder) }
    }

    /// A hash of the files that a model consists of.
    ///
    /// - Parameter folder: The model's folder; folders of modules may be links.
    /// - Returns: Hexadecimal digits.
    /// - Throws: ``EvaluationError`` when a file cannot be read.
    package static func fingerprint(ofFolder folder: String) throws -> String {
        try fingerprint(ofFolder: folder, links: 0)
    }

    // `links`: how many links led to the folder.
    private static func fingerprint(ofFolder folder: String, links: Int) throws -> String {
        // Links may lead in circles.
        guard links <= 4 else {
            throw EvaluationError(
                .malformed,
                file: folder,
                found: "is a folder below more than 4 links to folders",
                expected: "files of a model; without --cache-folder they are not compared"
            )
        }
        let kinds = [".json", ".txt", ".model", ".safetensors", ".bin", ".pt"]
        var lines: [String] = []
        for name in try EvaluationError.translating({ try FilePath.filesBelow(folder) }) {
            let path = FilePath.joined(folder, name)
            if FilePath.kind(of: path) == .folder {
                lines.append("\(name) \(try fingerprint(ofFolder: path, links: links + 1))")
            } else if kinds.contains(where: name.hasSuffix) {
                let file = try EvaluationError.translating { try MappedFile(path: path) }
                lines.append("\(name) \(file.withUnsafeBytes { HashAlgorithm.xxh3.hexadecimal($0) })")
            }
        }
        return hash(lines)
    }

    /// A hash of what texts become under a model.
    func identity(of texts: [String], _ role: TextRole, _ prompt: TextEmbeddingPipeline.Prompt) -> String {
        Self.hash([model, role.rawValue, "\(prompt)"] + texts)
    }

    /// A file's path.
    func path(_ name: String) -> String { FilePath.joined(folder, name) }

    /// The records of a step.
    ///
    /// - Parameters:
    ///   - name: The front of the file's name.
    ///   - parts: What the records depend on.
    /// - Returns: The file, which a first record creates.
    /// - Throws: ``EvaluationError`` when it cannot be read.
    func records(of name: String, _ parts: [String]) throws -> RecordFile {
        try records(of: name, identity: Self.hash(parts))
    }

    /// The records of a step.
    func records(of name: String, identity: String) throws -> RecordFile {
        try RecordFile(path: path("\(name)_\(identity).part"))
    }

    /// Removes the records of a step, where there are any.
    func removeRecords(of name: String, identity: String) throws {
        let path = path("\(name)_\(identity).part")
        guard FilePath.exists(path) else { return }
        try EvaluationError.translating { try FilePath.remove(path) }
    }

    /// A hash of texts, each of which is told from the next.
    private static func hash(_ parts: [String]) -> String {
        var hash: [UInt8] = []
        // A chain of hashes, so that a corpus is not copied whole.
        for start in stride(from: 0, to: parts.count, by: 4096) {
            for part in parts[start..<min(parts.count, start + 4096)] {
                withUnsafeBytes(of: Int64(part.utf8.count).littleEndian) { hash += $0 }
                hash += part.utf8
            }
            hash = hash.withUnsafeBytes { HashAlgorithm.sha256.digest($0) }
        }
        return HashAlgorithm.digits(hash)
    }
}
