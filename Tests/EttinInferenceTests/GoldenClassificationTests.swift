import EttinInference
import EttinJSON
import Foundation
import TestSupport
import Testing
import Torch

/// Small checkpoints in the layouts of Ettin's descendants, against what transformers and sentence-transformers answer.
@Suite(.enabled(if: SharedData.isAvailable, "needs ../shared beside the repository"))
struct GoldenClassificationTests {
    /// A folder with what the originals gave.
    private struct Golden {
        let folder: String
        let expected: JSONValue

        init(_ name: String) throws {
            folder = try #require(SharedData.folder) + "/golden/descendants/" + name
            expected = try JSONValue(parsing: String(contentsOfFile: folder + "/expected.json", encoding: .utf8))
        }

        func list(_ key: String) throws -> [JSONValue] { try #require(expected[key]?.arrayValue) }
        func numbers(_ key: String) throws -> [Double] { try list(key).map { try #require($0.doubleValue) } }
        func texts(_ key: String = "texts") throws -> [String] { try list(key).map { try #require($0.stringValue) } }
        func pairs(_ key: String = "pairs") throws -> [TextPair] {
            try list(key).map { pair in
                TextPair(try #require(pair[0]?.stringValue), try #require(pair[1]?.stringValue))
            }
        }

        /// Token ids without the padding that the attention mask tells, or without the pad token.
        func ids() throws -> [[Int32]] {
            let masks = expected["attention_mask"]?.arrayValue
            return try list("input_ids").enumerated().map { index, row in
                let ids = try #require(row.arrayValue).compactMap(\.intValue)
                let kept = masks.flatMap { $0[index].arrayValue?.compactMap(\.intValue) }
                return zip(ids, kept ?? ids.map { _ in 1 }).filter { $0.1 == 1 }.map { Int32($0.0) }
            }
        }
    }

    private func isNear(_ one: [Double], _ other: [Double], _ tolerance: Double = 1e-4) -> Bool {
        one.count == other.count && zip(one, other).allSatisfy { abs($0 - $1) <= tolerance }
    }

    // MARK: - Rerankers

    @Test func theModularRerankerScoresAndRanks() throws {
        let golden = try Golden("reranker-modular")
        let reranker = try RerankingPipeline(folder: golden.folder)
        let pairs = try golden.pairs()
        #expect(try reranker.preparer.prepare(pairs, overlong: .keepStart).map(\.tokenIDs) == golden.ids())
        func scores(_ activation: Activation?, prompt: RerankingPipeline.Prompt = .default) throws -> [Double] {
            try reranker.predict(pairs, prompt: prompt, activation: activation, overlong: .keepStart).map(\.value)
        }
        #expect(reranker.defaultActivation == .identity)
        #expect(isNear(try scores(nil), try golden.numbers("scores")))
        #expect(isNear(try scores(.sigmoid), try golden.numbers("scores_sigmoid")))
        let raw = try golden.numbers("scores")
        let scaled = try reranker.predict(pairs, scalesScores: true, overlong: .keepStart).map(\.value)
        #expect(isNear(scaled, raw.map { 1 / (1 + exp(-$0)) }))
        let ranked = try reranker.rank(pairs[0].first, pairs.map(\.second), overlong: .keepStart)
        let expected = try golden.list("rank")
        #expect(ranked.map(\.index) == expected.map { $0["corpus_id"]?.intValue })
        #expect(isNear(ranked.map(\.score), expected.compactMap { $0["score"]?.doubleValue }))
        // What `make.py` gives as prompt.
        #expect(isNear(try scores(nil, prompt: .text("query: ")), try golden.numbers("scores_with_prompt")))
    }

    @Test func theShortModularRerankerHasItsOwnActivationAndPrompt() throws {
        let golden = try Golden("reranker-modular-short")
        let reranker = try RerankingPipeline(folder: golden.folder)
        let pairs = try golden.pairs()
        func scores(_ activation: Activation?, _ prompt: RerankingPipeline.Prompt = .default) throws -> [Double] {
            try reranker.predict(pairs, prompt: prompt, activation: activation, overlong: .keepStart).map(\.value)
        }
        #expect(isNear(try scores(nil), try golden.numbers("scores")))
        #expect(isNear(try scores(.identity), try golden.numbers("scores_raw")))
        #expect(isNear(try scores(nil, .named("web")), try golden.numbers("scores_prompt_web")))
    }

    @Test func theClassifierInFloat16ScoresThroughASigmoid() throws {
        let golden = try Golden("reranker-seqcls-mean-f16")
        let options = ComputeOptions(dtype: .float32)
        let reranker = try RerankingPipeline(folder: golden.folder, options: options)
        let pairs = try golden.pairs()
        let scores = try reranker.predict(pairs, overlong: .keepStart).map(\.value)
        #expect(isNear(scores, try golden.numbers("scores")))
        let logits = try reranker.predict(pairs, activation: .identity, overlong: .keepStart).map(\.value)
        #expect(isNear(logits, try golden.list("logits").compactMap { $0[0]?.doubleValue }))
        // One label: a classifier as well.
        let classifier = try TextClassificationPipeline(folder: golden.folder, options: options)
        let results = try classifier(
            pairs.map { TextClassificationPipeline.Input($0.first, textPair: $0.second) },
            overlong: .keepStart
        )
        #expect(isNear(results.map { $0.labels[0].score }, try golden.numbers("scores")))
    }

    @Test func theRerankerOfOneModuleScoresThroughTheSettingsActivation() throws {
        let root = try #require(SharedData.folder) + "/golden/finetune"
        let expected = try #require(
            try JSONValue(parsing: String(contentsOfFile: root + "/models_expected.json", encoding: .utf8))["cross"]
        )
        let reranker = try RerankingPipeline(folder: root + "/models/cross")
        let pairs = try #require(expected["pairs"]?.arrayValue).map { pair in
            TextPair(try #require(pair[0]?.stringValue), try #require(pair[1]?.stringValue))
        }
        for (key, activation) in [("scores_sigmoid", nil), ("scores_logit", Activation.identity)] {
            let numbers = try #require(expected[key]?.arrayValue).compactMap(\.doubleValue)
            #expect(isNear(try reranker.predict(pairs, activation: activation).map(\.value), numbers))
        }
    }

    // MARK: - Classifiers

    @Test(arguments: ["classify-multilabel-mean", "classify-nli-cls", "classify-regression"])
    func classifiersAnswerAsThePipeline(name: String) throws {
        let golden = try Golden(name)
        let classifier = try TextClassificationPipeline(folder: golden.folder)
        let inputs =
            golden.expected["texts"] == nil
            ? try golden.pairs().map { TextClassificationPipeline.Input($0.first, textPair: $0.second) }
            : try golden.texts().map { TextClassificationPipeline.Input($0) }
        let prepared = try classifier.preparer.prepare(inputs, overlong: .keepStart)
        #expect(try prepared.map(\.tokenIDs) == golden.ids())
        let logits = try classifier.logits(of: prepared)
        #expect(try logits.count == golden.list("logits").count)
        for (found, row) in zip(logits, try golden.list("logits")) {
            #expect(isNear(found.map(Double.init), try #require(row.arrayValue).compactMap(\.doubleValue)))
        }
        #expect(try golden.list("pipeline_all").count == inputs.count)
        for (result, entries) in zip(try classifier.results(for: prepared), try golden.list("pipeline_all")) {
            let entries = try #require(entries.arrayValue)
            #expect(result.labels.map(\.label) == entries.map { $0["label"]?.stringValue })
            #expect(isNear(result.labels.map(\.score), entries.compactMap { $0["score"]?.doubleValue }))
        }
        #expect(try golden.list("pipeline_best").count == inputs.count)
        for (result, best) in zip(try classifier.results(for: prepared, topK: 1), try golden.list("pipeline_best")) {
            #expect(result.labels.map(\.label) == [best["label"]?.stringValue])
        }
    }

    @Test func aDecoderClassifiesByItsLastToken() throws {
        let golden = try Golden("decoder-classification")
        let classifier = try TextClassificationPipeline(folder: golden.folder)
        let inputs = try golden.texts().map { TextClassificationPipeline.Input($0) }
        let prepared = try classifier.preparer.prepare(inputs, overlong: .keepStart)
        #expect(try prepared.map(\.tokenIDs) == golden.ids())
        #expect(try golden.list("logits").count == prepared.count)
        for (found, row) in zip(try classifier.logits(of: prepared), try golden.list("logits")) {
            #expect(isNear(found.map(Double.init), try #require(row.arrayValue).compactMap(\.doubleValue)))
        }
    }

    // MARK: - Tokens

    @Test(arguments: TokenClassificationPipeline.AggregationStrategy.allCases)
    func entitiesAreThoseOfThePipeline(strategy: TokenClassificationPipeline.AggregationStrategy) throws {
        let golden = try Golden("tokens-bio")
        let tagger = try TokenClassificationPipeline(folder: golden.folder)
        let texts = try golden.texts()
        let rows = try #require(golden.expected["entities"]?[strategy.rawValue]?.arrayValue)
        let results = try tagger(texts, strategy: strategy)
        #expect(results.count == rows.count)
        for (text, (result, row)) in zip(texts, zip(results, rows)) {
            let expected = try #require(row.arrayValue)
            let key = strategy == .none ? "entity" : "entity_group"
            #expect(result.entities.map(\.label) == expected.map { $0[key]?.stringValue })
            #expect(result.entities.map(\.index) == expected.map { $0["index"]?.intValue })
            #expect(result.entities.map(\.word) == expected.map { $0["word"]?.stringValue })
            #expect(result.entities.map(\.start) == expected.map { $0["start"]?.intValue })
            #expect(result.entities.map(\.end) == expected.map { $0["end"]?.intValue })
            #expect(isNear(result.entities.map(\.score), expected.compactMap { $0["score"]?.doubleValue }))
            for entity in result.entities {
                #expect(text[entity.range].unicodeScalars.count == entity.end - entity.start)
            }
        }
    }

    @Test func logitsOfTokensAreTheOriginals() throws {
        let golden = try Golden("tokens-bio")
        let tagger = try TokenClassificationPipeline(folder: golden.folder)
        let prepared = try tagger.preparer.prepare(golden.texts())
        #expect(try prepared.map { $0.windows[0].text.tokenIDs } == golden.ids())
        let logits = try tagger.logits(of: prepared.map { $0.windows[0].text })
        #expect(try logits.count == golden.list("logits").count)
        for (found, rows) in zip(logits, try golden.list("logits")) {
            let expected = try #require(rows.arrayValue).flatMap { $0.arrayValue ?? [] }.compactMap(\.doubleValue)
            #expect(isNear(found.map(Double.init), Array(expected.prefix(found.count))))
        }
    }

    // MARK: - Answers and choices

    @Test func theBestSpanIsTheAnswer() throws {
        let golden = try Golden("question-answering")
        let pipeline = try QuestionAnsweringPipeline(folder: golden.folder)
        let inputs = try golden.pairs().map { QuestionAnsweringPipeline.Input($0.first, context: $0.second) }
        let prepared = try pipeline.preparer.prepare(inputs)
        #expect(try prepared.map { $0.windows[0].text.tokenIDs } == golden.ids())
        let logits = try pipeline.logits(of: prepared.map { $0.windows[0].text })
        for (index, values) in logits.enumerated() {
            for (key, offset) in [("start_logits", 0), ("end_logits", 1)] {
                let found = stride(from: offset, to: values.count, by: 2).map { Double(values[$0]) }
                let expected = try #require(golden.list(key)[index].arrayValue).compactMap(\.doubleValue)
                #expect(isNear(found, Array(expected.prefix(found.count))))
            }
        }
        let results = try pipeline.results(for: prepared, maxAnswerLength: 8)
        #expect(try results.count == golden.list("best_span").count)
        for (result, best) in zip(results, try golden.list("best_span")) {
            let answer = result.answers[0]
            #expect(answer.text == best["text"]?.stringValue)
            #expect(answer.start == best["characters"]?[0]?.intValue && answer.end == best["characters"]?[1]?.intValue)
            #expect(isNear([answer.logit], [try #require(best["score"]?.doubleValue)]))
        }
    }

    @Test func theChoiceIsTheOriginals() throws {
        let golden = try Golden("multiple-choice")
        let pipeline = try MultipleChoicePipeline(folder: golden.folder)
        let prompt = try #require(golden.expected["prompt"]?.stringValue)
        let input = MultipleChoicePipeline.Input(prompt, choices: try golden.texts("choices"))
        let expected = try #require(golden.list("logits")[0].arrayValue).compactMap(\.doubleValue)
        let result = try pipeline([input])[0]
        #expect(result.choice == 2)
        #expect(isNear(result.logits, expected))
        let exponentials = expected.map { exp($0) }
        #expect(isNear(result.scores, exponentials.map { $0 / exponentials.reduce(0, +) }))
    }
}
