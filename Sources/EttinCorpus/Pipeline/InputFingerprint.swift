import EttinFiles
import EttinJSON

/// What identifies an input in a manifest: path, size and hash.
enum InputFingerprint {
    /// The fingerprint of a file's bytes as they lie on the disk, or of a data set's index.
    ///
    /// An index names its shards with their sizes and, when the writer was told to, their hashes.
    static func of(_ input: CorpusInput) throws -> JSONValue {
        let path = input.format == .mds ? FilePath.joined(input.path, MDSIndex.fileName) : input.path
        return [
            "path": .string(input.path), "format": .string(input.format.rawValue),
            "bytes": JSONValue(input.byteCount), "xxh64": .string(try hash(path)),
        ]
    }

    static func hash(_ path: String) throws -> String {
        let stream = try ByteStream(CorpusInput(path: path, format: .text, byteCount: 0, packing: .none))
        var state = XXHash64State()
        var block = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = try block.withUnsafeMutableBytes { bytes in
                let count = try stream.read(into: bytes)
                state.update(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[..<count]))
                return count
            }
            if count == 0 { break }
        }
        let digits = String(state.value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
