import EttinModel
import EttinTokenizer
import TestSupport
import Testing
import Torch

@testable import EttinInference

@Suite struct TextGeneratorTests {
    static let prompts = ["The quick", "Once upon a time there was a", "A", "", "日本"]

    private func greedy(_ count: Int) -> GenerationOptions {
        var options = GenerationOptions()
        options.maxNewTokens = count
        options.endTokenIDs = []
        return options
    }

    /// The definition: compute everything anew for each token.
    private func reference(_ generator: TextGenerationPipeline, _ prompt: [Int32], _ count: Int) throws -> [Int32] {
        var ids = prompt
        let named = generator.tokenizer.vocabularySize
        for _ in 0..<count {
            let logits = withoutGradients { generator.model(PackedBatch([ids])) }
            let last = try logits.narrowed(along: 0, from: ids.count - 1, count: 1)
                .narrowed(along: 1, from: 0, count: named).argmax(along: 1).array(of: Int64.self)[0]
            ids.append(Int32(last))
        }
        return Array(ids.dropFirst(prompt.count))
    }

    @Test func greedyTokensAreTheMostProbableOnesInAnyBatch() throws {
        let checkpoint = try TinyCheckpoint(.decoder)
        let generator = try checkpoint.loaded { try TextGenerationPipeline(folder: $0) }
        for batchSize in [1, 2, 8] {
            let results = try generator.generate(Self.prompts, options: greedy(20), batchSize: batchSize)
            for (prompt, result) in zip(Self.prompts, results) {
                // [CLS] in front; the template's [SEP] behind the text would end it.
                let ids = Array(checkpoint.tokenizer.encodeIDs(prompt).dropLast())
                #expect(result.promptTokenCount == ids.count)
                #expect(try result.tokenIDs == reference(generator, ids, 20), "\(prompt), batch \(batchSize)")
                #expect(result.finishReason == .length)
                #expect(result.text == checkpoint.tokenizer.decode(result.tokenIDs, skipSpecialTokens: true))
            }
        }
    }

    @Test func piecesAreTheTextAndEndTokensEndIt() throws {
        let generator = try TinyCheckpoint(.decoder).loaded { try TextGenerationPipeline(folder: $0) }
        let free = try generator.generate(Self.prompts, options: greedy(12))
        var options = greedy(12)
        options.endTokenIDs = [Int(free[0].tokenIDs[4])]
        var pieces = [String](repeating: "", count: Self.prompts.count)
        let results = try generator.generate(Self.prompts, options: options) { pieces[$0] += $1 }
        #expect(pieces == results.map(\.text))
        #expect(results[0].finishReason == .stop)
        let end = try #require(free[0].tokenIDs.firstIndex(of: free[0].tokenIDs[4]))
        #expect(results[0].tokenIDs == Array(free[0].tokenIDs[...end]))
    }

    @Test func stopTextsEndTheTextAndAreNotPartOfIt() throws {
        let generator = try TinyCheckpoint(.decoder).loaded { try TextGenerationPipeline(folder: $0) }
        let whole = try generator.generate(["The quick"], options: greedy(24))[0].text
        let stop = String(decoding: Array(whole.utf8)[8..<11], as: UTF8.self)
        try #require(whole.contains(stop))
        var options = greedy(24)
        options.stopTexts = ["never to be seen", stop]
        var streamed = ""
        let result = try generator.generate(["The quick"], options: options) { streamed += $1 }[0]
        let bytes = Array(whole.utf8)
        let pattern = Array(stop.utf8)
        let place = bytes.indices.first { bytes[$0...].starts(with: pattern) } ?? 0
        #expect(Array(result.text.utf8) == Array(bytes[..<place]))
        #expect(streamed == result.text && result.finishReason == .stop)
    }

    @Test func drawnTokensDependOnSeedAndNumberOnly() throws {
        let generator = try TinyCheckpoint(.decoder).loaded { try TextGenerationPipeline(folder: $0) }
        var options = greedy(16)
        options.temperature = 1.2
        options.topP = 0.95
        options.repetitionPenalty = 1.1
        options.seed = 42
        let one = try generator.generate(Self.prompts, options: options, batchSize: 1)
        let other = try generator.generate(Self.prompts, options: options, batchSize: 8)
        #expect(one.map(\.tokenIDs) == other.map(\.tokenIDs))
        options.seed = 43
        #expect(try generator.generate(Self.prompts, options: options).map(\.tokenIDs) != one.map(\.tokenIDs))
        options.topK = 1
        options.repetitionPenalty = 1
        let forced = try generator.generate(Self.prompts, options: options)
        #expect(try forced.map(\.tokenIDs) == generator.generate(Self.prompts, options: greedy(16)).map(\.tokenIDs))
    }

