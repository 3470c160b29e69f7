import Foundation

/// Little-endian bytes of a number.
package func little(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

/// A safetensors file with the given header text.
package func safetensors(_ header: String, data: [UInt8] = []) -> [UInt8] {
    little(UInt64(header.utf8.count)) + header.utf8 + data
}

/// A ZIP archive of stored entries, with each part open to be spoiled.
package struct ZipBuilder {
    package struct Entry {
        package var name: String
        package var data: [UInt8]
        package var method: UInt16 = 0
        package var flags: UInt16 = 0
        package var localName: String?
        package var offset: Int?
        package var size: UInt32?
    }

    package var entries: [Entry] = []
    package var comment: [UInt8] = []
    package var is64Bit = false
    package var count: UInt16?

    package init(_ entries: [(String, [UInt8])]) {
        self.entries = entries.map { Entry(name: $0.0, data: $0.1) }
    }

    package var bytes: [UInt8] {
        var body: [UInt8] = []
        var directory: [UInt8] = []
        for entry in entries {
            let start = entry.offset ?? body.count
            let size = entry.size ?? UInt32(entry.data.count)
            let localName = Array((entry.localName ?? entry.name).utf8)
            body += [0x50, 0x4B, 3, 4] + little(UInt16(20)) + little(entry.flags) + little(entry.method)
            body += [UInt8](repeating: 0, count: 8) + little(size) + little(size)
            body += little(UInt16(localName.count)) + [0, 0] + localName + entry.data
            let name = Array(entry.name.utf8)
            let extra = is64Bit ? little(UInt16(1)) + little(UInt16(24)) + sizes64(entry, start) : []
            directory += [0x50, 0x4B, 1, 2] + little(UInt32(20)) + little(entry.flags) + little(entry.method)
            directory += [UInt8](repeating: 0, count: 8)
            directory += is64Bit ? little(UInt32.max) + little(UInt32.max) : little(size) + little(size)
            directory += little(UInt16(name.count)) + little(UInt16(extra.count)) + [UInt8](repeating: 0, count: 10)
            directory += (is64Bit ? little(UInt32.max) : little(UInt32(start))) + name + extra
        }
        let start = body.count
        let total = count ?? UInt16(entries.count)
        body += directory
        if is64Bit {
            let end = body.count
            body += [0x50, 0x4B, 6, 6] + little(UInt64(44)) + [UInt8](repeating: 0, count: 12)
            body += little(UInt64(total)) + little(UInt64(total)) + little(UInt64(directory.count))
            body += little(UInt64(start))
            body += [0x50, 0x4B, 6, 7, 0, 0, 0, 0] + little(UInt64(end)) + little(UInt32(1))
            body += [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + [UInt8](repeating: 0xFF, count: 12)
        } else {
            body += [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + little(total) + little(total)
            body += little(UInt32(directory.count)) + little(UInt32(start))
        }
        return body + little(UInt16(comment.count)) + comment
    }

    private func sizes64(_ entry: Entry, _ start: Int) -> [UInt8] {
        little(UInt64(entry.data.count)) + little(UInt64(entry.data.count)) + little(UInt64(start))
    }
}

/// Writes pickles opcode by opcode.
package struct PickleBuilder {
    package private(set) var bytes: [UInt8]

    package init(version: UInt8 = 2) {
        bytes = [0x80, version]
    }

    package func raw(_ more: [UInt8]) -> PickleBuilder {
        var copy = self
        copy.bytes += more
        return copy
    }

    package func op(_ characters: String) -> PickleBuilder { raw(Array(characters.utf8)) }
    package func int(_ value: Int32) -> PickleBuilder { op("J").raw(little(value)) }
    package func text(_ value: String) -> PickleBuilder { op("X").raw(little(UInt32(value.utf8.count))).op(value) }
    package func global(_ module: String, _ name: String) -> PickleBuilder { op("c\(module)\n\(name)\n") }

    package func ints(_ values: [Int]) -> PickleBuilder {
        values.reduce(op("(")) { $0.raw([0x8A, 8] + little(Int64($1))) }.op("t")
    }

    /// A float32 tensor on a storage.
    package func tensor(
        _ shape: [Int],
        strides: [Int],
        offset: Int = 0,
        storage: String = "0",
        count: Int,
        type: String = "FloatStorage"
    ) -> PickleBuilder {
        global("torch._utils", "_rebuild_tensor_v2").op("((").text("storage").global("torch", type)
            .text(storage).text("cpu").raw([0x8A, 8] + little(Int64(count))).op("tQ")
            .raw([0x8A, 8] + little(Int64(offset))).ints(shape).ints(strides).raw([0x89])
            .global("collections", "OrderedDict").op(")RtR")
    }

    package var stopped: [UInt8] { bytes + [0x2E] }
}

/// The archive that torch.save would write.
package func torchFile(_ pickle: [UInt8], storages: [String: [UInt8]] = [:], byteOrder: String = "little") -> [UInt8] {
    var entries: [(String, [UInt8])] = [("x/data.pkl", pickle), ("x/byteorder", Array(byteOrder.utf8))]
    entries += storages.sorted { $0.key < $1.key }.map { ("x/data/" + $0.key, $0.value) }
    return ZipBuilder(entries + [("x/version", Array("3\n".utf8))]).bytes
}

/// Float32 values as bytes.
package func floats(_ values: [Float]) -> [UInt8] {
    values.flatMap { little($0.bitPattern) }
}
