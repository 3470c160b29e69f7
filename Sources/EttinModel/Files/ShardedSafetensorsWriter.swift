import EttinFiles
import EttinJSON

/// Writes a model's tensors as one safetensors file, or as several with an index, as transformers does.
///
/// > Source: transformers 5.23.0 `save_pretrained`; huggingface_hub `split_torch_state_dict_into_shards`.
package enum ShardedSafetensorsWriter {
    /// What was written.
    package struct Summary: Hashable, Sendable {
        /// The names of the files with tensors, in order.
        package let files: [String]
        /// The name of the index; nil when one file holds everything.
        package let index: String?
        /// The bytes of all tensors.
        package let totalBytes: Int
        /// The values of all tensors.
        package let totalParameters: Int
    }

    /// Writes tensors into a folder.
    ///
    /// An index of an earlier save goes first, shards appear one by one, and the new index comes last: a folder with an
    /// index is complete. Weight files of an earlier save that this one does not have are removed at the end; otherwise
    /// a left-over single file would be read instead of the shards.
    ///
    /// - Parameters:
    ///   - tensors: The tensors in the order of the model; each shard takes them in this order.
    ///   - folder: An existing folder.
    ///   - shardSize: Maximum size in bytes per file.
    ///   - stem: The beginning of the file names.
    ///   - metadata: Text entries for the `__metadata__` of each file.
    /// - Returns: What was written.
    /// - Throws: `CheckpointError`, and what a tensor's own `values` throws.
    @discardableResult
    package static func write(
        _ tensors: [TensorToWrite],
        toFolder folder: String,
        shardSize: ShardSize = .default,
        stem: String = "model",
        metadata: [String: String] = SafetensorsWriter.defaultMetadata
    ) throws -> Summary {
        guard FilePath.isPlainName(stem) else {
            throw CheckpointError(.unsupported, file: folder, found: "cannot hold files called \(quoted(stem))")
        }
        let sizes = try checkedSizes(tensors, folder: folder)
        let shards = split(sizes, limit: shardSize.bytes)
        let files = fileNames(count: shards.count, stem: stem)
        let indexPath = FilePath.joined(folder, "\(stem).safetensors.index.json")
        if FilePath.kind(of: indexPath) != .absent {
            try CheckpointError.translating { try FilePath.remove(indexPath) }
        }
        for (shard, file) in zip(shards, files) {
            try SafetensorsWriter.write(
                shard.map { tensors[$0] },
                to: FilePath.joined(folder, file),
                metadata: metadata
            )
        }
        let totalBytes = sizes.reduce(0, +)
        let totalParameters = tensors.reduce(0) { $0 + (elementCount($1.shape) ?? 0) }
        var index: String?
        if shards.count > 1 {
            var map: [(String, String)] = []
            for (shard, file) in zip(shards, files) {
                map += shard.map { (tensors[$0].name, file) }
            }
            let bytes = CheckpointIndex.serialized(map: map, totalBytes: totalBytes, totalParameters: totalParameters)
            try CheckpointError.translating { try AtomicFile.write(bytes, to: indexPath) }
            index = FilePath.lastComponent(of: indexPath)
        }
        try removeStale(in: folder, stem: stem, keeping: Set(files + [index].compactMap(\.self)))
        return Summary(files: files, index: index, totalBytes: totalBytes, totalParameters: totalParameters)
    }

    /// The bytes of each tensor, all checked before the first file is written.
    private static func checkedSizes(_ tensors: [TensorToWrite], folder: String) throws -> [Int] {
        var problems: [CheckpointError.Problem] = []
        var names: Set<ExactName> = []
        var sizes: [Int] = []
        var total = 0
        for tensor in tensors {
            let item = "tensor \(quoted(tensor.name))"
            if !names.insert(ExactName(tensor.name)).inserted {
                problems.append(.init(.malformed, file: folder, item: item, found: "is to be written twice"))
            }
            let size = tensor.dtype.byteCount(of: tensor.shape)
            let (sum, overflow) = total.addingReportingOverflow(size ?? 0)
            guard let size, !overflow else {
                let found = "has shape \(spelled(tensor.shape)), which \(tensor.dtype.rawValue) values cannot fill"
                problems.append(.init(.malformed, file: folder, item: item, found: found))
                continue
            }
            total = sum
            sizes.append(size)
        }
        guard problems.isEmpty else { throw CheckpointError(problems) }
        return sizes
    }

    /// Distributes tensors over shards in their order; an oversized one goes alone and ahead of the shard being filled.
    static func split(_ sizes: [Int], limit: Int) -> [[Int]] {
        var shards: [[Int]] = []
        var current: [Int] = []
        var currentSize = 0
        for (index, size) in sizes.enumerated() {
            if size > limit {
                shards.append([index])
                continue
            }
            if currentSize > limit - size {
                shards.append(current)
                current = []
                currentSize = 0
            }
            current.append(index)
            currentSize += size
        }
        if !current.isEmpty || shards.isEmpty { shards.append(current) }
        return shards
    }

    static func fileNames(count: Int, stem: String) -> [String] {
        guard count > 1 else { return ["\(stem).safetensors"] }
        func padded(_ number: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        }
        return (1...count).map { "\(stem)-\(padded($0))-of-\(padded(count)).safetensors" }
    }

    /// Removes shards and indexes that an earlier save left, which would shadow or contradict the new files.
    private static func removeStale(in folder: String, stem: String, keeping: Set<String>) throws {
        try CheckpointError.translating {
            for name in try FilePath.names(inFolder: folder) where !keeping.contains(name) {
                guard isOutputName(name, stem: stem) else { continue }
                try FilePath.remove(FilePath.joined(folder, name))
            }
        }
    }

    /// Whether a name is one that this writer gives: the single file, its index, or a numbered shard.
    static func isOutputName(_ name: String, stem: String) -> Bool {
        if name == "\(stem).safetensors" || name == "\(stem).safetensors.index.json" { return true }
        guard name.hasPrefix("\(stem)-"), name.hasSuffix(".safetensors") else { return false }
        let parts = name.dropFirst(stem.count + 1).dropLast(".safetensors".count).split(separator: "-")
        let isNumber = { (part: Substring) in part.count >= 5 && part.utf8.allSatisfy { (0x30...0x39).contains($0) } }
        return parts.count == 3 && parts[1] == "of" && isNumber(parts[0]) && isNumber(parts[2])
    }
}