    @Test func generationEndsWithTheContext() throws {
        let checkpoint = try TinyCheckpoint(.decoder, positions: 10)
        let generator = try checkpoint.loaded { try TextGenerationPipeline(folder: $0) }
        let short = try generator.generate(["A cat"], options: greedy(50))[0]
        #expect(short.promptTokenCount + short.tokenIDs.count == 10 && short.finishReason == .length)
        let long = "The quick brown fox jumps over the lazy dog."
        #expect {
            try generator.generate([long], options: greedy(5))
        } throws: {
            "\($0)".contains("expected at most 9")
        }
        let cut = try generator.generate([long], options: greedy(5), overlong: .keepEnd)[0]
        #expect(cut.isTruncated && cut.promptTokenCount == 9 && cut.tokenIDs.count == 1)
    }

    @Test func encodersAndImpossibleOptionsAreErrors() throws {
        #expect {
            try TinyCheckpoint(.encoder).loaded { try TextGenerationPipeline(folder: $0) }
        } throws: {
            "\($0)".contains("\"model_type\" is \"modernbert\", which continues no text")
        }
        let generator = try TinyCheckpoint(.decoder).loaded { try TextGenerationPipeline(folder: $0) }
        let changes: [((inout GenerationOptions) -> Void, String)] = [
            ({ $0.maxNewTokens = 0 }, "--max-new-tokens is 0; expected 1 or more"),
            ({ $0.temperature = -1 }, "--temperature is -1.0; expected 0, or 0.000001 to 1000000"),
            ({ $0.temperature = .nan }, "--temperature is nan; expected 0, or 0.000001 to 1000000"),
            ({ $0.topK = -1 }, "--top-k is -1; expected 0 or more"),
            ({ $0.topP = 0 }, "--top-p is 0.0; expected above 0, at most 1"),
            ({ $0.repetitionPenalty = 0 }, "--repetition-penalty is 0.0; expected 0.000001 to 1000000"),
            ({ $0.stopTexts = [""] }, "--stop is an empty text; expected at least one character"),
        ]
        for (change, expected) in changes {
            var options = GenerationOptions()
            change(&options)
            #expect(throws: InferenceError.self) { try options.validate() }
            #expect {
                try generator.generate(["A"], options: options)
            } throws: {
                "\($0)" == expected
            }
        }
    }

    // MARK: - The parts

    @Test func theSamplerFollowsTheDistributionItIsGiven() {
        var options = GenerationOptions()
        options.temperature = 2
        options.topK = 3
        options.topP = 0.9
        options.seed = 7
        // Of exp(logit / 2) = 4, 2, 1 for the best three, top-p 0.9 keeps all: 6/7 is below it.
        let logits: [Float] = [-1, 2 * 1.386_294_4, 0, 2 * 0.693_147_2, -3]
        var counts = [Int](repeating: 0, count: 5)
        for sequence in 0..<7000 {
            var sampler = TokenSampler(options, sequence: sequence, prompt: [])
            var own = logits
            counts[Int(sampler.next(&own) ?? 0)] += 1
        }
        #expect(counts[0] == 0 && counts[4] == 0)
        for (id, expected) in [(1, 4000.0), (3, 2000), (2, 1000)] {
            #expect(abs(Double(counts[id]) - expected) < 5 * expected.squareRoot(), "\(counts)")
        }
        options.topP = 0.85
        for sequence in 0..<500 {
            var sampler = TokenSampler(options, sequence: sequence, prompt: [])
            var own = logits
            #expect([1, 3].contains(sampler.next(&own) ?? -1))
        }
    }

    @Test func theRepetitionPenaltyWeakensTokensThatOccurred() {
        var options = GenerationOptions()
        options.repetitionPenalty = 2
        var sampler = TokenSampler(options, sequence: 0, prompt: [1])
        var logits: [Float] = [1.5, 2, -1]
        #expect(sampler.next(&logits) == 0)
        #expect(logits == [1.5, 1, -1])
        logits = [1.5, 1.8, -1]
        #expect(sampler.next(&logits) == 1)
        #expect(logits == [0.75, 0.9, -1])
    }

    @Test func stopTextsAreFoundAcrossPieces() {
        var stops = StopTexts(["END", "ND."])
        #expect(stops.append("xE") == ("x", false))
        #expect(stops.append("E") == ("E", false))
        #expect(stops.append("Nx") == ("ENx", false))
        #expect(stops.append("EN") == ("", false))
        #expect(stops.append("Dy") == ("", true))
        #expect(stops.append("N") == ("", false))
        #expect(stops.finish() == "N")
    }

    @Test func batchesKeepTheirBounds() {
        let lengths = [5, 1, 9, 3, 3, 0, 12]
        for maxTokens in [1, 6, 10, 100] {
            let batches = LengthBatches.split(lengths, maxTokens: maxTokens, maxSequences: 3)
            #expect(batches.flatMap(\.self).sorted() == Array(lengths.indices))
            for batch in batches {
                #expect(batch.count <= 3)
                #expect(batch.count == 1 || batch.reduce(0) { $0 + lengths[$1] } <= maxTokens)
            }
        }
        #expect(LengthBatches.split([], maxTokens: 4).isEmpty)
    }
}
