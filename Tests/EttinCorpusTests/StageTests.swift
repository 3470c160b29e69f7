import EttinFiles
import EttinJSON
import EttinTokenizer
import TestSupport
import Testing

@testable import EttinCorpus

/// The names and contents of all files of a folder.
private func contents(_ folder: TemporaryFolder, _ name: String) throws -> [String: [UInt8]] {
    let names = try FilePath.names(inFolder: folder.file(name))
    return Dictionary(uniqueKeysWithValues: try names.map { ($0, try folder.read("\(name)/\($0)")) })
}

private struct Stop: Error {}

@Suite("Stages of the pipeline")
struct StageTests {
    /// Words in documents of very different lengths, in three files.
    private func corpus(_ folder: TemporaryFolder) throws -> [String] {
        try (0..<3).map { file in
            let lines = (0..<60).map { line in
                let words = (0..<(line * line % 97)).map { "w\($0 * line)" }.joined(separator: " ")
                return "{\"id\": \"\(file)-\(line)\", \"text\": \"x\(words)\"}\n"
            }
            return try folder.write(lines.joined(), "\(file).jsonl")
        }
    }

    private func options(_ folder: TemporaryFolder, _ name: String, part: JobPart = .whole) -> StageOptions {
        let writing = MDSWriter.Options(compression: .zstandard, hashes: [.xxh64], sizeLimit: 3000)
        return StageOptions(output: folder.file(name), part: part, writing: writing, threads: 2)
    }

    private func tokenStage(_ inputs: [String]) throws -> TokenizeStage {
        TokenizeStage(inputs: inputs, tokenizer: try byteTokenizer())
    }

    private func chunkStage(_ input: String, _ draws: ChunkOptions.Draws = .sequence(seed: 42)) throws -> ChunkStage {
        let chunking = try ChunkOptions(chunkSize: 50, minimumSize: 30, alwaysSkipSize: 5, draws: draws)
        return ChunkStage(input: input, tokenizer: try byteTokenizer(), chunking: chunking)
    }

    @Test("Documents become ids with a prefix space and special tokens, in order")
    func tokenizing() throws {
        let folder = try TemporaryFolder()
        let inputs = try corpus(folder)
        let manifest = try tokenStage(inputs).run(options(folder, "tokens"))
        let dataset = try MDSDataset(folder: folder.file("tokens"))
        #expect(dataset.sampleCount == 180)
        #expect(dataset.index.shards.count > 5)
        let expected = try documents(inputs)
        for (sample, document) in expected.enumerated() {
            let values = try dataset.values(at: sample)
            #expect(values["id"] == .string(document.id))
            let ids = [1] + byteIDs(" " + document.text) + [2]
            #expect(try dataset.tokenIDs(at: sample) == ids)
            #expect(values["len"] == .integer(Int64(ids.count)))
        }
        let total = expected.reduce(0) { $0 + $1.text.utf8.count + 3 }
        #expect(manifest["results"]?["tokens"]?.intValue == total)
        #expect(try JSONValue(parsing: folder.read("tokens/num_tokens.json"))["num_tokens"]?.intValue == total)
        #expect(manifest["inputs"]?.arrayValue?.count == 3)
        #expect(dataset.verified(tokenColumn: "input_ids", vocabularySize: 261).problems.isEmpty)
        #expect(try FilePath.names(inFolder: folder.file("tokens")).allSatisfy { !$0.hasPrefix(".") })
    }

