package import EttinFiles

/// A file from `torch.save`, mapped into memory and read without executing anything.
///
/// Both forms are understood: the ZIP archive of PyTorch 1.6 and later, and the older run of pickles. `root` is the
/// saved object as a tree of plain values; `PickledStateDictionary` finds the weights in it.
package final class PyTorchArchive: Sendable {
    /// The path as it was given.
    package let path: String
    /// The saved object.
    package let root: PickledValue
    private let file: MappedFile
    /// Where each storage's bytes stand in the file.
    private let storages: [ExactName: Range<Int>]

    /// What becomes of classes and functions that are not on the list of harmless ones.
    ///
    /// Nothing is executed either way.
    package enum UnknownNames: Hashable, Sendable {
        /// They are errors: for weights, which need none of them. The default.
        case refused
        /// They are kept as descriptions: for raw training states, which hold metrics and callbacks of any class.
        case kept
    }

    /// Maps a file and reads its pickle.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - access: What stores into the values do; see `MappedFile.Access`.
    ///   - unknownNames: What becomes of names that are not on the list of harmless ones.
    /// - Throws: `CheckpointError` when the file is not from `torch.save`, mentions a name that is not on the list of
    ///   harmless ones, or contradicts itself.
    package init(
        path: String,
        access: MappedFile.Access = .readOnly,
        unknownNames: UnknownNames = .refused
    ) throws {
        let file = try CheckpointError.translating { try MappedFile(path: path, access: access) }
        var limits = PickleLimits()
        limits.keepsUnknownNames = unknownNames == .kept
        let content =
            try ZipArchive.isArchive(file) ? Self.readArchive(file, limits) : Self.readLegacy(file, limits)
        self.path = path
        self.file = file
        root = content.root
        storages = content.storages
    }

    struct Content {
        var root: PickledValue
        var storages: [ExactName: Range<Int>]
    }

    // MARK: - Values

    /// Gives access to a tensor's values in contiguous order.
    ///
    /// - Parameter tensor: A tensor from `root`.
    /// - Returns: The values where they lie if they are contiguous and aligned there, else a copy.
    /// - Throws: `CheckpointError` when the storage is missing or too small, or a copy would be out of proportion.
    package func bytes(_ tensor: PickledTensor) throws -> TensorBytes {
        let range = try storageRange(tensor)
        guard !tensor.isContiguous else {
            // The offset of an empty tensor has not been checked.
            let skipped = tensor.byteCount == 0 ? 0 : tensor.offset * (tensor.dtype.bitWidth / 8)
            let place = range.lowerBound + skipped
            let values = UnsafeRawBufferPointer(rebasing: file.buffer[place..<place + tensor.byteCount])
            return TensorBytes(values, dtype: tensor.dtype, owner: file)
        }
        guard tensor.byteCount <= max(range.count, Self.expansionLimit) else {
            throw CheckpointError(
                .unsupported,
                file: path,
                item: "a tensor of shape \(spelled(tensor.shape))",
                found: "repeats its \(range.count) stored bytes up to \(tensor.byteCount)",
                expected: "at most \(Self.expansionLimit)"
            )
        }
        let copy = OwnedBytes(count: tensor.byteCount)
        withExtendedLifetime(file) {
            StridedCopy(tensor).run(from: UnsafeRawBufferPointer(rebasing: file.buffer[range]), into: copy.buffer)
        }
        return TensorBytes(copy)
    }

    /// Where a contiguous tensor stands in the file; nil for any other.
    func byteRange(_ tensor: PickledTensor) throws -> Range<Int>? {
        let range = try storageRange(tensor)
        guard tensor.isContiguous, tensor.byteCount > 0 else { return nil }
        let start = range.lowerBound + tensor.offset * (tensor.dtype.bitWidth / 8)
        return start..<start + tensor.byteCount
    }

    /// A view may show its storage's values several times; up to this many bytes that is taken for honest.
    private static let expansionLimit = 1 << 26

    private func storageRange(_ tensor: PickledTensor) throws -> Range<Int> {
        let storage = tensor.storage
        let item = "storage \(quoted(storage.key))"
        guard let range = storages[ExactName(storage.key)] else {
            throw CheckpointError(.missing, file: path, item: item, found: "is not in the file")
        }
        guard let needed = storage.byteCount, range.count >= needed else {
            let found = "has \(range.count) bytes"
            let expected = "\(storage.byteCount.map(String.init) ?? "fewer than 2⁶³")"
            throw CheckpointError(.malformed, file: path, item: item, found: found, expected: expected)
        }
        return range
    }
}

// MARK: - ZIP form

extension PyTorchArchive {
    private static func readArchive(_ file: MappedFile, _ limits: PickleLimits) throws -> Content {
        let archive = try ZipArchive(file)
        let pickles = archive.entries.filter { $0.name.hasSuffix("/data.pkl") && $0.name.utf8.count(of: "/") == 1 }
        guard let pickle = pickles.first, pickles.count == 1 else {
            throw CheckpointError(
                .unsupported,
                file: file.path,
                found: "is a ZIP archive with \(pickles.count) files \"<name>/data.pkl\"",
                expected: "exactly one, as torch.save writes"
            )
        }
        let prefix = String(pickle.name.dropLast("data.pkl".count))
        if archive[prefix + "constants.pkl"] != nil {
            throw CheckpointError(
                .unsupported,
                file: file.path,
                found: "is a TorchScript program",
                expected: "weights; save model.state_dict() with torch.save"
            )
        }
        try checkByteOrder(archive, prefix: prefix)
        let root = try archive.slice(pickle).withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            let value = try PickleMachine.read(&reader, file: file.path, item: quoted(pickle.name), limits: limits)
            guard reader.remaining == 0 else {
                let found = "has \(reader.remaining) bytes behind its end"
                throw CheckpointError(.malformed, file: file.path, item: quoted(pickle.name), found: found)
            }
            return value
        }
        var storages: [ExactName: Range<Int>] = [:]
        for entry in archive.entries where entry.name.hasPrefix(prefix + "data/") {
            storages[ExactName(String(entry.name.dropFirst(prefix.count + 5)))] = entry.range
        }
        return Content(root: root, storages: storages)
    }

    private static func checkByteOrder(_ archive: ZipArchive, prefix: String) throws {
        // Files before PyTorch 2.1 have no such entry and are little-endian.
        guard let entry = archive[prefix + "byteorder"] else { return }
        let isLittle = try archive.slice(entry).withUnsafeBytes { $0.elementsEqual("little".utf8) }
        guard isLittle else {
            throw CheckpointError(
                .unsupported,
                file: archive.file.path,
                found: "has values in big-endian byte order",
                expected: "little-endian; load and save it again on such a machine"
            )
        }
    }
}

extension String.UTF8View {
    fileprivate func count(of character: Unicode.Scalar) -> Int {
        reduce(0) { $0 + (UInt32($1) == character.value ? 1 : 0) }
    }
}
