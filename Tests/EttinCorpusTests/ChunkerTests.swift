import EttinTokenizer
import TestSupport
import Testing

@testable import EttinCorpus

@Suite("Chunking")
struct ChunkerTests {
    /// Lengths of the chunks of a document of so many words of two bytes, where every piece begins with a space.
    private func lengths(_ idCount: Int, draw: Int = 0, _ options: ChunkOptions) throws -> [Int] {
        try chunk(idCount, draw: draw, options).chunks.map(\.count)
    }

    private func chunk(_ idCount: Int, draw: Int = 0, _ options: ChunkOptions) throws -> Chunker.Result {
        let ids = Array(byteIDs(String(repeating: " a", count: idCount)).prefix(idCount))
        return try Chunker(tokenizer: byteTokenizer(), options: options).chunks(of: ids, draw: draw)
    }

    @Test("The example of the published rules: 2500 ids, first draw 102")
    func example() throws {
        let options = try ChunkOptions()
        let bound = try #require(options.drawBound(idCount: 2500))
        #expect(bound == 566)
        var sequence = NumPyLegacyGenerator(seed: 42)
        let draw = sequence.integer(in: 0..<bound)
        #expect(draw == 102)
        // 1022, 920 and 558 ids, each with the start token in front.
        #expect(try lengths(2500, draw: draw, options) == [1023, 921, 559])
    }

    @Test("Short pieces are kept, filled or left out as the options say")
    func rules() throws {
        let options = try ChunkOptions(chunkSize: 12, minimumSize: 6, alwaysSkipSize: 3)
        #expect(try lengths(2, options) == [3])
        #expect(try lengths(10, options) == [11])
        #expect(try lengths(12, options) == [11])
        #expect(try chunk(12, options).skippedTokenCount == 2)
        #expect(try lengths(16, options) == [11, 7])
        #expect(options.drawBound(idCount: 16) == nil)
        #expect(options.drawBound(idCount: 14) == 6)
        #expect(try lengths(14, draw: 0, options) == [11, 5])
        #expect(try lengths(14, draw: 4, options) == [7, 9])
        var without = options
        without.backfills = false
        #expect(try lengths(14, without) == [11])
        #expect(try chunk(14, without).skippedTokenCount == 4)
        #expect(without.drawBound(idCount: 14) == nil)
        var strict = options
        strict.skipsShortFirst = true
        #expect(try lengths(2, strict) == [])
        var copying = options
        copying.duplicatesBackfill = true
        #expect(try lengths(14, copying) == [11, 11])
        #expect(try chunk(14, copying).duplicatedTokenCount == 6)
        #expect(options.folderSuffix == "chunked-12-6-3-backfill-nodups")
    }

    @Test("A chunk that begins within a word is encoded anew with a space and special tokens")
    func prefixSpace() throws {
        let chunker = try Chunker(
            tokenizer: byteTokenizer(),
            options: ChunkOptions(chunkSize: 8, minimumSize: 1, alwaysSkipSize: 1)
        )
        let ids = [1] + byteIDs(" abcdefgh") + [2]
        let chunks = chunker.chunks(of: ids, draw: 0).chunks
        #expect(chunks == [[1] + byteIDs(" abcd"), [1] + byteIDs(" efgh") + [2]])
        // What does not fit the chunk with its new space is cut off, as in the original.
        let long = chunker.chunks(of: byteIDs("abcdef"), draw: 0).chunks
        #expect(long == [[1] + byteIDs(" abcdef")])
    }

    @Test("Special tokens alone and a chunk that would lose everything stay, where the original fails")
    func robustness() throws {
        let options = try ChunkOptions(chunkSize: 8, minimumSize: 4, alwaysSkipSize: 1)
        let chunker = try Chunker(tokenizer: byteTokenizer(), options: options)
        #expect(chunker.chunks(of: [1, 2], draw: 0).chunks == [[1, 2]])
        let ids = [3, 3, 3, 3, 3, 3] + byteIDs(" a")
        #expect(chunker.chunks(of: ids, draw: 100).chunks.count == 2)
        #expect(chunker.chunks(of: [], draw: 0).chunks.isEmpty)
    }

    @Test("An end token is added where it is missing")
    func endToken() throws {
        var options = try ChunkOptions()
        options.addsEndToken = true
        let chunker = try Chunker(tokenizer: byteTokenizer(), options: options)
        #expect(chunker.completed([1, 7]) == [1, 7, 2])
        #expect(chunker.completed([1, 7, 2]) == [1, 7, 2])
    }

    @Test("Sizes that contradict one another are refused", arguments: [(2, 0, 0), (10, 9, 1), (10, 4, -1)])
    func refused(sizes: (Int, Int, Int)) {
        #expect(throws: CorpusError.self) {
            try ChunkOptions(chunkSize: sizes.0, minimumSize: sizes.1, alwaysSkipSize: sizes.2)
        }
    }

    @Test("Percentiles are NumPy's")
    func percentiles() {
        var histogram = LengthHistogram()
        for length in [5, 1, 9, 9, 2, 30] { histogram.add(length) }
        // numpy.percentile([5, 1, 9, 9, 2, 30], [0, 10, 50, 95, 100])
        #expect([0, 10, 50, 95, 100].map { histogram.percentile($0) } == [1, 1.5, 7, 24.75, 30])
        #expect(LengthHistogram().percentile(50) == nil)
    }
}

@Suite("Chunks by thousands of tokens")
struct TokenDecileTests {
    @Test("Every chunk is listed once under its thousand")
    func listing() throws {
        let folder = try TemporaryFolder()
        let writer = try MDSWriter(
            folder: folder.file("x"),
            columns: [("input_ids", .array(element: .uint16, shape: nil))],
            options: MDSWriter.Options(compression: .zstandard, sizeLimit: 5000)
        )
        for length in [999, 1000, 10_500, 1, 1999] {
            let ids = [Int32](repeating: 7, count: length)
            try writer.append(["input_ids": .array(try MDSArray(tokenIDs: ids, element: .uint16))])
        }
        try writer.finish()
        let dataset = try MDSDataset(folder: folder.file("x"), decompression: .intoMemory)
        try TokenDeciles.write(dataset, column: "input_ids", toFolder: folder.path)
        let text = String(decoding: try folder.read("token_decile.json"), as: UTF8.self)
        let empty = (2...9).map { "\"\($0)k\": []" }.joined(separator: ", ")
        #expect(text == "{\"0k\": [0, 3], \"1k\": [1, 4], \(empty), \"10k\": [2]}")
    }
}
