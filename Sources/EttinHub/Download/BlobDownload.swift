import EttinFiles

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Fetches one content into the cache.
///
/// The partial content has the name that older Python clients use for resuming, `ID.incomplete`, and is resumed by a
/// later process, too. It becomes the blob by renaming, after size and checksum are found right.
struct BlobDownload {
    let transfer: ContentTransfer
    /// The path of the complete content.
    let blob: String
    /// Whether no other process writes to the partial file.
    let isAlone: Bool

    func run() async throws {
        let partial = isAlone ? "\(blob).incomplete" : "\(blob).\(FilePath.randomName()).incomplete"
        defer { if !isAlone { unlink(partial) } }
        let file = try HubError.translating { try OpenFile(partial, .update) }
        do {
            try await fetch(into: file)
        } catch HubError.corruptDownload {
            // What was resumed may stem from something else; once more from nothing.
            try HubError.translating { try file.truncate(to: 0) }
            do {
                try await fetch(into: file)
            } catch let error as HubError {
                if case .corruptDownload = error { unlink(partial) }
                throw error
            }
        }
        try HubError.translating {
            try file.sync()
            try FilePath.putInPlace(partial, as: blob)
        }
    }

    private func fetch(into file: OpenFile) async throws {
        var content = try PartialContent(file: file, metadata: transfer.metadata)
        try await transfer.run(into: &content)
        guard let found = content.checksum, found != transfer.metadata.etag else { return }
        throw HubError.corruptDownload(
            path: transfer.path,
            expected: "the checksum \(transfer.metadata.etag)",
            found: found
        )
    }
}

/// The bytes received so far in a file, with their running checksum.
private struct PartialContent: ContentReceiver {
    private let file: OpenFile
    private let metadata: FileMetadata
    private var hash: ContentHash?
    private(set) var received: Int

    /// Goes on with what the file holds.
    init(file: OpenFile, metadata: FileMetadata) throws {
        self.file = file
        self.metadata = metadata
        hash = ContentHash(matching: metadata.etag, size: metadata.size)
        received = try HubError.translating { try file.size }
        if let size = metadata.size, received <= size {
            try hash?.update(file, 0..<received)
        } else {
            try restart()
        }
    }

    /// The content id of what was received; nil when the announced one is no checksum.
    var checksum: String? { hash?.finalized() }

    mutating func restart() throws {
        try HubError.translating { try file.truncate(to: 0) }
        received = 0
        hash = ContentHash(matching: metadata.etag, size: metadata.size)
    }

    mutating func append(_ part: [UInt8]) throws {
        try part.withUnsafeBytes { bytes in
            try HubError.translating { try file.write(bytes, at: received) }
            hash?.update(bytes)
        }
        received += part.count
    }
}
