import EttinJSON
import EttinModel
import EttinTokenizer
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinInference

@Suite struct RerankingPipelineTests {
    static let query = "The quick fox"
    static let documents = ["A cat sat on the mat.", "", "The quick brown fox jumps over the lazy dog.", "sea"]
    static let pairs = documents.map { TextPair(query, $0) }

    static func reranker(positions: Int = 64, _ change: (inout ModernBERTConfiguration) -> Void = { _ in }) throws
        -> TinyCheckpoint
    {
        try TinyCheckpoint(SequenceClassificationModel.self, positions: positions) {
            $0.labels = ["LABEL_0"]
            change(&$0)
        }
    }

    @Test func scoresAreTheHeadsOfBothTextsInOneSequence() throws {
        let checkpoint = try Self.reranker()
        let reranker = try checkpoint.loaded { try RerankingPipeline(folder: $0) }
        let tokenizer = checkpoint.tokenizer
        let ids = Self.pairs.map { tokenizer.encodeIDs($0.first, pair: $0.second) }
        #expect(try reranker.preparer.prepare(Self.pairs).map(\.tokenIDs) == ids)
        let model = try SequenceClassificationModel.load(folder: checkpoint.folder.path)
        let logits: [Float] = try withoutGradients { try model(PackedBatch(ids)).array() }
        let raw = try reranker.predict(Self.pairs, activation: .identity).map(\.value)
        let scores = try reranker.predict(Self.pairs).map(\.value)
        let scaled = try reranker.predict(Self.pairs, activation: .identity, scalesScores: true).map(\.value)
        for index in logits.indices {
            #expect(abs(raw[index] - Double(logits[index])) < 1e-5)
            #expect(abs(scores[index] - sigmoid(Double(logits[index]))) < 1e-5)
            #expect(abs(scaled[index] - scores[index]) < 1e-6)
        }
        // A sigmoid's scores lie in 0…1 already.
        #expect(try reranker.predict(Self.pairs, scalesScores: true).map(\.value) == scores)
        #expect(RerankingPipeline.scaled(-800) == 0 && RerankingPipeline.scaled(0) == 0.5)
    }

    @Test func documentsComeInTheOrderOfTheirScores() throws {
        let reranker = try Self.reranker().loaded { try RerankingPipeline(folder: $0) }
        let scores = try reranker.predict(Self.pairs).map(\.value)
        let ranked = try reranker.rank(Self.query, Self.documents)
        #expect(ranked.map(\.score) == scores.sorted(by: >))
        #expect(ranked.allSatisfy { $0.score == scores[$0.index] && $0.text == Self.documents[$0.index] })
        #expect(try reranker.rank(Self.query, Self.documents, topK: 2) == Array(ranked.prefix(2)))
        #expect([1.0, 3, 3, 2].ranked(topK: 3) == [1, 2, 3])
    }

