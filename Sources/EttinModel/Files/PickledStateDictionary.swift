import EttinFiles

/// The tensors of a state dict inside a file from `torch.save`.
///
/// Accepted are the dictionary itself, `{"state_dict": …}`, `{"model": …}` and a Composer training state
/// `{"state": {"model": …}}`. Every value must be a tensor.
package final class PickledStateDictionary: TensorContainer {
    /// The file.
    package let archive: PyTorchArchive
    /// The names of all tensors, in the order of the dictionary.
    package let names: [String]
    private let tensors: [ExactName: (tensor: PickledTensor, descriptor: TensorDescriptor)]

    /// Finds and checks the state dict of a file.
    ///
    /// - Parameter archive: The file.
    /// - Throws: `CheckpointError` when there is no state dict, when it holds something that is no tensor, or when a
    ///   tensor's storage is missing or too small.
    package init(_ archive: PyTorchArchive) throws {
        let file = FilePath.lastComponent(of: archive.path)
        let entries = try Self.stateDictionary(archive.root, path: archive.path)
        var names: [String] = []
        var tensors: [ExactName: (tensor: PickledTensor, descriptor: TensorDescriptor)] = [:]
        var problems: [CheckpointError.Problem] = []
        for entry in entries {
            guard let name = entry.key.string else {
                let found = "has a key that is \(entry.key.kind)"
                problems.append(.init(.malformed, file: archive.path, item: "the state dict", found: found))
                continue
            }
            let item = "tensor \(quoted(name))"
            guard case .tensor(let tensor) = entry.value else {
                let found = "is \(entry.value.kind)"
                problems.append(.init(.unsupported, file: archive.path, item: item, found: found, expected: "a tensor"))
                continue
            }
            do {
                let descriptor = TensorDescriptor(
                    name: name,
                    dtype: tensor.dtype,
                    shape: tensor.shape,
                    byteCount: tensor.byteCount,
                    file: file,
                    byteRange: try archive.byteRange(tensor)
                )
                guard tensors.updateValue((tensor, descriptor), forKey: ExactName(name)) == nil else {
                    problems.append(.init(.malformed, file: archive.path, item: item, found: "is there twice"))
                    continue
                }
                names.append(name)
            } catch let error as CheckpointError {
                problems += error.problems
            }
        }
        guard problems.isEmpty else { throw CheckpointError(problems) }
        self.archive = archive
        self.names = names
        self.tensors = tensors
    }

    /// Describes a tensor.
    ///
    /// - Parameter name: The tensor's name.
    /// - Returns: Nil when there is no such tensor.
    package func descriptor(_ name: String) -> TensorDescriptor? {
        tensors[ExactName(name)]?.descriptor
    }

    /// Gives access to a tensor's values in contiguous order.
    ///
    /// - Parameter name: The tensor's name.
    /// - Returns: The values where they lie, or a copy when they are strided there.
    /// - Throws: `CheckpointError` when there is no such tensor, or a copy would be out of proportion.
    package func bytes(_ name: String) throws -> TensorBytes {
        guard let tensor = tensors[ExactName(name)]?.tensor else {
            throw CheckpointError(.missing, file: archive.path, item: "tensor \(quoted(name))", found: "is not there")
        }
        return try archive.bytes(tensor)
    }

    private static func stateDictionary(_ root: PickledValue, path: String) throws -> [PickledValue.Entry] {
        let candidates = [root["state_dict"], root["state"]?["model"], root["model"], root]
        for case .dictionary(let entries)? in candidates {
            let hasTensors = entries.contains { entry in
                guard case .tensor = entry.value else { return false }
                return true
            }
            if hasTensors { return entries }
        }
        throw CheckpointError(
            .unsupported,
            file: path,
            found: "holds \(root.kind) without a state dict",
            expected: "a dictionary of tensors, by itself or under state_dict, model or state.model"
        )
    }

    /// Whether a file begins like one from `torch.save`: a ZIP archive or a pickle.
    static func looksLikePickle(path: String) throws -> Bool {
        let file = try CheckpointError.translating { try MappedFile(path: path) }
        if ZipArchive.isArchive(file) { return true }
        return file.withUnsafeBytes { bytes in
            // A pickle of a long integer; a TAR archive or a Git LFS pointer is left to that reader's own message.
            bytes.starts(with: [0x80, 0x02, 0x8A]) || bytes.dropFirst(257).starts(with: "ustar".utf8)
                || bytes.starts(with: "version https://git-lfs".utf8)
        }
    }
}
