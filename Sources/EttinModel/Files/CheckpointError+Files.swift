package import EttinFiles

extension CheckpointError {
    /// The problem of a file as a problem of the checkpoint that it belongs to.
    package init(_ error: FileError) {
        let kind: Kind =
            switch error.kind {
            case .missing: .missing
            case .inputOutput: .inputOutput
            case .outOfRange: .malformed
            }
        self.init(kind, file: error.file, found: error.found, expected: error.expected)
    }

    /// Calls `body` and throws its file errors as checkpoint errors.
    package static func translating<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as FileError {
            throw CheckpointError(error)
        }
    }
}