    @Test(arguments: [(ComputeDType.float32, 1e-6), (.bfloat16, 0), (.int8, 0)])
    func aPairAloneScoresAsInABatch(dtype: ComputeDType, tolerance: Double) throws {
        let reranker = try Self.reranker().loaded {
            try RerankingPipeline(folder: $0, options: ComputeOptions(dtype: dtype))
        }
        let together = try reranker.predict(Self.pairs, activation: .identity).map(\.value)
        let alone = try Self.pairs.map { try reranker.predict([$0], activation: .identity)[0].value }
        // Tokens are rounded one by one, so that int8 does not depend on the batch either.
        #expect(cosine(together, alone) > 0.9999)
        if tolerance > 0 { for (one, other) in zip(together, alone) { #expect(abs(one - other) <= tolerance) } }
        let backwards = try reranker.predict(Self.pairs.reversed(), activation: .identity, maxBatchTokens: 20)
        #expect(cosine(together, backwards.reversed().map(\.value)) > 0.9999)
        let exact = try Self.reranker().loaded { try RerankingPipeline(folder: $0) }
            .predict(Self.pairs, activation: .identity).map(\.value)
        #expect(cosine(exact, together) > (dtype == .int8 ? 0.97 : 0.999), "\(exact) \(together)")
    }

    // Values of tokenizers 0.23, `enable_truncation`.
    @Test(
        arguments: [
            (3, 4, 7, 3, 4), (3, 4, 6, 3, 3), (10, 4, 9, 5, 4), (4, 10, 9, 4, 5), (10, 10, 7, 3, 4), (5, 5, 4, 2, 2),
            (10, 2, 8, 6, 2), (0, 9, 4, 0, 4), (9, 9, 0, 0, 0), (6, 5, 1, 1, 0),
        ]
    )
    func theLongerTextGivesTokensUp(first: Int, second: Int, room: Int, keptFirst: Int, keptSecond: Int) throws {
        let kept = try #require(PairTruncation.longestFirst.lengths(first, second, room: room))
        #expect(kept == (keptFirst, keptSecond))
    }

    @Test func aPairThatIsTooLongIsTruncatedOrRefused() throws {
        let reranker = try Self.reranker(positions: 12).loaded { try RerankingPipeline(folder: $0) }
        #expect(
            message { _ = try reranker.predict(Self.pairs) }.hasPrefix("text 1 has ")
                && message { _ = try reranker.predict(Self.pairs) }.contains("expected at most 12")
        )
        let tokenizer = reranker.tokenizer
        let (query, document) = (
            tokenizer.encodeIDs(Self.query, addSpecialTokens: false),
            tokenizer.encodeIDs(Self.documents[2], addSpecialTokens: false)
        )
        let kept = try #require(PairTruncation.longestFirst.lengths(query.count, document.count, room: 9))
        let start = try reranker.preparer.prepare([Self.pairs[2]], overlong: .keepStart)[0]
        func sequence(_ first: ArraySlice<Int32>, _ second: ArraySlice<Int32>) -> [Int32] {
            var ids: [Int32] = [1]
            ids += first
            ids.append(2)
            ids += second
            return ids + [2]
        }
        #expect(start.tokenIDs == sequence(query.prefix(kept.first), document.prefix(kept.second)))
        #expect(start.isTruncated)
        let end = try reranker.preparer.prepare([Self.pairs[2]], overlong: .keepEnd)[0]
        #expect(end.tokenIDs == sequence(query.suffix(kept.first), document.suffix(kept.second)))
    }

    // MARK: - Settings

    @Test func theActivationComesFromTheFirstFileThatNamesOne() throws {
        let checkpoint = try Self.reranker()
        func activation() throws -> Activation? {
            try checkpoint.loaded { try RerankingPipeline(folder: $0) }.defaultActivation
        }
        #expect(try activation() == .sigmoid)
        try checkpoint.addToConfiguration {
            $0.otherKeys["sbert_ce_default_activation_function"] = "torch.nn.modules.activation.Tanh"
        }
        #expect(try activation() == .tanh)
        #expect(try checkpoint.loaded { try RerankingPipeline(folder: $0) }.notices == [])
        try checkpoint.addToConfiguration {
            $0.otherKeys["sentence_transformers"] = ["activation_fn": "torch.nn.modules.linear.Identity"]
        }
        #expect(try activation() == .identity)
        // As in the original, a null is the default and hides the older key.
        try checkpoint.addToConfiguration { $0.otherKeys["sentence_transformers"] = ["activation_fn": nil] }
        #expect(try activation() == .sigmoid)
        try checkpoint.folder.write(
            "{\"activation_fn\": \"torch.nn.modules.activation.Sigmoid\", \"model_type\": \"CrossEncoder\"}",
            "config_sentence_transformers.json"
        )
        #expect(try activation() == .sigmoid)
    }

    @Test(arguments: ["my.module.Scale", "torch.nn.modules.activation.Softsign", "builtins.exec"])
    func anActivationThatIsNotKnownIsRefusedByName(path: String) throws {
        let checkpoint = try Self.reranker()
        try checkpoint.folder.write("{\"activation_fn\": \"\(path)\"}", "config_sentence_transformers.json")
        let reranker = try checkpoint.loaded { try RerankingPipeline(folder: $0) }
        let text = message { _ = try reranker.predict(Self.pairs) }
        #expect(
            text.hasPrefix("config_sentence_transformers.json: \"activation_fn\" is \"\(path)\", which is not run; "),
            "\(text)"
        )
        #expect(throws: Never.self) { try reranker.predict(Self.pairs, activation: .identity) }
    }

