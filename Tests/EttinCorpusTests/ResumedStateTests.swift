import EttinFiles
import EttinJSON
import TestSupport
import Testing

@testable import EttinCorpus

private struct Stop: Error {}

/// Journals of stopped runs that say something else than their shards.
@Suite("Journals against shards")
struct ResumedStateTests {
    enum Stage: String, CaseIterable, Sendable {
        case tokenize, chunk, sample, split, order, lines
    }

    private func options(_ output: String) -> StageOptions {
        let writing = MDSWriter.Options(compression: .zstandard, hashes: [.xxh64], sizeLimit: 6000)
        return StageOptions(output: output, writing: writing)
    }

    private func run(_ stage: Stage, _ folder: TemporaryFolder, _ output: String, stopsAt limit: Int? = nil) throws {
        var options = options(folder.file(output))
        var reports = 0
        options.progress = { _ in
            reports += 1
            if reports == limit { throw Stop() }
        }
        let data = folder.file("data")
        switch stage {
        case .tokenize:
            try TokenizeStage(
                inputs: [folder.file("corpus.jsonl")],
                reading: ReadingOptions(emptyDocuments: .skip),
                tokenizer: byteTokenizer()
            ).run(options)
        case .chunk:
            let chunking = try ChunkOptions(chunkSize: 20, minimumSize: 10, alwaysSkipSize: 5)
            try ChunkStage(input: data, tokenizer: byteTokenizer(), chunking: chunking).run(options)
        case .sample: try SampleStage(input: data).run(options)
        case .split: try SplitStage(input: data, fraction: 0.5).run(options)
        case .order, .lines: try OrderExportStage(input: data, batchSize: 4).run(options)
        }
    }

    private func output(_ stage: Stage) -> String { stage == .lines ? "x.jsonl" : "x" }

    private func journal(_ stage: Stage) -> String {
        switch stage {
        case .lines: ".x.jsonl.progress.jsonl"
        case .split: "x/validation/.progress.jsonl"
        default: "x/.progress.jsonl"
        }
    }

    /// A run that was stopped after some shards.
    private func stopped(_ stage: Stage) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let lines = (0..<3000).map { "{\"id\": \"d\($0)\", \"text\": \"\($0 % 7 == 3 ? "" : "text \($0)")\"}\n" }
        try folder.write(lines.joined(), "corpus.jsonl")
        let columns: [(name: String, encoding: MDSEncoding)] = [
            ("id", .string), ("input_ids", .array(element: .uint16, shape: nil)),
        ]
        let writer = try MDSWriter(folder: folder.file("data"), columns: columns)
        for sample in 0..<1200 {
            let ids = (0...sample % 50).map { Int32(5 + 97 + ($0 + sample) % 20) }
            let array = try MDSArray(tokenIDs: ids, element: .uint16)
            try writer.append(["id": .string("doc-\(sample)"), "input_ids": .array(array)])
        }
        try writer.finish()
        // Reports come after 256 records, or after a batch of documents.
        let limit = stage == .tokenize || stage == .chunk ? 1 : 3
        #expect(throws: Stop.self) { try run(stage, folder, output(stage), stopsAt: limit) }
        #expect(try folder.read(journal(stage)).split(separator: 0x0A).count > 3)
        return folder
    }

    @Test("A journal whose counts are not those of the shards is refused by name", arguments: Stage.allCases)
    func counts(_ stage: Stage) throws {
        let folder = try stopped(stage)
        let path = journal(stage)
        let text = try folder.read(path)
        var lines = text.split(separator: 0x0A).map { Array($0) }
        let last = lines.removeLast()
        let entry = try #require(try JSONValue(parsing: last).objectValue)
        let state = try #require(entry["state"]?.objectValue)
        let unbounded: Set = ["duplicated", "skipped"]
        for member in state where !unbounded.contains(member.key) {
            let count = member.value.intValue ?? 0
            for hostile in [0, count + 1, Int.max] where hostile != count {
                var changed = state
                changed[member.key] = JSONValue(hostile)
                var line = entry
                line["state"] = .object(changed)
                let bytes = (lines + [JSONValue.object(line).serialized(), []]).joined(separator: [0x0A])
                try folder.write(Array(bytes), path)
                let error = #expect(throws: CorpusError.self, "\(member.key) \(hostile)") {
                    try run(stage, folder, output(stage))
                }
                #expect(error?.file == folder.file(path))
                #expect(error?.description.contains("line \(lines.count + 1)") == true)
            }
            var changed = state
            changed[member.key] = nil
            var line = entry
            line["state"] = .object(changed)
            let bytes = (lines + [JSONValue.object(line).serialized(), []]).joined(separator: [0x0A])
            try folder.write(Array(bytes), path)
            #expect(throws: CorpusError.self) { try run(stage, folder, output(stage)) }
        }
        try folder.write(text, path)
        try run(stage, folder, output(stage))
        try run(stage, folder, stage == .lines ? "whole.jsonl" : "whole")
        let names = stage == .lines ? [""] : try FilePath.names(inFolder: folder.file("whole"))
        for name in names where name != "train" && name != "validation" {
            let (left, right) = stage == .lines ? ("x.jsonl", "whole.jsonl") : ("x/\(name)", "whole/\(name)")
            #expect(try folder.read(left) == folder.read(right))
        }
    }

    @Test("Shards that are not as the journal has them are refused by name")
    func shards() throws {
        let folder = try stopped(.tokenize)
        let path = "x/shard.00001.mds.zstd"
        let bytes = try folder.read(path)
        func message() -> String {
            #expect(throws: CorpusError.self) { try run(.tokenize, folder, "x") }?.description ?? ""
        }
        try folder.write(bytes + [0], path)
        #expect(message().contains("has \(bytes.count + 1) bytes; expected the \(bytes.count) of"))
        try folder.write(bytes.dropLast() + [bytes[bytes.count - 1] ^ 1], path)
        #expect(message().contains("hash xxh64"))
        try folder.write(bytes, path)
        let journal = String(decoding: try folder.read("x/.progress.jsonl"), as: UTF8.self)
        var lines = journal.split(separator: "\n", omittingEmptySubsequences: false)
        lines.insert(lines[2], at: 2)
        try folder.write(lines.joined(separator: "\n"), "x/.progress.jsonl")
        #expect(message().contains("names the shard"))
        try folder.write(journal, "x/.progress.jsonl")
        try run(.tokenize, folder, "x")
    }
}
