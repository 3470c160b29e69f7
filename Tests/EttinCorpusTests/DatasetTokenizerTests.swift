import EttinFiles
import EttinJSON
import EttinTokenizer
import TestSupport
import Testing

@testable import EttinCorpus

@Suite("The tokenizer of a data set")
struct DatasetTokenizerTests {
    /// Tokens of a few documents, below a name.
    private func tokens(_ folder: TemporaryFolder, _ name: String, _ tokenizer: Tokenizer) throws -> String {
        let lines = (0..<30).map { "{\"id\": \"\($0)\", \"text\": \"\(String(repeating: "word ", count: 3 + $0))\"}\n" }
        let input = try folder.write(lines.joined(), "\(name).jsonl")
        try FilePath.makeFolder(folder.file("parts"))
        try TokenizeStage(inputs: [input], tokenizer: tokenizer).run(StageOptions(output: folder.file("parts/\(name)")))
        return folder.file("parts/\(name)")
    }

    private func chunking() throws -> ChunkOptions {
        try ChunkOptions(chunkSize: 40, minimumSize: 20, alwaysSkipSize: 5)
    }

    /// What is said of a data set and a tokenizer.
    private func notice(_ path: String, _ tokenizer: Tokenizer) throws -> String? {
        try DatasetTokenizer.check(path, against: tokenizer, from: "tok")
    }

    @Test("The tokenizer that made a data set is known in all its forms, and another is refused")
    func check() throws {
        try withTemporaryFolder { folder in
            let tokenizer = try byteTokenizer()
            let path = try tokens(folder, "a", tokenizer)
            #expect(try notice(path, tokenizer) == nil)
            #expect(try notice(path, tokenizer.withPrefixSpace(true)) == nil)
            #expect(try notice(path, tokenizer.withSpecialTokens(.bosEOS(addBOS: true, addEOS: true))) == nil)
            #expect(try notice(path, tokenizer.forDecoder()) == nil)
            // What a decoder's tokenizer made is no other's either.
            let decoders = try tokens(folder, "b", tokenizer.forDecoder())
            #expect(try notice(decoders, tokenizer) == nil)
            let error = #expect(throws: CorpusError.self) { try notice(path, byteTokenizer(reversed: true)) }
            let message = error?.description ?? ""
            #expect(message.hasPrefix("\(path): was made with another tokenizer: \(path)/manifest.json has the"))
            #expect(message.contains("and tok has 261 tokens") && message.contains("expected --tokenizer"))
            try FilePath.remove("\(path)/manifest.json")
            #expect(try notice(path, tokenizer)?.contains("has no manifest.json that names its tokenizer") == true)
        }
    }

    @Test("Chunks, splits, samples, merged data and orders know the tokenizer too")
    func propagation() throws {
        try withTemporaryFolder { folder in
            let (tokenizer, other) = (try byteTokenizer(), try byteTokenizer(reversed: true))
            let path = try tokens(folder, "a", tokenizer)
            func output(_ name: String) -> StageOptions { StageOptions(output: folder.file(name)) }
            let wrong = ChunkStage(input: path, tokenizer: other, chunking: try chunking())
            #expect(throws: CorpusError.self) { try wrong.run(output("wrong")) }
            #expect(!FilePath.exists(folder.file("wrong")))
            try ChunkStage(input: path, tokenizer: tokenizer, chunking: chunking()).run(output("chunks"))
            try SplitStage(input: folder.file("chunks"), fraction: 0.4).run(output("split"))
            try SampleStage(input: folder.file("chunks")).run(output("sample"))
            let source = MixStage.Source(name: "x", input: folder.file("chunks"), share: .all)
            try MixStage(sources: [source]).run(output("mixture"))
            try OrderExportStage(input: folder.file("chunks"), batchSize: 2).run(output("order"))
            try OrderExportStage(input: folder.file("chunks"), batchSize: 2).run(output("order.jsonl"))
            try OrderImportStage(inputs: [folder.file("order")]).run(output("again"))
            for name in ["split/train", "split/validation", "sample", "mixture", "order", "order.jsonl", "again"] {
                #expect(try notice(folder.file(name), tokenizer) == nil, "\(name)")
                #expect(throws: CorpusError.self, "\(name)") { try notice(folder.file(name), other) }
            }
            let order = OrderImportStage(inputs: [folder.file("order.jsonl")], tokenizer: other)
            #expect(throws: CorpusError.self) { try order.run(output("refused")) }
            #expect(!FilePath.exists(folder.file("refused")))
        }
    }

    @Test("Data sets of different tokenizers become no one data set")
    func mixtures() throws {
        try withTemporaryFolder { folder in
            let first = try tokens(folder, "a", byteTokenizer())
            let second = try tokens(folder, "b", byteTokenizer(reversed: true))
            let merging = #expect(throws: CorpusError.self) { try MDSIndex.merge(folder: folder.file("parts")) }
            #expect(merging?.description.contains("\(second): was made with another tokenizer") == true)
            #expect(merging?.description.contains("than \(first)") == true)
            #expect(!FilePath.exists(folder.file("parts/index.json")))
            let sources = [first, second].map {
                MixStage.Source(name: FilePath.lastComponent(of: $0), input: $0, share: .all)
            }
            #expect(throws: CorpusError.self) {
                try MixStage(sources: sources).run(StageOptions(output: folder.file("mixture")))
            }
            #expect(!FilePath.exists(folder.file("mixture")))
            // What has no manifest says nothing.
            try FilePath.remove("\(second)/manifest.json")
            try MDSIndex.merge(folder: folder.file("parts"))
            #expect(try notice(folder.file("parts"), byteTokenizer()) == nil)
        }
    }
}
