import EttinFiles

// A reader for the one kind of ZIP archive that torch.save writes: every entry stored, nothing compressed, values
// aligned so that they can be used where they lie. Whatever else ZIP allows is refused by name. Checksums are not
// verified: torch can be told not to compute them, and reading all values would defeat the mapping.

/// The entries of an uncompressed ZIP archive inside a mapped file.
struct ZipArchive {
    struct Entry: Hashable {
        let name: String
        /// Where its bytes stand in the file.
        let range: Range<Int>
    }

    let file: MappedFile
    /// In the order of the central directory.
    let entries: [Entry]
    private let positions: [ExactName: Int]

    /// Reads and checks the central directory.
    init(_ file: MappedFile) throws {
        self.file = file
        entries = try file.withUnsafeBytes { try ZipDirectory(bytes: $0, file: file.path).entries() }
        var positions: [ExactName: Int] = [:]
        for (index, entry) in entries.enumerated() {
            guard positions.updateValue(index, forKey: ExactName(entry.name)) == nil else {
                throw CheckpointError(.malformed, file: file.path, item: quoted(entry.name), found: "is there twice")
            }
        }
        self.positions = positions
    }

    subscript(name: String) -> Entry? {
        positions[ExactName(name)].map { entries[$0] }
    }

    func slice(_ entry: Entry) throws -> MappedSlice {
        try CheckpointError.translating { try file.slice(entry.range) }
    }

    /// Whether a file begins like a ZIP archive.
    static func isArchive(_ file: MappedFile) -> Bool {
        file.withUnsafeBytes { bytes in
            bytes.starts(with: [0x50, 0x4B, 0x03, 0x04]) || bytes.starts(with: [0x50, 0x4B, 0x05, 0x06])
        }
    }
}

/// The parse of one central directory.
private struct ZipDirectory {
    let bytes: UnsafeRawBufferPointer
    let file: String

    private static let endSignature: UInt32 = 0x0605_4B50
    private static let end64Signature: UInt32 = 0x0606_4B50
    private static let locatorSignature: UInt32 = 0x0706_4B50
    private static let centralSignature: UInt32 = 0x0201_4B50
    private static let localSignature: UInt32 = 0x0403_4B50
    private static let entryLimit = 1_000_000

    private struct Extent {
        var offset: Int
        var size: Int
        var count: Int
        /// Where the records after the directory begin.
        var end: Int
    }

    func entries() throws -> [ZipArchive.Entry] {
        let extent = try locate()
        var reader = ByteReader(
            UnsafeRawBufferPointer(rebasing: bytes[extent.offset..<extent.offset + extent.size])
        )
        var entries: [ZipArchive.Entry] = []
        var spans: [Range<Int>] = []
        for _ in 0..<extent.count {
            let (entry, span) = try entry(&reader, directoryStart: extent.offset)
            entries.append(entry)
            spans.append(span)
        }
        guard reader.remaining == 0 else {
            throw malformed("has \(reader.remaining) bytes behind the last entry of its directory")
        }
        let sorted = spans.indices.sorted { spans[$0].lowerBound < spans[$1].lowerBound }
        for (left, right) in zip(sorted, sorted.dropFirst()) where spans[left].upperBound > spans[right].lowerBound {
            throw malformed("lies over \(quoted(entries[right].name))", item: quoted(entries[left].name))
        }
        return entries
    }

    /// Finds the central directory through the end record, or its 64-bit twin.
    private func locate() throws -> Extent {
        let recordSize = 22
        guard bytes.count >= recordSize else { throw malformed("is too short for a ZIP archive") }
        var position = bytes.count - recordSize
        let lowest = max(0, position - 0xFFFF)
        while position >= lowest {
            var reader = ByteReader(bytes, at: position)
            if reader.integer(UInt32.self) == Self.endSignature {
                var comment = ByteReader(bytes, at: position + 20)
                if let length = comment.integer(UInt16.self), Int(length) == bytes.count - position - recordSize {
                    return try extent(endRecord: position)
                }
            }
            position -= 1
        }
        throw malformed("has no ZIP end record; the file is cut off or not from torch.save")
    }

