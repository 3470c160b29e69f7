import EttinJSON
import EttinTokenizer
import Foundation
import Testing

@Suite("Training")
struct TrainingTests {
    private var texts: [String] {
        get throws {
            try JSONValue(parsing: SmallTokenizerFixture.trainingTexts).arrayValue?.compactMap(\.stringValue) ?? []
        }
    }

    private func trainer(_ size: Int) -> BPETrainer {
        var trainer = BPETrainer(vocabularySize: size)
        trainer.specialTokens = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"].map { token in
            AddedToken(token, stripsLeft: token == "[MASK]", isSpecial: true)
        }
        return trainer
    }

    @Test("Vocabulary and merges equal the original trainer's", .tags(.golden))
    func equalsOriginal() throws {
        try withTemporaryFolder { folder throws in
            try trainer(340).train(texts: texts).save(to: folder)
            let ours = try JSONValue(parsing: try bytes("\(folder)/tokenizer.json"))
            let original = try JSONValue(parsing: SmallTokenizerFixture.tokenizerJSON)
            #expect(ours["model"] == original["model"])
            #expect(ours["pre_tokenizer"] == original["pre_tokenizer"])
            #expect(ours["normalizer"] == original["normalizer"])
        }
    }

    @Test("Files are read by line on any number of threads")
    func trainsOnFiles() throws {
        try withTemporaryFolder { folder throws in
            let lines = try texts.joined(separator: "\n").split(separator: "\n", omittingEmptySubsequences: false)
            let path = "\(folder)/text.txt"
            try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
            let withEnds = lines.enumerated().map { $0.offset < lines.count - 1 ? $0.element + "\n" : $0.element }
            let expected = try trainer(330).train(texts: withEnds.map(String.init))
            for threads in [1, 3] {
                let tokenizer = try trainer(330).train(files: [path], threads: threads)
                #expect(tokenizer.vocabularySize == 330)
                #expect(tokenizer.encodeIDs("the cat sat") == expected.encodeIDs("the cat sat"))
            }
            #expect(throws: TokenizerError.self) { try trainer(300).train(files: ["\(folder)/none"]) }
        }
    }

    @Test("Roles become a configuration and a template")
    func roles() throws {
        var trainer = trainer(300)
        trainer.roles = ["cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"]
        let tokenizer = try trainer.train(texts: texts)
        #expect(tokenizer.maskTokenID == 4)
        #expect(tokenizer.encodeIDs("", pair: "") == [1, 2, 2])
        trainer.roles["cls_token"] = "[NOWHERE]"
        #expect(throws: TokenizerError.self) { try trainer.train(texts: ["x"]) }
    }

    @Test("Rare pairs, no text, and sizes at the limits")
    func limits() throws {
        var frequent = trainer(10_000)
        frequent.minFrequency = 1000
        #expect(try frequent.train(texts: texts).vocabularySize == 261)
        #expect(try trainer(300).train(texts: []).vocabularySize == 261)
        #expect(try trainer(5).train(texts: texts).vocabularySize == 261)
        #expect(throws: TokenizerError.self) { try trainer(0).train(texts: texts) }
        #expect(throws: TokenizerError.self) { try trainer(-1).train(texts: texts) }
        var occurring = trainer(6)
        occurring.includesAllBytes = false
        #expect(try occurring.train(texts: ["aab"]).vocabularySize == 7)
    }
}
