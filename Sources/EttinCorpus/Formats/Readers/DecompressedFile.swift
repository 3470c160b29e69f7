package import EttinFiles

/// The content of a file whose name tells its compression: `.gz`, `.zst`, `.zstd`.
package enum DecompressedFile {
    /// The name without what tells the compression; nil for a file that is not compressed.
    ///
    /// - Parameter path: The file.
    /// - Returns: Such as `train.jsonl` for `train.jsonl.gz`.
    package static func plainName(_ path: String) -> String? {
        let name = path.lowercased()
        return [".gz", ".zst", ".zstd"].first { name.hasSuffix($0) }.map { String(path.dropLast($0.count)) }
    }

    /// Decompresses a file into a temporary one.
    ///
    /// - Parameter path: The file.
    /// - Returns: A map of its content.
    /// - Throws: `CorpusError` when it cannot be read or decompressed, `FileError` when the temporary file cannot be
    ///   written.
    package static func mapped(_ path: String) throws -> MappedFile {
        let spool = try SpoolFile(for: path)
        guard let input = try CorpusInput.find([path], format: .jsonLines).first else {
            return try spool.mapped(as: path)
        }
        let stream = try ByteStream(input)
        var block = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = try block.withUnsafeMutableBytes { try stream.read(into: $0) }
            guard count > 0 else { break }
            try block.withUnsafeBytes { try spool.write(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
        return try spool.mapped(as: path)
    }
}