    private func extent(endRecord: Int) throws -> Extent {
        var reader = ByteReader(bytes, at: endRecord + 4)
        guard let disk = reader.integer(UInt16.self), let directoryDisk = reader.integer(UInt16.self),
            let here = reader.integer(UInt16.self), let total = reader.integer(UInt16.self),
            let size = reader.integer(UInt32.self), let offset = reader.integer(UInt32.self)
        else { throw malformed("has a cut-off ZIP end record") }
        if disk == .max || directoryDisk == .max || here == .max || total == .max || size == .max || offset == .max {
            return try extent64(endRecord: endRecord)
        }
        guard disk == 0, directoryDisk == 0, here == total else { throw unsupported("is split over several disks") }
        return try checked(offset: UInt64(offset), size: UInt64(size), count: UInt64(total), end: endRecord)
    }

    private func extent64(endRecord: Int) throws -> Extent {
        var locator = ByteReader(bytes, at: max(0, endRecord - 20))
        guard endRecord >= 20, locator.integer(UInt32.self) == Self.locatorSignature,
            let disk = locator.integer(UInt32.self), let place = locator.integer(UInt64.self),
            let disks = locator.integer(UInt32.self)
        else { throw malformed("announces a 64-bit ZIP directory but has no locator for it") }
        guard disk == 0, disks <= 1 else { throw unsupported("is split over several disks") }
        guard let start = Int(exactly: place), start <= endRecord - 20 else {
            throw malformed("has its 64-bit end record at byte \(place), outside the file")
        }
        var reader = ByteReader(bytes, at: start)
        guard reader.integer(UInt32.self) == Self.end64Signature, let length = reader.integer(UInt64.self),
            length >= 44, reader.integer(UInt16.self) != nil, reader.integer(UInt16.self) != nil,
            let own = reader.integer(UInt32.self), let directoryDisk = reader.integer(UInt32.self),
            let here = reader.integer(UInt64.self), let total = reader.integer(UInt64.self),
            let size = reader.integer(UInt64.self), let offset = reader.integer(UInt64.self)
        else { throw malformed("has a broken 64-bit end record") }
        guard own == 0, directoryDisk == 0, here == total else { throw unsupported("is split over several disks") }
        return try checked(offset: offset, size: size, count: total, end: start)
    }

    private func checked(offset: UInt64, size: UInt64, count: UInt64, end: Int) throws -> Extent {
        guard let offset = Int(exactly: offset), let size = Int(exactly: size), offset <= end, size <= end - offset
        else {
            throw malformed("has a ZIP directory of \(size) bytes at byte \(offset), outside the file")
        }
        // A directory entry takes 46 bytes at least; so the count cannot make us reserve more than the file holds.
        guard let count = Int(exactly: count), count <= size / 46 else {
            throw malformed("announces \(count) entries in a ZIP directory of \(size) bytes")
        }
        guard count <= Self.entryLimit else {
            throw unsupported("has \(count) entries", expected: "at most \(Self.entryLimit)")
        }
        return Extent(offset: offset, size: size, count: count, end: end)
    }

