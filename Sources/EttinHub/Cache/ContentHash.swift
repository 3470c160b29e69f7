import EttinFiles
import EttinHashing

/// The content id of a file, computed while it passes by.
///
/// Large files are known by the SHA-256 of their content, small ones by git's SHA-1 of a header with the size and the
/// content; the number of digits of an id tells which.
struct ContentHash {
    private var hash: RunningHash

    /// Starts the kind of hash that an id is; nil when it is neither, so that nothing can be checked.
    init?(matching id: String, size: Int?) {
        guard isHexadecimal(id) else { return nil }
        switch (id.utf8.count, size) {
        case (64, _): self = .sha256
        case (40, .some(let size)): self = .gitBlob(size: size)
        default: return nil
        }
    }

    private init(_ algorithm: RunningHash.Algorithm) {
        hash = RunningHash(algorithm)
    }

    /// The SHA-256 of contents.
    static var sha256: ContentHash { ContentHash(.sha256) }

    /// Git's id of contents of a known size.
    static func gitBlob(size: Int) -> ContentHash {
        var hash = ContentHash(.sha1)
        Array("blob \(size)\0".utf8).withUnsafeBytes { hash.update($0) }
        return hash
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        hash.update(bytes)
    }

    /// Adds a part of a file.
    mutating func update(_ file: OpenFile, _ range: Range<Int>) throws {
        var position = range.lowerBound
        while position < range.upperBound {
            let count = min(1 << 20, range.upperBound - position)
            let bytes = try HubError.translating { try file.read(at: position, count: count) }
            guard !bytes.isEmpty else { throw HubError.file(path: file.path, reason: "it became shorter while read") }
            bytes.withUnsafeBytes { update($0) }
            position += bytes.count
        }
    }

    /// The id in hexadecimal digits.
    func finalized() -> String {
        hash.digest().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
