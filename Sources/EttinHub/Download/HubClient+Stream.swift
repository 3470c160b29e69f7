extension HubClient {
    /// Streams a file of a repository without caching it.
    ///
    /// Broken connections are resumed, so that every byte is delivered once and in order. The checksum is only known at
    /// the end: if it does not match, the error is thrown after the last bytes.
    ///
    /// - Parameters:
    ///   - path: The path of the file in the repository.
    ///   - reference: The repository and revision.
    ///   - body: Receives the next bytes; the transfer waits for it.
    /// - Throws: `HubError`, or what `body` throws.
    public func read(
        _ path: String,
        of reference: HubReference,
        _ body: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        let path = try RepositoryPath(path, in: reference.repository)
        let metadata = try await metadata(of: path, reference, retries: true)
        let commit = try HubReference(reference.repository, revision: metadata.commit)
        let transfer = ContentTransfer(
            session: session,
            path: path.text,
            metadata: metadata,
            freshAddress: try address(of: path, commit)
        )
        var content = StreamedContent(metadata: metadata, body: body)
        do {
            try await transfer.run(into: &content)
        } catch let failure as ReaderFailure {
            throw failure.underlying
        }
        guard let found = content.checksum, found != metadata.etag else { return }
        throw HubError.corruptDownload(path: path.text, expected: "the checksum \(metadata.etag)", found: found)
    }
}

/// An error of the one who reads, which no new connection cures.
struct ReaderFailure: Error {
    let underlying: any Error
}

/// Bytes that are given out as they arrive.
private struct StreamedContent: ContentReceiver {
    private let body: @Sendable ([UInt8]) async throws -> Void
    private var hash: ContentHash?
    private(set) var received = 0
    private var delivered = 0

    init(metadata: FileMetadata, body: @escaping @Sendable ([UInt8]) async throws -> Void) {
        self.body = body
        hash = ContentHash(matching: metadata.etag, size: metadata.size)
    }

    var checksum: String? { hash?.finalized() }

    /// The server begins again, and what was given out already is passed over.
    mutating func restart() {
        received = 0
    }

    mutating func append(_ part: [UInt8]) async throws {
        let known = min(delivered - received, part.count)
        received += part.count
        let bytes = known == 0 ? part : Array(part.dropFirst(known))
        guard !bytes.isEmpty else { return }
        bytes.withUnsafeBytes { hash?.update($0) }
        delivered += bytes.count
        do {
            try await body(bytes)
        } catch {
            throw ReaderFailure(underlying: error)
        }
    }
}