    @Test("Chunks are those of the chunker, and the statistics count them")
    func chunking() throws {
        let folder = try TemporaryFolder()
        try tokenStage(corpus(folder)).run(options(folder, "tokens"))
        let stage = try chunkStage(folder.file("tokens"))
        let manifest = try stage.run(options(folder, "chunks"))
        let tokens = try MDSDataset(folder: folder.file("tokens"))
        let chunks = try MDSDataset(folder: folder.file("chunks"))
        let chunker = try Chunker(tokenizer: byteTokenizer(), options: stage.chunking)
        var sequence = NumPyLegacyGenerator(seed: 42)
        var sample = 0
        var written = 0
        for document in 0..<tokens.sampleCount {
            let ids = try tokens.tokenIDs(at: document)
            let draw = stage.chunking.drawBound(idCount: ids.count).map { sequence.integer(in: 0..<$0) } ?? 0
            for chunk in chunker.chunks(of: ids, draw: draw).chunks {
                #expect(try chunks.tokenIDs(at: sample) == chunk)
                #expect(try chunks.values(at: sample)["id"] == tokens.values(at: document)["id"])
                sample += 1
                written += chunk.count
            }
        }
        #expect(chunks.sampleCount == sample)
        let deciles = try JSONValue(parsing: folder.read("chunks/token_decile.json"))
        #expect(deciles.objectValue?.keys == (0...8).map { "\($0)k" })
        #expect(deciles["0k"]?.arrayValue?.compactMap(\.intValue) == Array(0..<sample))
        #expect(deciles["1k"]?.arrayValue?.isEmpty == true)
        let statistics = try JSONValue(parsing: folder.read("chunks/stats.json"))
        #expect(statistics["total_tokens_written"]?.intValue == written)
        #expect(statistics["percentiles"]?["100th"]?.intValue ?? 0 > 40)
        #expect(manifest["results"]?["samples"]?.intValue == sample)
    }

    @Test("A run that was stopped anywhere and continued has the bytes of one that was not", arguments: 0..<3)
    func resuming(kind: Int) throws {
        let folder = try TemporaryFolder()
        let inputs = try corpus(folder)
        try tokenStage(inputs).run(options(folder, "tokens"))
        let draws = kind == 1 ? ChunkOptions.Draws.sequence(seed: 42) : .perDocument(seed: 7)
        let run = { (options: StageOptions) in
            if kind == 0 {
                try tokenStage(inputs).run(options)
            } else {
                try chunkStage(folder.file("tokens"), draws).run(options)
            }
        }
        let whole = try run(options(folder, "whole"))
        let expected = try contents(folder, "whole")
        for limit in 1...3 {
            let name = "stopped-\(limit)"
            var stops = 0
            // Each attempt stops at its `limit`-th report, until one comes through.
            while true {
                var reports = 0
                var options = options(folder, name)
                options.progress = { _ in
                    reports += 1
                    if reports == limit, stops < 4 { throw Stop() }
                }
                do {
                    #expect(try run(options) == whole)
                    break
                } catch is Stop {
                    stops += 1
                    #expect(!FilePath.exists(folder.file(name) + "/index.json"))
                }
            }
            #expect(try contents(folder, name) == expected)
        }
    }

    @Test("What a kill leaves half-written is cleared away")
    func debris() throws {
        let folder = try TemporaryFolder()
        let inputs = try corpus(folder)
        try tokenStage(inputs).run(options(folder, "whole"))
        var stopping = options(folder, "x")
        stopping.progress = { _ in throw Stop() }
        #expect(throws: Stop.self) { try tokenStage(inputs).run(stopping) }
        var journal = try folder.read("x/.progress.jsonl")
        let lines = journal.split(separator: 0x0A).count
        #expect(lines > 2)
        // A line that was being written, a temporary file, and a shard that is not in place.
        journal += Array("{\"shard\": {\"colu".utf8)
        try folder.write(journal, "x/.progress.jsonl")
        try folder.write("half", "x/.shard.00007.mds.zstd.abc.tmp")
        try FilePath.remove(folder.file("x/shard.00002.mds.zstd"))
        try tokenStage(inputs).run(options(folder, "x"))
        #expect(try contents(folder, "x") == contents(folder, "whole"))
    }