    /// Reads one directory entry and the local header it points at.
    private func entry(_ reader: inout ByteReader, directoryStart: Int) throws -> (ZipArchive.Entry, Range<Int>) {
        guard reader.integer(UInt32.self) == Self.centralSignature, reader.take(4) != nil,
            let flags = reader.integer(UInt16.self), let method = reader.integer(UInt16.self), reader.take(8) != nil,
            let packed32 = reader.integer(UInt32.self), let size32 = reader.integer(UInt32.self),
            let nameLength = reader.integer(UInt16.self), let extraLength = reader.integer(UInt16.self),
            let commentLength = reader.integer(UInt16.self), let disk = reader.integer(UInt16.self),
            reader.take(6) != nil, let offset32 = reader.integer(UInt32.self),
            let nameBytes = reader.take(Int(nameLength)), let extra = reader.take(Int(extraLength)),
            reader.take(Int(commentLength)) != nil
        else { throw malformed("has a cut-off or broken ZIP directory") }
        guard let name = validatedText(nameBytes) else { throw malformed("has an entry whose name is not UTF-8") }
        let item = quoted(name)
        try checkName(name, item)
        guard flags & 0x2041 == 0 else { throw unsupported("is encrypted", item: item) }
        guard method == 0 else {
            let expected = "stored entries, as torch.save writes"
            throw unsupported("is compressed (method \(method))", item: item, expected: expected)
        }
        guard disk == 0 || disk == .max else { throw unsupported("is on another disk", item: item) }
        var sizes = Zip64Fields(extra)
        guard let size = size32 == .max ? sizes.next() : UInt64(size32),
            let packed = packed32 == .max ? sizes.next() : UInt64(packed32),
            let offset = offset32 == .max ? sizes.next() : UInt64(offset32)
        else { throw malformed("lacks its 64-bit sizes", item: item) }
        guard size == packed else {
            throw malformed("is stored but its sizes differ: \(packed) and \(size) bytes", item: item)
        }
        guard let start = Int(exactly: offset), start < directoryStart, let count = Int(exactly: size) else {
            throw malformed("begins at byte \(offset), outside the file", item: item)
        }
        return try local(name: name, nameBytes: nameBytes, start: start, count: count, limit: directoryStart)
    }

    private func local(
        name: String,
        nameBytes: UnsafeRawBufferPointer,
        start: Int,
        count: Int,
        limit: Int
    ) throws -> (ZipArchive.Entry, Range<Int>) {
        let item = quoted(name)
        var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[..<limit]), at: start)
        guard reader.integer(UInt32.self) == Self.localSignature, reader.take(22) != nil,
            let nameLength = reader.integer(UInt16.self), let extraLength = reader.integer(UInt16.self),
            let localName = reader.take(Int(nameLength)), reader.take(Int(extraLength)) != nil
        else { throw malformed("has no header at byte \(start)", item: item) }
        guard localName.elementsEqual(nameBytes) else {
            throw malformed("has another name in its own header", item: item)
        }
        let data = reader.position
        guard reader.take(count) != nil else {
            let found = "has \(count) bytes from byte \(data) on"
            throw malformed(found, item: item, expected: "an end before byte \(limit)")
        }
        return (ZipArchive.Entry(name: name, range: data..<data + count), start..<data + count)
    }

    /// Refuses names that would leave the archive if somebody unpacked it.
    private func checkName(_ name: String, _ item: String) throws {
        let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let climbs = parts.contains { $0.elementsEqual("..".utf8) || $0.elementsEqual(".".utf8) }
        let emptyInside = parts.dropLast().contains(where: \.isEmpty)
        let odd = name.utf8.contains { $0 < 0x20 || $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: ":") || $0 == 0x7F }
        guard !name.isEmpty, !climbs, !emptyInside, !odd else {
            throw malformed("is not a plain relative path", item: item)
        }
    }

    private func malformed(_ found: String, item: String? = nil, expected: String? = nil) -> CheckpointError {
        CheckpointError(.malformed, file: file, item: item, found: found, expected: expected)
    }

    private func unsupported(_ found: String, item: String? = nil, expected: String? = nil) -> CheckpointError {
        CheckpointError(.unsupported, file: file, item: item, found: found, expected: expected)
    }
}

/// The 64-bit values of a directory entry, which stand in its extra field in a fixed order, present ones only.
private struct Zip64Fields {
    private var reader: ByteReader

    init(_ extra: UnsafeRawBufferPointer) {
        var fields = ByteReader(extra)
        while let tag = fields.integer(UInt16.self), let length = fields.integer(UInt16.self),
            let content = fields.take(Int(length))
        {
            if tag == 1 {
                reader = ByteReader(content)
                return
            }
        }
        reader = ByteReader(UnsafeRawBufferPointer(start: nil, count: 0))
    }

    mutating func next() -> UInt64? {
        reader.integer(UInt64.self)
    }
}
