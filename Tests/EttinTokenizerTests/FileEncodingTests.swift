import EttinJSON
import EttinTokenizer
import Foundation
import Testing

@Suite("Encoding files")
struct FileEncodingTests {
    private static let text: String = {
        var text = ""
        for index in 0..<400 {
            text += "the cat \(index)  sat\n\n   on e\u{301}\t\u{3000}the [MASK] mat    zz don't\r\n日本語 \u{a0}x "
        }
        return text
    }()

    @Test("Blocks together give the ids of the whole text", arguments: [1, 7, 64, 1000, 1 << 20], [false, true])
    func blocksEqualWhole(blockBytes: Int, addsPrefixSpace: Bool) throws {
        // Tokens with a seam inside, and tokens that swallow what is behind the seam.
        let tokenizer = try smallTokenizer(replacing: [
            "added_tokens": [
                ["content": "[MASK]", "lstrip": true, "special": true], ["content": "    ", "normalized": true],
                ["content": "zz", "single_word": true], ["content": "cat 7", "normalized": true],
                ["content": "don't", "rstrip": true], ["content": "mat  ", "rstrip": true],
            ], "post_processor": nil,
        ]).withPrefixSpace(addsPrefixSpace)
        try withTemporaryFolder { folder throws in
            let path = "\(folder)/text.txt"
            try Self.text.write(toFile: path, atomically: true, encoding: .utf8)
            let whole = tokenizer.encodeIDs(Self.text)
            for threads in [1, 2] {
                var ids: [Int32] = []
                try tokenizer.encodeFile(path, blockBytes: blockBytes, threads: threads) { ids += $0 }
                #expect(ids == whole)
            }
        }
    }

    @Test("Text without white space, empty files and broken UTF-8 are read")
    func unusualFiles() throws {
        let tokenizer = try smallTokenizer()
        try withTemporaryFolder { folder throws in
            let path = "\(folder)/text"
            func ids(_ bytes: [UInt8], _ blockBytes: Int) throws -> [Int32] {
                try Data(bytes).write(to: URL(filePath: path))
                var ids: [Int32] = []
                try tokenizer.encodeFile(path, blockBytes: blockBytes) { ids += $0 }
                return ids
            }
            #expect(try ids([], 10).isEmpty)
            let long = [UInt8](repeating: UInt8(ascii: "t"), count: 20_000)
            #expect(try ids(long, 10) == tokenizer.encode(utf8: long, addSpecialTokens: false).ids)
            let broken: [UInt8] = [0xFF, 0x20, 0xE2, 0x82]
            #expect(try ids(broken, 1) == tokenizer.encode(utf8: broken, addSpecialTokens: false).ids)
            #expect(throws: TokenizerError.self) { try tokenizer.encodeFile("\(folder)/none") { _ in } }
        }
    }

    @Test("An error of the caller ends the reading")
    func callerError() throws {
        struct Stop: Error {}
        let tokenizer = try smallTokenizer()
        try withTemporaryFolder { folder throws in
            try Self.text.write(toFile: "\(folder)/text", atomically: true, encoding: .utf8)
            var calls = 0
            #expect(throws: Stop.self) {
                try tokenizer.encodeFile("\(folder)/text", blockBytes: 100) { _ in
                    calls += 1
                    throw Stop()
                }
            }
            #expect(calls == 1)
        }
    }
}