    @Test("A finished folder is left alone; other inputs or parameters are refused")
    func refusals() throws {
        let folder = try TemporaryFolder()
        let inputs = try corpus(folder)
        let manifest = try tokenStage(inputs).run(options(folder, "x"))
        let before = try contents(folder, "x")
        #expect(try tokenStage(inputs).run(options(folder, "x")) == manifest)
        #expect(try contents(folder, "x") == before)
        let finished = #expect(throws: CorpusError.self) { try tokenStage([inputs[0]]).run(options(folder, "x")) }
        #expect(finished?.description.contains("\"inputs\" differ") == true)

        var stopping = options(folder, "y")
        stopping.progress = { _ in throw Stop() }
        #expect(throws: Stop.self) { try tokenStage(inputs).run(stopping) }
        var other = try tokenStage(inputs)
        other.reading.emptyDocuments = .skip
        let unfinished = #expect(throws: CorpusError.self) { try other.run(options(folder, "y")) }
        #expect(unfinished?.description.contains("unfinished run whose \"parameters\" differ") == true)
        _ = try makeDataset(folder, "z", sampleCount: 3)
        #expect(throws: CorpusError.self) { try tokenStage(inputs).run(options(folder, "z")) }
    }

    @Test("Two runs cannot write one folder at the same time")
    func locking() throws {
        let folder = try TemporaryFolder()
        func journal() throws -> StageJournal {
            try StageJournal(path: folder.file("journal"), output: "out", header: ["a": 1]) { _, _ in true }
        }
        let first = try journal()
        let error = #expect(throws: CorpusError.self) { try journal() }
        #expect(error?.description.contains("another process") == true)
        #expect(first.entries.isEmpty)
    }

    @Test("The parts of a divided job, merged, hold what the whole holds", arguments: [2, 5])
    func parts(count: Int) throws {
        let folder = try TemporaryFolder()
        let inputs = try corpus(folder)
        try tokenStage(inputs).run(options(folder, "whole"))
        try chunkStage(folder.file("whole"), .perDocument(seed: 1)).run(options(folder, "whole-chunks"))
        for index in 0..<count {
            let part = try JobPart(index: index, count: count)
            try tokenStage(inputs).run(options(folder, "parts/\(index)", part: part))
        }
        try MDSIndex.merge(folder: folder.file("parts"))
        for index in 0..<count {
            let part = try JobPart(index: index, count: count)
            let stage = try chunkStage(folder.file("parts"), .perDocument(seed: 1))
            try stage.run(options(folder, "chunks/\(index)", part: part))
        }
        try MDSIndex.merge(folder: folder.file("chunks"))
        for (merged, whole) in [("parts", "whole"), ("chunks", "whole-chunks")] {
            let left = try MDSDataset(folder: folder.file(merged))
            let right = try MDSDataset(folder: folder.file(whole))
            #expect(left.sampleCount == right.sampleCount)
            for sample in 0..<right.sampleCount {
                #expect(try left.values(at: sample) == right.values(at: sample))
            }
        }
    }

    @Test("A bad document, an unknown id and an empty sample end the run without an index")
    func badInput() throws {
        let folder = try TemporaryFolder()
        let inputs = try corpus(folder) + [folder.write("{\"text\": \"a\"}\n{\"text\": 3}\n", "bad.jsonl")]
        let error = #expect(throws: CorpusError.self) { try tokenStage(inputs).run(options(folder, "x")) }
        #expect(error?.description.contains("bad.jsonl: line 2") == true)
        #expect(!FilePath.exists(folder.file("x/index.json")))
        #expect(!FilePath.exists(folder.file("x/manifest.json")))

        let dataset = try makeDataset(folder, "ids", sampleCount: 2, firstToken: 261)
        let unknown = #expect(throws: CorpusError.self) { try chunkStage(dataset).run(options(folder, "y")) }
        #expect(unknown?.description.contains("sample 0 holds the id 261") == true)
        #expect(throws: CorpusError.self) { try chunkStage(folder.file("0.jsonl")).run(options(folder, "z")) }
    }
}
