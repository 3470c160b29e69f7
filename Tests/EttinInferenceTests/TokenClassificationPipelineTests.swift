import EttinModel
import EttinTokenizer
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinInference

@Suite struct TokenClassificationPipelineTests {
    static let labels = ["O", "B-PER", "I-PER", "B-LOC"]
    static let texts = ["A cat sat on the mat; the dog sat on the cat.", "", "Übung macht den Meister. 日本語の文。"]

    static func tagger(positions: Int = 64, labels: [String] = labels) throws -> TokenClassificationPipeline {
        try TinyCheckpoint(TokenClassificationModel.self, positions: positions) { $0.labels = labels }
            .loaded { try TokenClassificationPipeline(folder: $0) }
    }

    // MARK: - Aggregation

    /// Entities of tokens whose text, probabilities of O, B-PER, I-PER, B-LOC and places are given.
    private func entities(
        _ words: [(String, [Float])],
        _ strategy: TokenClassificationPipeline.AggregationStrategy,
        labels: [String] = labels,
        ignoring ignored: Set<String> = []
    ) throws -> [TokenClassificationPipeline.Entity] {
        let tokenizer = try TinyCheckpoint(.encoder).tokenizer
        let text = words.map(\.0).joined()
        var (start, offsets) = (0, [Range<Int>]())
        for (word, _) in words {
            offsets.append(start..<start + word.count)
            start += word.count
        }
        // Each token's id is that of its first byte: the ids play no part in labels and places.
        let ids = words.map { tokenizer.encodeIDs($0.0, addSpecialTokens: false)[0] }
        let window = PreparedTagging.Window(
            text: PreparedText([1] + ids + [2]),
            tokens: 1..<words.count + 1,
            offsets: offsets
        )
        let rows = [[Float](repeating: 0, count: 4)] + words.map { $0.1.map { log($0) } } + [[0, 0, 0, 0]]
        return EntityAggregation(tokenizer, labels: labels, strategy: strategy, characters: TextCharacters(text))
            .entities(of: window, logits: rows.flatMap(\.self), ignoring: ignored)
    }

    private static let words: [(String, [Float])] = [
        ("An", [0.1, 0.5, 0.3, 0.1]), ("na", [0.7, 0.1, 0.1, 0.1]), (" Lee", [0.2, 0.1, 0.6, 0.1]),
        (" in", [0.9, 0.05, 0.03, 0.02]), (" Ly", [0.1, 0.1, 0.2, 0.6]), ("on", [0.05, 0.03, 0.9, 0.02]),
    ]

    // Values of transformers 5.23's pipeline methods on these tokens.
    @Test(
        arguments: [
            (
                TokenClassificationPipeline.AggregationStrategy.none,
                ["B-PER 0 2 0.5", "O 2 4 0.7", "I-PER 4 8 0.6", "O 8 11 0.9", "B-LOC 11 14 0.6", "I-PER 14 16 0.9"]
            ),
            (.simple, ["PER 0 2 0.5", "O 2 4 0.7", "PER 4 8 0.6", "O 8 11 0.9", "LOC 11 14 0.6", "PER 14 16 0.9"]),
            (.first, ["PER 0 8 0.55", "O 8 11 0.9", "LOC 11 16 0.6"]),
            (.average, ["O 0 4 0.4", "PER 4 8 0.6", "O 8 11 0.9", "PER 11 16 0.55"]),
            (.max, ["O 0 4 0.7", "PER 4 8 0.6", "O 8 11 0.9", "PER 11 16 0.9"]),
        ]
    )
    func labelsOfTokensBecomeThoseOfEntities(
        strategy: TokenClassificationPipeline.AggregationStrategy,
        expected: [String]
    ) throws {
        let found = try entities(Self.words, strategy).map { entity in
            "\(entity.label) \(entity.start) \(entity.end) \((entity.score * 1000).rounded() / 1000)"
        }
        #expect(found == expected)
    }

    @Test func labelsAreIgnoredByWholeNameKindOrTheNameThatIsShown() throws {
        func left(_ ignored: Set<String>) throws -> [String] {
            try entities(Self.words, .simple, ignoring: ignored).map(\.label)
        }
        #expect(try left(["B-LOC"]) == ["PER", "O", "PER", "O", "PER"])
        #expect(try left(["PER", "O"]) == ["LOC"])
        #expect(try left(["I-PER"]) == ["PER", "O", "O", "LOC"])
        // Labels that are shown by one name are still told apart.
        let labels = ["is-supported", "not-supported", "supported", "E-LOC"]
        let words = labels.indices.map { label in ("a", (0..<4).map { $0 == label ? Float(0.97) : 0.01 }) }
        func starts(_ ignored: Set<String>) throws -> [Int] {
            try entities(words, .simple, labels: labels, ignoring: ignored).map(\.start)
        }
        #expect(try starts(["is-supported"]) == [1, 2, 3])
        #expect(try starts(["supported"]) == [0, 1, 3])
        #expect(try starts(["LOC"]) == [0, 1, 2])
    }

