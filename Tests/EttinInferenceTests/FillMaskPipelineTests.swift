import EttinInference
import EttinModel
import EttinTokenizer
import TestSupport
import Testing
import Torch

@Suite struct FillMaskPipelineTests {
    @Test func predictionsAreTheMostProbableTokensOfTheMaskPosition() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let fillMask = try checkpoint.loaded { try FillMaskPipeline(folder: $0) }
        let text = "The quick [MASK] jumps over the [MASK] dog."
        let result = try fillMask([text], topK: 3)[0]
        #expect(result.masks.count == 2 && !result.isTruncated)

        let ids = checkpoint.tokenizer.encodeIDs(text)
        let logits = withoutGradients { fillMask.model(PackedBatch([ids])) }
        let places = ids.indices.filter { ids[$0] == 4 }
        for (place, predictions) in zip(places, result.masks) {
            let row = try logits.narrowed(along: 0, from: place, count: 1).softmax(along: 1).array(of: Float.self)
            let best = row.prefix(checkpoint.tokenizer.vocabularySize).enumerated().sorted { $0.element > $1.element }
            #expect(predictions.map(\.tokenID) == best.prefix(3).map { Int32($0.offset) })
            for (prediction, expected) in zip(predictions, best) {
                #expect(abs(prediction.score - Double(expected.element)) < 1e-6)
                #expect(prediction.text == checkpoint.tokenizer.decode([prediction.tokenID]))
                var filled = ids
                filled[place] = prediction.tokenID
                #expect(prediction.sequence == checkpoint.tokenizer.decode(filled))
            }
        }
    }

    @Test func theSequenceOfASingleMaskHasNoSpecialTokens() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let prediction = try checkpoint.loaded { try FillMaskPipeline(folder: $0) }(["A [MASK] sat."], topK: 1)[0]
            .masks[0][0]
        let filling = checkpoint.tokenizer.isSpecial(prediction.tokenID) ? "" : prediction.text
        #expect(prediction.sequence == "A" + filling + " sat.")
    }

    @Test func aTextGetsTheSameResultInAnyBatch() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let fillMask = try checkpoint.loaded { try FillMaskPipeline(folder: $0) }
        let texts = [
            "A [MASK].", "The quick brown [MASK] jumps over the lazy dog.", "[MASK]", "The [MASK] sat [MASK].",
        ]
        let together = try fillMask(texts)
        for maxBatchTokens in [1, 9] {
            let apart = try fillMask(texts, maxBatchTokens: maxBatchTokens)
            for (one, other) in zip(together, apart) {
                #expect(one.masks.map { $0.map(\.tokenID) } == other.masks.map { $0.map(\.tokenID) })
            }
        }
        #expect(try fillMask([]).isEmpty)
    }

    @Test func badInputIsAnErrorThatSaysWhichText() throws {
        let checkpoint = try TinyCheckpoint(.encoder, positions: 12)
        let fillMask = try checkpoint.loaded { try FillMaskPipeline(folder: $0) }
        func message(_ texts: [String], topK: Int = 5, _ rule: OverlongTextRule = .refuse) -> String {
            do {
                _ = try fillMask(texts, topK: topK, overlong: rule)
                return "none"
            } catch {
                return "\(error)"
            }
        }
        #expect(message(["[MASK]", "no mask"]) == "text 2 has no mask; expected at least one [MASK]")
        #expect(message(["[MASK]"], topK: 0).hasPrefix("--top-k is 0; expected 1 to "))
        let long = String(repeating: "fox ", count: 20) + "[MASK]"
        #expect(message([long]).contains("text 1 has ") && message([long]).contains("expected at most 12"))
        #expect(message([long], .keepStart).contains("no mask left after truncation"))
        #expect(try fillMask([long], overlong: .keepEnd)[0].isTruncated)
        let decoder = try TinyCheckpoint(.decoder)
        #expect {
            try decoder.loaded { try FillMaskPipeline(folder: $0) }
        } throws: {
            "\($0)".contains("\"model_type\" is \"modernbert-decoder\", which fills no masks")
        }
    }
}
