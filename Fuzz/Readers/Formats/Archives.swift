/// A ZIP archive of stored entries, of which every number can be another.
struct Archive {
    struct Entry {
        var name: String
        var data: [UInt8]
        var method: UInt16 = 0
        var flags: UInt16 = 0
        var localName: String?
        var start: UInt64?
        var size: UInt64?
    }

    var entries: [Entry]
    var uses64Bit = false
    var count: UInt64?
    var directoryStart: UInt64?
    var directorySize: UInt64?
    var comment: [UInt8] = []

    init(_ entries: [(String, [UInt8])]) { self.entries = entries.map { Entry(name: $0.0, data: $0.1) } }

    /// The file that torch.save would write around a pickle.
    init(pickle: [UInt8], storages: [(String, [UInt8])]) {
        self.init(
            [("m/data.pkl", pickle), ("m/byteorder", Array("little".utf8))] + storages.map { ("m/data/\($0.0)", $0.1) }
                + [("m/version", Array("3\n".utf8))]
        )
    }

    func mutated(_ dice: inout Dice) -> Archive {
        var archive = self
        archive.uses64Bit = dice.chance(0.3)
        guard dice.chance(0.35) else { return archive }
        let number = UInt64(bitPattern: Int64(dice.pick(Hostile.integers)))
        let place = dice.below(entries.count)
        switch dice.below(12) {
        case 0: archive.entries[place].size = number
        case 1: archive.entries[place].start = number
        case 2: archive.entries[place].method = dice.pick([8, 0xFFFF])
        case 3: archive.entries[place].flags = dice.pick([1, 8, 0x800, 0xFFFF])
        case 4: archive.entries[place].localName = dice.pick(Hostile.words)
        case 5: archive.entries[place].name = dice.pick(Hostile.words + entries.map(\.name))
        case 6: archive.count = number
        case 7: archive.directoryStart = number
        case 8: archive.directorySize = number
        case 9: archive.comment = Array(repeating: 0x50, count: dice.pick([1, 4, 1000]))
        case 10: archive.entries.append(archive.entries[place])
        default: archive.entries.remove(at: place)
        }
        return archive
    }

    var bytes: [UInt8] {
        func narrow<Value: FixedWidthInteger & UnsignedInteger>(_ value: UInt64, _: Value.Type) -> [UInt8] {
            littleEndian(uses64Bit ? Value.max : Value(truncatingIfNeeded: value))
        }
        var body: [UInt8] = []
        var directory: [UInt8] = []
        for entry in entries {
            let start = entry.start ?? UInt64(body.count)
            let size = entry.size ?? UInt64(entry.data.count)
            let name = Array(entry.name.utf8)
            let localName = entry.localName.map { Array($0.utf8) } ?? name
            let extra: [UInt8] =
                uses64Bit
                ? littleEndian(UInt16(1)) + littleEndian(UInt16(24)) + littleEndian(size) + littleEndian(size)
                    + littleEndian(start) : []
            body += [0x50, 0x4B, 3, 4, 20, 0] + littleEndian(entry.flags) + littleEndian(entry.method)
            body += [UInt8](repeating: 0, count: 8)
            body += littleEndian(UInt32(truncatingIfNeeded: size)) + littleEndian(UInt32(truncatingIfNeeded: size))
            body += littleEndian(UInt16(truncatingIfNeeded: localName.count)) + [0, 0] + localName + entry.data
            directory += [0x50, 0x4B, 1, 2, 20, 0, 20, 0] + littleEndian(entry.flags) + littleEndian(entry.method)
            directory += [UInt8](repeating: 0, count: 8) + narrow(size, UInt32.self) + narrow(size, UInt32.self)
            directory += littleEndian(UInt16(truncatingIfNeeded: name.count)) + littleEndian(UInt16(extra.count))
            directory += [UInt8](repeating: 0, count: 10) + narrow(start, UInt32.self) + name + extra
        }
        let start = directoryStart ?? UInt64(body.count)
        let size = directorySize ?? UInt64(directory.count)
        let count = count ?? UInt64(entries.count)
        body += directory
        if uses64Bit {
            let record = body.count
            body += [0x50, 0x4B, 6, 6] + littleEndian(UInt64(44)) + [UInt8](repeating: 0, count: 12)
            body += littleEndian(count) + littleEndian(count) + littleEndian(size) + littleEndian(start)
            body += [0x50, 0x4B, 6, 7, 0, 0, 0, 0] + littleEndian(UInt64(record)) + littleEndian(UInt32(1))
        }
        body += [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + narrow(count, UInt16.self) + narrow(count, UInt16.self)
        body += narrow(size, UInt32.self) + narrow(start, UInt32.self)
        return body + littleEndian(UInt16(truncatingIfNeeded: comment.count)) + comment
    }
}