    @Test func neighboursAreOneEntityUntilAnotherBegins() throws {
        func row(_ label: Int) -> [Float] { (0..<4).map { $0 == label ? 0.97 : 0.01 } }
        let words = [("a", row(1)), (" b", row(2)), (" c", row(1)), (" d", row(1)), (" e", row(2)), (" f", row(3))]
        let found = try entities(words, .simple)
        #expect(found.map(\.label) == ["PER", "PER", "PER", "LOC"])
        #expect(found.map(\.start) == [0, 3, 5, 9] && found.map(\.end) == [3, 5, 9, 11])
    }

    // Values of transformers 5.23's pipeline methods.
    @Test(arguments: TokenClassificationPipeline.AggregationStrategy.allCases)
    func wordsWithUnknownTokensAreDecoded(strategy: TokenClassificationPipeline.AggregationStrategy) throws {
        let file = """
            {"version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
             "added_tokens": [{"id": 0, "content": "[UNK]", "special": true, "single_word": false, "lstrip": false,
                               "rstrip": false, "normalized": false}],
             "pre_tokenizer": {"type": "BertPreTokenizer"},
             "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
             "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                       "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "the": 1, "or": 2, "##ion": 3}}}
            """
        let folder = try TemporaryFolder()
        try folder.write(file, "tokenizer.json")
        try folder.write("{\"unk_token\": \"[UNK]\"}", "tokenizer_config.json")
        let tokenizer = try Tokenizer(folder: folder.path)
        let text = "the orion šumet."
        let encoding = tokenizer.encode(text)
        let window = PreparedTagging.Window(
            text: PreparedText(encoding.ids),
            tokens: 0..<5,
            offsets: Array(encoding.offsets)
        )
        let logits = [[Float]](repeating: [2, 0], count: 5).flatMap(\.self)
        let words = EntityAggregation(
            tokenizer,
            labels: ["I-X", "O"],
            strategy: strategy,
            characters: TextCharacters(text)
        ).entities(of: window, logits: logits, ignoring: []).map(\.word)
        #expect(words == (strategy == .none ? ["the", "or", "##ion", "šumet", "."] : [text]))
    }

    // MARK: - Texts

    @Test func offsetsCountCharactersAndRangesAreOfTheText() throws {
        let tagger = try Self.tagger()
        let text = "e\u{301}\r\n👩‍👩‍👧 日本 fox"
        let entities = try tagger([text], strategy: .none, ignoredLabels: [])[0].entities
        #expect(!entities.isEmpty)
        let scalars = Array(text.unicodeScalars)
        for entity in entities {
            #expect(Array(text[entity.range].unicodeScalars) == Array(scalars[entity.start..<entity.end]))
        }
        let ids = tagger.tokenizer.encodeIDs(text)
        #expect(entities.map(\.index) == (1..<ids.count - 1).map { $0 })
        #expect(entities.map(\.word) == ids.dropFirst().dropLast().map { tagger.tokenizer.idToToken($0) })
    }

    @Test(arguments: [ComputeDType.float32, .bfloat16, .int8])
    func aTextAloneIsTaggedAsInABatch(dtype: ComputeDType) throws {
        let tagger = try TinyCheckpoint(TokenClassificationModel.self) { $0.labels = Self.labels }
            .loaded { try TokenClassificationPipeline(folder: $0, options: ComputeOptions(dtype: dtype)) }
        let prepared = try tagger.preparer.prepare(Self.texts).map { $0.windows[0].text }
        let together = try tagger.logits(of: prepared)
        for (index, text) in prepared.enumerated() {
            let alone = try tagger.logits(of: [text])[0]
            #expect(together[index].count == text.tokenIDs.count * 4)
            for (one, other) in zip(together[index], alone) { #expect(abs(one - other) <= 1e-6) }
        }
        let model = try TinyCheckpoint(TokenClassificationModel.self) { $0.labels = Self.labels }
            .loaded { try TokenClassificationModel.load(folder: $0) }
        let exact: [Float] = try withoutGradients { try model(PackedBatch(prepared.map(\.tokenIDs))).array() }
        let found = together.flatMap { $0.map(Double.init) }
        #expect(cosine(exact.map(Double.init), found) > (dtype == .int8 ? 0.98 : 0.999))
    }

    // MARK: - Windows

    // Values of tokenizers 0.23, `enable_truncation(7, stride=3)` on 20 tokens.
    @Test func windowsShareAStride() {
        #expect(TextWindows.ranges(20, size: 7, stride: 3) == [0..<7, 4..<11, 8..<15, 12..<19, 16..<20])
        #expect(
            TextWindows.ranges(20, size: 7, stride: 3, fromEnd: true) == [13..<20, 9..<16, 5..<12, 1..<8, 0..<4]
        )
        #expect(TextWindows.ranges(7, size: 7, stride: 3) == [0..<7])
        #expect(TextWindows.ranges(0, size: 7, stride: 0) == [0..<0])
    }

