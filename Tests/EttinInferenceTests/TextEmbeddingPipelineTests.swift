import EttinInference
import EttinJSON
import EttinModel
import EttinTokenizer
import Foundation
import TestSupport
import Testing
import Torch

@Suite struct TextEncoderTests {
    static let texts = ["A cat sat.", "", "The quick brown fox jumps over the lazy dog.", "fox"]

    private func near(_ one: some Sequence<Float>, _ other: some Sequence<Float>, _ tolerance: Float = 1e-5) -> Bool {
        zip(one, other).allSatisfy { abs($0 - $1) <= tolerance }
    }

    @Test(arguments: Pooling.allCases)
    func vectorsArePooledHiddenStates(pooling: Pooling) throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let encoder = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0, pooling: pooling) }
        let embeddings = try encoder.encode(Self.texts)
        #expect(embeddings.count == 4 && embeddings.dimensions == 32)
        for (index, text) in Self.texts.enumerated() {
            let batch = PackedBatch([checkpoint.tokenizer.encodeIDs(text)])
            let expected: [Float] = try withoutGradients {
                try encoder.model.chain.transformers[0].trunk(batch).pooled(batch, by: pooling).array()
            }
            #expect(near(embeddings[index], expected), "text \(index)")
        }
    }

    @Test(arguments: [ComputeDType.bfloat16, .int8])
    func lowerPrecisionGivesNearlyTheSameVectors(dtype: ComputeDType) throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let exact = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) }.encode(Self.texts, normalize: true)
        let encoder = try checkpoint.loaded {
            try TextEmbeddingPipeline(folder: $0, options: ComputeOptions(dtype: dtype))
        }
        let rough = try encoder.encode(Self.texts, normalize: true)
        for index in Self.texts.indices {
            let cosine = zip(exact[index], rough[index]).reduce(0) { $0 + $1.0 * $1.1 }
            #expect(cosine > 0.99 && cosine < 1.001, "text \(index): \(cosine)")
            #expect(!near(exact[index], rough[index], 1e-7), "computed in \(dtype)")
        }
    }

    @Test func checkpointsWithoutModulesGetTheirKindsPooling() throws {
        let encoder = try TinyCheckpoint(.encoder).loaded { try TextEmbeddingPipeline(folder: $0) }
        #expect(encoder.model.poolings == [.mean])
        let decoder = try TinyCheckpoint(.decoder).loaded { try TextEmbeddingPipeline(folder: $0) }
        #expect(decoder.model.poolings == [.lastToken])
    }

    @Test func batchesOrderAndNormalisationDoNotChangeDirections() throws {
        let encoder = try TinyCheckpoint(.encoder).loaded { try TextEmbeddingPipeline(folder: $0) }
        let plain = try encoder.encode(Self.texts)
        let backwards = try encoder.encode(Self.texts.reversed(), normalize: true, maxBatchTokens: 3)
        for index in Self.texts.indices {
            let norm = plain[index].reduce(0) { $0 + $1 * $1 }.squareRoot()
            #expect(near(plain[index].map { $0 / norm }, backwards[3 - index]))
        }
        #expect(try encoder.encode([]).count == 0)
    }

    @Test func truncationIsRefusedUnlessAskedFor() throws {
        let checkpoint = try TinyCheckpoint(.encoder, positions: 8)
        let encoder = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) }
        let long = "The quick brown fox jumps over the lazy dog and the cat."
        #expect {
            try encoder.encode(["fox", long])
        } throws: {
            "\($0)".hasPrefix("text 2 has ") && "\($0)".contains("expected at most 8")
        }
        let ids = checkpoint.tokenizer.encodeIDs(long)
        for (rule, kept) in [
            (OverlongTextRule.keepStart, ids.prefix(7) + ids.suffix(1)), (.keepEnd, ids.prefix(1) + ids.suffix(7)),
        ] {
            let embeddings = try encoder.encode(["fox", long], overlong: rule)
            #expect(embeddings.isTruncated == [false, true])
            let batch = PackedBatch([Array(kept)])
            let expected: [Float] = try withoutGradients {
                try encoder.model.chain.transformers[0].trunk(batch).pooled(batch, by: .mean).array()
            }
            #expect(near(embeddings[1], expected), "\(rule)")
        }
    }

    // MARK: - sentence-transformers folders

    private func folder(_ pooling: String, modules extra: String = "") throws -> TinyCheckpoint {
        let checkpoint = try TinyCheckpoint(.encoder)
        let modules = """
            [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
             {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}\(extra)]
            """
        try checkpoint.folder.write(modules, "modules.json")
        for name in ["1_Pooling", "2_Dense"] {
            try FileManager.default.createDirectory(
                atPath: checkpoint.folder.file(name),
                withIntermediateDirectories: true
            )
        }
        try checkpoint.folder.write(pooling, "1_Pooling/config.json")
        return checkpoint
    }

    @Test(arguments: [
        #"{"embedding_dimension": 32, "pooling_mode": ["cls", "mean"], "include_prompt": false}"#,
        #"{"word_embedding_dimension": 32, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true, "#
            + #""pooling_mode_max_tokens": false, "include_prompt": false}"#,
    ])
    func bothGenerationsOfPoolingFilesAreRead(file: String) throws {
        let checkpoint = try folder(file)
        try checkpoint.folder.write(
            #"{"prompts": {"query": "A cat"}, "default_prompt_name": "query", "similarity_fn_name": "dot", "#
                + #""__version__": {"sentence_transformers": "6.2.0"}}"#,
            "config_sentence_transformers.json"
        )
        let encoder = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) }
        #expect(encoder.model.settings.similarity == .dot)
        let embeddings = try encoder.encode([" sat on the mat"])
        #expect(embeddings.dimensions == 64)
        // The prompt's tokens, [CLS] among them, take part in attention but not in pooling.
        let ids = checkpoint.tokenizer.encodeIDs("A cat sat on the mat")
        let promptCount = checkpoint.tokenizer.encodeIDs("A cat").count - 1
        let batch = PackedBatch([ids])
        let expected: [Float] = try withoutGradients {
            let hidden = encoder.model.chain.transformers[0].trunk(batch)
            let parts = [Pooling.cls, .mean].map { hidden.pooled(batch, by: $0, skipping: [promptCount]) }
            return try Tensor.concatenate(parts, along: 1).array()
        }
        #expect(near(embeddings[0], expected))
        let without = try encoder.encode(["A cat sat on the mat"], prompt: .none)
        #expect(!near(without[0], expected))
        #expect {
            try encoder.encode(["x"], prompt: .named("passage"))
        } throws: {
            "\($0)" == "--prompt-name is \"passage\"; expected query"
        }
    }

    @Test func aProjectionAndNormalisationFollowPooling() throws {
        let dense = #", {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}"#
        let normalize = #", {"idx": 3, "name": "3", "path": "3_N", "type": "sentence_transformers.models.Normalize"}"#
        let checkpoint = try folder(#"{"pooling_mode": "mean"}"#, modules: dense + normalize)
        try checkpoint.folder.write(
            #"{"in_features": 32, "out_features": 3, "bias": true, "#
                + #""activation_function": "torch.nn.modules.activation.Tanh"}"#,
            "2_Dense/config.json"
        )
        let weights = (0..<96).map { Float($0 % 7) / 10 - 0.3 }
        let biases: [Float] = [0.1, 0.2, 0.3]
        let tensors = [
            TensorToWrite(name: "linear.weight", tensor: Tensor(weights, shape: [3, 32])),
            TensorToWrite(name: "linear.bias", tensor: Tensor(biases)),
        ]
        try SafetensorsWriter.write(tensors, to: checkpoint.folder.file("2_Dense/model.safetensors"))
        let encoder = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) }
        #expect(encoder.model.normalizes && encoder.model.dimensions == 3)
        let embedding = try encoder.encode(["A cat sat."])[0]
        let batch = PackedBatch([checkpoint.tokenizer.encodeIDs("A cat sat.")])
        let mean: [Float] = try encoder.model.chain.transformers[0].trunk(batch).pooled(batch, by: .mean).array()
        let projected = (0..<3).map { row -> Float in
            var sum = biases[row]
            for lane in 0..<32 { sum += weights[row * 32 + lane] * mean[lane] }
            return Float(tanh(Double(sum)))
        }
        let norm = projected.reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(near(embedding, projected.map { $0 / norm }))
    }

    @Test(arguments: [
        (#"{"pooling_mode": "median"}"#, "", "\"pooling_mode\" is \"median\""),
        (#"{"pooling_mode": []}"#, "", "\"pooling_mode\" is []"),
        ("{}", #", {"path": "2_LSTM", "type": "models.LSTM"}"#, "module 2 is \"models.LSTM\""),
        ("{}", #", {"path": "../x", "type": "models.Dense"}"#, "module 2 has the path \"../x\""),
        ("{}", #", {"path": "2_Dense", "type": "models.Dense"}"#, "2_Dense/config.json"),
        ("{}", #", {"type": "models.Dense"}"#, "module 2 lacks \"type\" or \"path\""),
        ("[", "", "1_Pooling/config.json: is not JSON"),
    ])
    func brokenModulesAreErrorsThatNameTheFile(pooling: String, extra: String, expected: String) throws {
        let checkpoint = try folder(pooling, modules: extra)
        #expect {
            try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) }
        } throws: {
            "\($0)".contains(expected)
        }
    }

    @Test(.enabled(if: SharedData.isAvailable, "needs ../shared beside the repository"))
    func embeddingsOfARealFolderEqualTheOriginals() throws {
        let golden = try #require(SharedData.folder) + "/golden/finetune"
        let file = try Data(contentsOf: URL(fileURLWithPath: "\(golden)/models_expected.json"))
        let parsed = try JSONValue(parsing: [UInt8](file))
        let expected = try #require(parsed["dense"])
        func rows(_ key: String) -> [[Float]] {
            expected[key]?.arrayValue?.map { $0.arrayValue?.map { Float($0.doubleValue ?? .nan) } ?? [] } ?? []
        }
        let texts = expected["sentences"]?.arrayValue?.compactMap(\.stringValue) ?? []
        let encoder = try TextEmbeddingPipeline(folder: "\(golden)/models/dense")
        let cases: [(String, TextEmbeddings)] = [
            ("mean", try encoder.encode(texts)),
            ("mean_normalized", try encoder.encode(texts, normalize: true)),
            ("truncate_dim_4", try encoder.encode(texts, truncateDimension: 4)),
            ("truncate_dim_4_normalized", try encoder.encode(texts, normalize: true, truncateDimension: 4)),
            ("prompt_query_colon", try encoder.encode(texts, prompt: .text("query: "))),
        ]
        for (key, embeddings) in cases {
            let expected = rows(key)
            #expect(expected.count == 3)
            for (index, row) in expected.enumerated() {
                #expect(embeddings.dimensions == row.count && near(embeddings[index], row), "\(key) \(index)")
            }
        }
        #expect(try TextEmbeddingPipeline(folder: "\(golden)/models/dec").model.poolings == [.lastToken])
    }
}
