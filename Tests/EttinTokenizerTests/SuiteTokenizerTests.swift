import EttinTokenizer
import TestSupport
import Testing

@Suite("Tokenizers for the suite")
struct SuiteTokenizerTests {
    private func tokenizer(_ special: [String] = []) throws -> Tokenizer {
        try BPETrainer.ettin(vocabularySize: 300, additionalSpecialTokens: special).train(texts: ["the cat the cat"])
    }

    @Test("Ids, roles and the mask's white space are those of the suite")
    func roles() throws {
        let tokenizer = try tokenizer(["[Q]"])
        #expect(tokenizer.addedTokens.map(\.token.content) == ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "[Q]"])
        #expect(tokenizer.addedTokens.map(\.id) == [0, 1, 2, 3, 4, 5])
        #expect(tokenizer.addedTokens.filter(\.token.stripsLeft).map(\.id) == [4])
        #expect([tokenizer.unkTokenID, tokenizer.clsTokenID, tokenizer.sepTokenID] == [0, 1, 2])
        #expect([tokenizer.padTokenID, tokenizer.maskTokenID] == [3, 4])
        #expect([tokenizer.bosTokenID, tokenizer.eosTokenID] == [1, 2])
        #expect(tokenizer.encode("the cat", pair: "the").ids.filter { $0 < 6 } == [1, 2, 2])
    }

    @Test("A decoder's tokenizer ends no text, also when it has been saved and loaded")
    func decoders() throws {
        try withTemporaryFolder { folder in
            let tokenizer = try tokenizer()
            try tokenizer.forDecoder().save(to: folder.path)
            let loaded = try Tokenizer(folder: folder.path)
            let words = tokenizer.encode("the cat", addSpecialTokens: false).ids
            #expect(tokenizer.encode("the cat").ids == [1] + words + [2])
            #expect(try tokenizer.forDecoder().encode("the cat").ids == [1] + words)
            #expect(loaded.encode("the cat").ids == [1] + words)
            #expect(loaded.encode("the cat", addSpecialTokens: false).ids == words)
            let pair = loaded.encode("the cat", pair: "the cat")
            #expect(pair.ids == [1] + words + [1] + words)
            #expect(pair.typeIDs == [0] + words.map { _ in 0 } + [1] + words.map { _ in 1 })
        }
    }

    @Test("A decoder's begin and end of sequence come from [CLS] and [SEP] where it names none")
    func missingRoles() throws {
        var trainer = BPETrainer(vocabularySize: 300)
        trainer.specialTokens = ["<s>", "</s>"].map { AddedToken($0, isSpecial: true) }
        trainer.roles = ["cls_token": "<s>", "sep_token": "</s>"]
        let tokenizer = try trainer.train(texts: ["a"])
        #expect(tokenizer.bosTokenID == nil)
        #expect(try tokenizer.forDecoder().bosTokenID == 0)
        #expect(try tokenizer.forDecoder().eosTokenID == 1)
    }

    @Test("A tokenizer without a token to begin with cannot become a decoder's or an encoder's")
    func noBegin() throws {
        let tokenizer = try BPETrainer(vocabularySize: 300).train(texts: ["a"])
        #expect(throws: TokenizerError.self) { try tokenizer.forDecoder() }
        #expect(throws: TokenizerError.self) { try tokenizer.forEncoder() }
    }

    @Test("A decoder's tokenizer becomes an encoder's again, also when it has been saved and loaded")
    func encoders() throws {
        try withTemporaryFolder { folder in
            let tokenizer = try tokenizer()
            try tokenizer.forDecoder().forEncoder().save(to: folder.path)
            let loaded = try Tokenizer(folder: folder.path)
            #expect(loaded.encode("the cat").ids == tokenizer.encode("the cat").ids)
            let pair = loaded.encode("the cat", pair: "the")
            #expect(pair.ids == tokenizer.encode("the cat", pair: "the").ids)
            #expect(Set(pair.typeIDs) == [0])
            #expect([loaded.bosTokenID, loaded.eosTokenID] == [nil, nil])
            #expect(try loaded.forDecoder().bosTokenID == 1)
        }
    }

    @Test("An encoder's [CLS] and [SEP] come from begin and end of sequence where it names none")
    func missingEncoderRoles() throws {
        var trainer = BPETrainer(vocabularySize: 300)
        trainer.specialTokens = ["<s>", "</s>"].map { AddedToken($0, isSpecial: true) }
        trainer.roles = ["bos_token": "<s>", "eos_token": "</s>"]
        let encoder = try trainer.train(texts: ["a"]).forEncoder()
        #expect([encoder.clsTokenID, encoder.sepTokenID] == [0, 1])
        #expect(encoder.encode("a").ids.first == 0)
        #expect(encoder.encode("a").ids.last == 1)
    }

    @Test(
        "Impossible options are refused",
        arguments: [(260, []), (300, ["[CLS]"]), (300, [""]), (300, ["[Q]", "[Q]"]), (Int.max, [])] as [(Int, [String])]
    )
    func impossible(_ size: Int, _ special: [String]) {
        #expect(throws: TokenizerError.self) {
            try BPETrainer.ettin(vocabularySize: size, additionalSpecialTokens: special)
        }
    }

    @Test("Ids are read from lists that people write", arguments: ["1 5 2", "[1, 5, 2]", "1,5,2\t", " 1  5,  2 "])
    func idLists(_ text: String) throws {
        #expect(try tokenizer().ids(parsing: text) == [1, 5, 2])
    }

    @Test("Ids that no token has are refused", arguments: ["300", "-1", "1.0", "x", "99999999999"])
    func badIDs(_ text: String) throws {
        let tokenizer = try tokenizer()
        #expect(throws: TokenizerError.self) { try tokenizer.ids(parsing: text) }
    }
}
