import EttinPrimitives

/// A document with the random number that cutting it takes.
struct DocumentToChunk: Sendable {
    let id: String
    let ids: [Int32]
    let draw: Int
}

/// Reads tokenised documents in order and draws their random numbers in that order.
struct ChunkInput {
    private static let batchTokens = 1 << 18

    private let dataset: MDSDataset
    private var range: Range<Int>
    private let chunker: Chunker
    private let vocabularySize: Int
    private var sequence = NumPyLegacyGenerator(seed: 0)

    init(_ dataset: MDSDataset, _ range: Range<Int>, _ chunker: Chunker, vocabularySize: Int) {
        self.dataset = dataset
        self.range = range
        self.chunker = chunker
        self.vocabularySize = vocabularySize
        if case .sequence(let seed) = chunker.options.draws { sequence = NumPyLegacyGenerator(seed: seed) }
    }

    /// Passes over documents that an earlier run has finished, with their random numbers.
    mutating func skip(_ count: Int) throws {
        guard case .sequence = chunker.options.draws else {
            range = min(range.upperBound, range.lowerBound + count)..<range.upperBound
            return
        }
        for _ in 0..<count { _ = try nextDocument() }
    }

    /// The next documents; nil when there are no more.
    mutating func next() throws -> [DocumentToChunk]? {
        var documents: [DocumentToChunk] = []
        var tokenCount = 0
        while tokenCount < Self.batchTokens, documents.count < 4096, let document = try nextDocument() {
            documents.append(document)
            tokenCount += document.ids.count
        }
        return documents.isEmpty ? nil : documents
    }

    private mutating func nextDocument() throws -> DocumentToChunk? {
        guard let sample = range.first else { return nil }
        range.removeFirst()
        let (position, local) = dataset.location(of: sample)
        let shard = try dataset.shard(position)
        let column = try shard.column("input_ids")
        let ids = chunker.completed(try shard.tokenIDs(sample: local, column: column))
        if let unknown = ids.first(where: { $0 < 0 || Int($0) >= vocabularySize }) {
            throw shard.malformed(
                local,
                "holds the id \(unknown)",
                "ids from 0 to \(vocabularySize - 1), as the tokenizer has them"
            )
        }
        guard !ids.isEmpty else { throw shard.malformed(local, "has no ids", "at least one") }
        let id = try shard.withDocumentID(of: local) { String(decoding: $0, as: UTF8.self) } ?? String(sample)
        guard let bound = chunker.options.drawBound(idCount: ids.count) else {
            return DocumentToChunk(id: id, ids: ids, draw: 0)
        }
        let draw: Int
        switch chunker.options.draws {
        case .sequence: draw = sequence.integer(in: 0..<bound)
        case .perDocument(let seed):
            let stream = Array(id.utf8).withUnsafeBytes { XXHash.hash64($0) }
            draw = Int(UInt64(Philox(seed: seed, stream: stream).words(atBlock: 0)[0]) * UInt64(bound) >> 32)
        }
        return DocumentToChunk(id: id, ids: ids, draw: draw)
    }
}
