import EttinFiles

// The form that torch.save wrote before PyTorch 1.6 and still writes on request: five pickles one after the other
// (a magic number, a version, facts about the machine, the object, the keys of its storages), then for each key the
// number of values as a 64-bit integer and the values.

extension PyTorchArchive {
    /// 0x1950a86a20f9469cfc6c, lowest byte first.
    private static let legacyMagic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]

    static func readLegacy(_ file: MappedFile, _ limits: PickleLimits) throws -> Content {
        try file.withUnsafeBytes { bytes in
            // A pickle of protocol 2 that holds one long integer of ten bytes.
            guard bytes.count > 15, bytes[0] == 0x80, bytes[2] == 0x8A, bytes[3] == 10,
                bytes[4..<14].elementsEqual(legacyMagic)
            else { throw unknownForm(bytes, path: file.path) }
            var reader = ByteReader(bytes)
            _ = try pickle(&reader, file, "the magic number")
            let version = try pickle(&reader, file, "the version")
            guard version.integer == 1001 else {
                let item = "the version"
                throw CheckpointError(.unsupported, file: file.path, item: item, found: "is not 1001", expected: "1001")
            }
            let system = try pickle(&reader, file, "the system facts")
            guard case .bool(true)? = system["little_endian"] else {
                let found = "has values in big-endian byte order"
                throw CheckpointError(.unsupported, file: file.path, found: found, expected: "little-endian")
            }
            let root = try pickle(&reader, file, "the object", limits)
            let keys = try pickle(&reader, file, "the list of storages")
            return Content(root: root, storages: try storages(&reader, keys: keys, root: root, file: file))
        }
    }

    private static func pickle(
        _ reader: inout ByteReader,
        _ file: MappedFile,
        _ item: String,
        _ limits: PickleLimits = PickleLimits()
    ) throws -> PickledValue {
        try PickleMachine.read(&reader, file: file.path, item: item, limits: limits)
    }

    private static func storages(
        _ reader: inout ByteReader,
        keys: PickledValue,
        root: PickledValue,
        file: MappedFile
    ) throws -> [ExactName: Range<Int>] {
        var widths: [ExactName: Int] = [:]
        root.visitStorages { storage in
            widths[ExactName(storage.key)] = (storage.dtype?.bitWidth ?? 8) / 8
        }
        var result: [ExactName: Range<Int>] = [:]
        for key in keys.elements ?? [] {
            guard let name = key.string, let width = widths[ExactName(name)] else {
                let found = "names a storage that no tensor uses"
                throw CheckpointError(.malformed, file: file.path, item: "the list of storages", found: found)
            }
            guard let count = reader.integer(Int64.self), count >= 0,
                case let (byteCount, overflow) = Int(count).multipliedReportingOverflow(by: width), !overflow,
                case let start = reader.position, reader.take(byteCount) != nil
            else {
                let found = "is cut off"
                throw CheckpointError(.malformed, file: file.path, item: "storage \(quoted(name))", found: found)
            }
            guard result.updateValue(start..<start + byteCount, forKey: ExactName(name)) == nil else {
                let item = "storage \(quoted(name))"
                throw CheckpointError(.malformed, file: file.path, item: item, found: "is there twice")
            }
        }
        guard reader.remaining == 0 else {
            let found = "has \(reader.remaining) bytes behind the last storage"
            throw CheckpointError(.malformed, file: file.path, found: found)
        }
        return result
    }

    private static func unknownForm(_ bytes: UnsafeRawBufferPointer, path: String) -> CheckpointError {
        let isTar = bytes.count >= 262 && bytes[257..<262].elementsEqual("ustar".utf8)
        let found =
            if bytes.isEmpty { "is empty" } else if isTar {
                "is a TAR archive, as torch.save wrote before version 0.1.10"
            } else if bytes.starts(with: "version https://git-lfs".utf8) {
                "is a Git LFS pointer, not the file itself"
            } else { "is not from torch.save" }
        return CheckpointError(
            .unsupported,
            file: path,
            found: found,
            expected: "a ZIP archive or the older pickle form; load and save it again with a current PyTorch"
        )
    }
}

extension PickledValue {
    /// Calls `body` with every storage that appears in the value.
    func visitStorages(_ body: (PickledStorage) -> Void) {
        switch self {
        case .tensor(let tensor): body(tensor.storage)
        case .storage(let storage): body(storage)
        case .list(let items), .tuple(let items), .set(let items): for item in items { item.visitStorages(body) }
        case .dictionary(let entries):
            for entry in entries {
                entry.key.visitStorages(body)
                entry.value.visitStorages(body)
            }
        case .object(let object):
            for item in object.arguments { item.visitStorages(body) }
            object.state?.visitStorages(body)
        default: break
        }
    }
}