    @Test func promptsGoBeforeTheFirstText() throws {
        let checkpoint = try Self.reranker()
        let plain = try checkpoint.loaded { try RerankingPipeline(folder: $0) }
        let named = [TextPair("fox: " + Self.query, "sea")]
        let expected = try plain.predict(named)
        #expect(try plain.predict([TextPair(Self.query, "sea")], prompt: .text("fox: ")) == expected)
        #expect(
            message { _ = try plain.predict(Self.pairs, prompt: .named("web")) }
                == "--prompt-name is \"web\"; expected none, as the model has no prompts"
        )
        try checkpoint.folder.write(
            "{\"prompts\": {\"web\": \"fox: \"}, \"default_prompt_name\": \"web\"}",
            "config_sentence_transformers.json"
        )
        let reranker = try checkpoint.loaded { try RerankingPipeline(folder: $0) }
        #expect(try reranker.predict([TextPair(Self.query, "sea")]) == expected)
        #expect(try reranker.predict([TextPair(Self.query, "sea")], prompt: .none) != expected)
        let text = message { _ = try reranker.predict(Self.pairs, prompt: .named("query")) }
        #expect(text == "--prompt-name is \"query\"; expected web")
    }

    // MARK: - Layouts

    private static func module(_ index: Int, _ name: String, at path: String) -> String {
        "{\"idx\":\(index),\"name\":\"\(index)\",\"path\":\"\(path)\",\"type\":\"sentence_transformers.models.\(name)\"}"
    }

    @Test func oneModuleThatClassifiesSequencesIsAReranker() throws {
        let checkpoint = try Self.reranker()
        let expected = try checkpoint.loaded { try RerankingPipeline(folder: $0) }.predict(Self.pairs)
        try checkpoint.folder.write("[\(Self.module(0, "Transformer", at: ""))]", "modules.json")
        try checkpoint.folder.write(
            """
            {"transformer_task": "sequence-classification", "module_output_name": "scores",
             "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}}}
            """,
            "sentence_bert_config.json"
        )
        try checkpoint.folder.write("{\"model_type\": \"CrossEncoder\"}", "config_sentence_transformers.json")
        let reranker = try checkpoint.loaded { try RerankingPipeline(folder: $0) }
        #expect(try reranker.predict(Self.pairs) == expected)
        #expect(throws: Never.self) { try checkpoint.loaded { try TextClassificationPipeline(folder: $0) } }
    }

    @Test func modulesThatEndInScoresAreAReranker() throws {
        let checkpoint = try TinyCheckpoint(ModernBERT.self)
        let modules = [(0, "Transformer", ""), (1, "Pooling", "1_Pooling"), (2, "Dense", "2_Dense")]
        try checkpoint.folder.write("[\(modules.map(Self.module).joined(separator: ","))]", "modules.json")
        try checkpoint.folder.write(
            "{\"model_type\": \"CrossEncoder\", \"activation_fn\": \"torch.nn.modules.linear.Identity\"}",
            "config_sentence_transformers.json"
        )
        for name in ["1_Pooling", "2_Dense"] {
            try FileManager.default.createDirectory(
                atPath: checkpoint.folder.file(name),
                withIntermediateDirectories: true
            )
        }
        try checkpoint.folder.write("{\"embedding_dimension\": 32, \"pooling_mode\": \"cls\"}", "1_Pooling/config.json")
        try checkpoint.folder.write(
            """
            {"in_features": 32, "out_features": 1, "bias": false, "module_output_name": "scores",
             "activation_function": "torch.nn.modules.linear.Identity"}
            """,
            "2_Dense/config.json"
        )
        let weight = Tensor((0..<32).map { Float($0) / 32 - 0.4 }, shape: [1, 32])
        let file = checkpoint.folder.file("2_Dense/model.safetensors")
        try SafetensorsWriter.write([TensorToWrite(name: "linear.weight", tensor: weight)], to: file)
        let reranker = try checkpoint.loaded { try RerankingPipeline(folder: $0) }
        let trunk = try ModernBERT.load(folder: checkpoint.folder.path)
        let batch = PackedBatch(try reranker.preparer.prepare(Self.pairs).map(\.tokenIDs))
        let expected: [Float] = try withoutGradients {
            try (trunk(batch).pooled(batch, by: .cls) * weight).sum(along: 1).array()
        }
        for (score, expected) in zip(try reranker.predict(Self.pairs), expected) {
            #expect(abs(score.value - Double(expected)) < 1e-5)
        }
        let text = message { _ = try checkpoint.loaded { try TextClassificationPipeline(folder: $0) } }
        #expect(text.contains("is a reranker (cross-encoder)"), "\(text)")
    }

    @Test func aModularScorerOfSeveralClassesFitsNoCommand() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        try checkpoint.folder.write(
            """
            [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
             {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
             {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}]
            """,
            "modules.json"
        )
        for name in ["1_Pooling", "2_Dense"] {
            try FileManager.default.createDirectory(
                atPath: checkpoint.folder.file(name),
                withIntermediateDirectories: true
            )
        }
        try checkpoint.folder.write("{\"embedding_dimension\": 32, \"pooling_mode\": \"cls\"}", "1_Pooling/config.json")
        try checkpoint.folder.write(
            """
            {"in_features": 32, "out_features": 3, "bias": false, "module_output_name": "scores",
             "activation_function": "torch.nn.modules.linear.Identity"}
            """,
            "2_Dense/config.json"
        )
        let weight = TensorToWrite(name: "linear.weight", tensor: Tensor.zeros([3, 32]))
        try SafetensorsWriter.write([weight], to: checkpoint.folder.file("2_Dense/model.safetensors"))
        let end = "no command runs a modular scorer of several classes"
        let ranking = message { _ = try checkpoint.loaded { try RerankingPipeline(folder: $0) } }
        #expect(ranking.contains("gives 3 numbers for each pair") && ranking.hasSuffix(end), "\(ranking)")
        let classifying = message { _ = try checkpoint.loaded { try TextClassificationPipeline(folder: $0) } }
        #expect(classifying.contains("by 3 numbers") && classifying.hasSuffix(end), "\(classifying)")
    }

    // MARK: - Refusals

    @Test func modelsThatScoreNoPairsAreRefusedWithoutANewHead() throws {
        let language = message { _ = try TinyCheckpoint(.encoder).loaded { try RerankingPipeline(folder: $0) } }
        #expect(language.contains("is a masked language model") && language.contains("expected a reranker"))
        let several = message {
            _ = try Self.reranker { $0.labels = ["a", "b"] }.loaded { try RerankingPipeline(folder: $0) }
        }
        #expect(several.contains("is a classifier of texts") && several.contains("one label and not 2"), "\(several)")
        // Nothing tells what the folder is: the head that it lacks is named.
        let checkpoint = try TinyCheckpoint(.encoder)
        try checkpoint.addToConfiguration { $0.architectures = [] }
        let bare = message { _ = try checkpoint.loaded { try RerankingPipeline(folder: $0) } }
        #expect(bare.contains("classifier.weight"), "\(bare)")
    }

    @Test func noDocumentsGiveAnEmptyRanking() throws {
        let reranker = try Self.reranker().loaded { try RerankingPipeline(folder: $0) }
        #expect(try reranker.rank("fox", []) == [])
        #expect(
            message { _ = try reranker.rank("fox", ["sea"], topK: 0) } == "--top-k is 0; expected 1 or more"
        )
    }
}
