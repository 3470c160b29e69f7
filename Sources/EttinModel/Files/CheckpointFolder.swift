import EttinFiles

/// The folder of a model, as an argument that people give.
package enum CheckpointFolder {
    /// Whether a path is a folder.
    package static func isFolder(_ path: String) -> Bool { FilePath.kind(of: path) == .folder }

    /// Checks that a model is a local folder.
    ///
    /// - Parameter path: What was given as a model.
    /// - Throws: `CheckpointError` when it is something else.
    package static func require(_ path: String) throws {
        guard FilePath.kind(of: path) != .folder else { return }
        throw CheckpointError(
            .missing,
            file: path,
            found: FilePath.kind(of: path) == .file ? "is a file, not a folder" : "is not a folder",
            expected: "the local folder of a model"
        )
    }
}