    @Test func longTextsAreTaggedInWindows() throws {
        let tagger = try Self.tagger(positions: 16)
        let long = Self.texts[0] + " " + Self.texts[2]
        #expect(message { _ = try tagger([long]) }.contains("expected at most 16"))
        #expect(try tagger([long], overlong: .keepStart)[0].isTruncated)
        let prepared = try tagger.preparer.prepare([long], stride: 4)[0]
        #expect(prepared.windows.count > 2 && !prepared.isTruncated)
        let ids = tagger.tokenizer.encodeIDs(long, addSpecialTokens: false)
        for (index, window) in prepared.windows.enumerated() {
            let part = ids.dropFirst(10 * index).prefix(14)
            let expected: [Int32] = [1] + Array(part) + [2]
            #expect(window.text.tokenIDs == expected && window.offsets.count == part.count)
        }
        let result = try tagger([long], ignoredLabels: [], stride: 4)[0]
        for (one, next) in zip(result.entities, result.entities.dropFirst()) { #expect(one.end <= next.start) }
        #expect(
            message { _ = try tagger([long], strategy: .none, stride: 4) }.hasPrefix(
                "--stride is given with the aggregation strategy none"
            )
        )
        #expect(message { _ = try tagger([long], stride: 14) } == "--stride is 14; expected 0 to 13")
    }

    @Test func ofEntitiesThatMeetTheLongerStays() throws {
        func entity(_ label: String, _ range: Range<Int>, _ score: Double) -> TokenClassificationPipeline.Entity {
            let text = "0123456789"
            return .init(
                label: label,
                score: score,
                index: nil,
                word: "",
                start: range.lowerBound,
                end: range.upperBound,
                range: TextCharacters(text).range(range)
            )
        }
        let merged = EntityAggregation.merged([
            entity("a", 5..<8, 0.5), entity("b", 0..<2, 0.9), entity("c", 1..<4, 0.1), entity("d", 6..<9, 0.6),
            entity("e", 9..<10, 0.2), entity("f", 9..<10, 0.1),
        ])
        #expect(merged.map(\.label) == ["c", "d", "e"])
    }

    // MARK: - Answers with their sources

    @Test func onlyTheTokensOfTheAnswerAreTagged() throws {
        let tagger = try Self.tagger(labels: ["supported", "hallucinated"])
        let (context, question, answer) = ("The cat sat on the mat.", "Who sat?", "The dog sat.")
        let prepared = try tagger.preparer.prepare([.init(answer, context: context, question: question)])[0]
        func ids(_ text: String) -> [Int32] { tagger.tokenizer.encodeIDs(text, addSpecialTokens: false) }
        let window = prepared.windows[0]
        let front: [Int32] = [1] + ids(context) + [2] + ids(question)
        let whole: [Int32] = front + [2] + ids(answer) + [2]
        #expect(window.text.tokenIDs == whole)
        #expect(Array(window.text.tokenIDs[window.tokens]) == ids(answer))
        let all = try tagger(
            [.init(answer, context: context, question: question)],
            strategy: .none,
            ignoredLabels: []
        )[0].entities
        #expect(all.map { String(answer[$0.range]) }.joined() == answer)
        #expect(all.first?.index == window.tokens.lowerBound)
        #expect(tagger.supportedLabels == ["O", "supported"])
        let marked = try tagger([.init(answer, context: context, question: question)])[0].entities
        #expect(marked.allSatisfy { $0.label == "hallucinated" })
        #expect(marked.isEmpty == !all.contains { $0.label == "hallucinated" })
        // Without a question its segment is left out.
        let two = try tagger.preparer.prepare([.init(answer, context: context)])[0].windows[0].text.tokenIDs
        #expect(two == tagger.tokenizer.encodeIDs(context, pair: answer))
    }

    @Test func theContextGivesTokensUp() throws {
        let tagger = try Self.tagger(positions: 24)
        let long = String(repeating: "The cat sat on the mat. ", count: 9)
        let answer = TokenClassificationPipeline.GroundedAnswer("A dog.", context: long, question: "Who?")
        #expect(message { _ = try tagger([answer]) }.contains("expected at most 24"))
        let prepared = try tagger.preparer.prepare([answer], overlong: .keepStart)[0]
        #expect(prepared.windows[0].text.tokenIDs.count == 24 && prepared.isTruncated)
        #expect(
            Array(prepared.windows[0].text.tokenIDs[prepared.windows[0].tokens])
                == tagger.tokenizer.encodeIDs("A dog.", addSpecialTokens: false)
        )
        let hopeless = TokenClassificationPipeline.GroundedAnswer(long, context: "x")
        let text = message { _ = try tagger([hopeless], overlong: .keepStart) }
        let reason = "in the part that is never truncated; expected fewer than 24, to leave room for the context"
        #expect(text.hasPrefix("text 1 has ") && text.hasSuffix(reason), "\(text)")
    }

    @Test func aFolderOfAnotherKindIsRefused() throws {
        let text = message { _ = try TinyCheckpoint(.decoder).loaded { try TokenClassificationPipeline(folder: $0) } }
        #expect(text.contains("is a causal language model") && text.contains("expected a token classifier"), "\(text)")
    }
}
