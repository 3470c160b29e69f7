package import EttinFiles

/// A safetensors file, mapped into memory.
///
/// Opening reads and checks the header only; values are read from disk when they are first touched.
///
/// > Source: safetensors 0.8.0, whose reader accepts and refuses the same files, but ignores unknown keys of a tensor.
public final class SafetensorsFile: TensorContainer {
    /// The path as it was given.
    public let path: String
    /// The descriptors in the order of the values in the file.
    public let tensors: [TensorDescriptor]
    /// The text entries of `__metadata__`.
    public let metadata: [String: String]
    private let file: MappedFile
    private let positions: [ExactName: Int]

    /// Maps a file and checks its header.
    ///
    /// - Parameter path: The file.
    /// - Throws: `CheckpointError` with everything that is wrong with the header.
    public convenience init(path: String) throws { try self.init(path: path, access: .readOnly) }

    /// Maps a file and checks its header.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - access: What stores into the values do; see `MappedFile.Access`.
    /// - Throws: `CheckpointError` with everything that is wrong with the header.
    package init(path: String, access: MappedFile.Access) throws {
        let file = try CheckpointError.translating { try MappedFile(path: path, access: access) }
        let header = try file.withUnsafeBytes {
            try SafetensorsHeader($0, path: path, file: FilePath.lastComponent(of: path))
        }
        self.path = path
        self.file = file
        tensors = header.tensors
        metadata = Dictionary(header.metadata.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
        // The JSON parser has refused duplicate keys.
        positions = Dictionary(
            header.tensors.enumerated().map { (ExactName($1.name), $0) },
            uniquingKeysWith: { $1 }
        )
    }

    /// The names of all tensors, in the order of their values in the file.
    public var names: [String] { tensors.map(\.name) }

    /// Describes a tensor.
    ///
    /// - Parameter name: The tensor's name.
    /// - Returns: Nil when there is no such tensor.
    public func descriptor(_ name: String) -> TensorDescriptor? {
        positions[ExactName(name)].map { tensors[$0] }
    }

    /// Gives access to a tensor's values where they lie.
    ///
    /// - Parameter name: The tensor's name.
    /// - Returns: The values; copied only when the file does not align them for their type.
    /// - Throws: `CheckpointError` when there is no such tensor.
    public func bytes(_ name: String) throws -> TensorBytes {
        guard let tensor = descriptor(name), let range = tensor.byteRange else {
            throw CheckpointError(.missing, file: path, item: "tensor \(quoted(name))", found: "is not there")
        }
        return TensorBytes(UnsafeRawBufferPointer(rebasing: file.buffer[range]), dtype: tensor.dtype, owner: file)
    }

    /// Calls `body` with a tensor's values.
    ///
    /// - Parameters:
    ///   - name: The tensor's name.
    ///   - body: Receives the values; must not let the pointer escape.
    /// - Returns: What `body` returns.
    /// - Throws: `CheckpointError` when there is no such tensor, and what `body` throws.
    package func withUnsafeBytes<Result>(
        of name: String,
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        try withBytes(name, body)
    }
}
