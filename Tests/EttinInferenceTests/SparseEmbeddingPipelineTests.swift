import EttinJSON
import EttinTokenizer
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinInference
@testable import EttinModel

@Suite struct SparseEmbeddingPipelineTests {
    private static let texts = ["A cat sat.", "", "The quick brown fox jumps over the lazy dog.", "fox"]

    /// A masked language model with modules, of either generation.
    private static func checkpoint(
        isNew: Bool = true,
        pooling: JSONObject = [:],
        settings: JSONObject = [:]
    ) throws -> TinyCheckpoint {
        let checkpoint = try TinyCheckpoint(.encoder)
        let folder = checkpoint.folder
        try FileManager.default.createDirectory(
            atPath: folder.file("1_SpladePooling"),
            withIntermediateDirectories: true
        )
        let prefix =
            "sentence_transformers." + (isNew ? "sparse_encoder.modules.splade_pooling" : "sparse_encoder.models")
        let transformer =
            isNew
            ? "sentence_transformers.base.modules.transformer.Transformer"
            : "sentence_transformers.sparse_encoder.models.MLMTransformer"
        try folder.write(
            JSONValue.array([
                ["idx": 0, "name": "0", "path": "", "type": .string(transformer)],
                ["idx": 1, "name": "1", "path": "1_SpladePooling", "type": .string(prefix + ".SpladePooling")],
            ]).text(),
            "modules.json"
        )
        try folder.write(
            isNew
                ? #"{"transformer_task": "fill-mask", "modality_config": {"text": {"method": "forward", "#
                    + #""method_output_name": "logits"}}, "module_output_name": "token_embeddings"}"#
                : #"{"max_seq_length": 64, "do_lower_case": false}"#,
            "sentence_bert_config.json"
        )
        var config: JSONObject = ["pooling_strategy": "max", "activation_function": "relu"]
        for (key, value) in pooling.map({ ($0.key, $0.value) }) { config[key] = value }
        try folder.write(JSONValue.object(config).text(), "1_SpladePooling/config.json")
        var model: JSONObject = ["model_type": "SparseEncoder", "prompts": ["query": "The ", "document": ""]]
        for (key, value) in settings.map({ ($0.key, $0.value) }) { model[key] = value }
        try folder.write(JSONValue.object(model).text(), "config_sentence_transformers.json")
        return checkpoint
    }

    private static func pipeline(
        _ checkpoint: TinyCheckpoint,
        _ dtype: ComputeDType? = nil
    ) throws -> SparseEmbeddingPipeline {
        try checkpoint.loaded { try SparseEmbeddingPipeline(folder: $0, options: ComputeOptions(dtype: dtype)) }
    }

    @Test(arguments: [("max", "relu"), ("sum", "relu"), ("max", "log1p_relu"), ("sum", "log1p_relu")])
    func weightsArePooledLogits(strategy: String, activation: String) throws {
        for isNew in [true, false] {
            let checkpoint = try Self.checkpoint(
                isNew: isNew,
                pooling: ["pooling_strategy": .string(strategy), "activation_function": .string(activation)]
            )
            let pipeline = try Self.pipeline(checkpoint)
            let embeddings = try pipeline.encode(Self.texts)
            #expect(embeddings.dimensions == checkpoint.configuration.vocabularySize)
            let model = try checkpoint.loaded { try LanguageModel.load(folder: $0) }
            for (index, text) in Self.texts.enumerated() {
                let ids = checkpoint.tokenizer.encodeIDs(text)
                let logits: [Float] = try withoutGradients { try model(PackedBatch([ids])).array() }
                var expected = [Float](repeating: 0, count: embeddings.dimensions)
                for (place, logit) in logits.enumerated() {
                    var weight = log1p(max(0, logit))
                    if activation == "log1p_relu" { weight = log1p(weight) }
                    let column = place % embeddings.dimensions
                    expected[column] = strategy == "max" ? max(expected[column], weight) : expected[column] + weight
                }
                let vector = embeddings[index]
                #expect(vector.indices == expected.indices.filter { expected[$0] != 0 }.map { Int32($0) })
                let isNear = zip(vector.indices, vector.values).allSatisfy { index, value in
                    abs(expected[Int(index)] - value) < 2e-5 * max(1, value)
                }
                #expect(isNear)
            }
        }
    }

    @Test(arguments: [ComputeDType.float32, .bfloat16, .int8])
    func aBatchEqualsSingleTexts(dtype: ComputeDType) throws {
        let pipeline = try Self.pipeline(Self.checkpoint(), dtype)
        let together = try pipeline.encode(Self.texts, as: .document)
        for (index, text) in Self.texts.enumerated() {
            let alone = try pipeline.encode([text], as: .document)[0]
            let cosine = alone.similarity(to: together[index], by: .cosine)
            #expect(abs(cosine - 1) < 1e-5)
            guard dtype == .float32 else { continue }
            #expect(alone.indices == together[index].indices)
            #expect(zip(alone.values, together[index].values).allSatisfy { abs($0 - $1) <= 1e-6 })
        }
        // Prompts by role, and texts that are neither.
        let query = try pipeline.encode(["cat"], as: .query)[0]
        #expect(try pipeline.encode(["The cat"])[0] == query)
        #expect(try pipeline.encode(["cat"])[0] != query)
    }

    @Test func aPlainMaskedLanguageModelIsPooledByTheMaximum() throws {
        let plain = try Self.pipeline(TinyCheckpoint(.encoder))
        #expect(try plain.encode(Self.texts) == Self.pipeline(Self.checkpoint()).encode(Self.texts))
        let decoder = try TinyCheckpoint(.decoder)
        #expect { _ = try Self.pipeline(decoder) } throws: {
            "\($0)".contains("expected a sparse model, or a masked language model")
        }
    }

    @Test func onlyTheLargestWeightsAreKept() throws {
        let pipeline = try Self.pipeline(Self.checkpoint(settings: ["max_active_dims": 7]))
        let all = try Self.pipeline(Self.checkpoint()).encode(Self.texts)
        let seven = try pipeline.encode(Self.texts)
        let three = try pipeline.encode(Self.texts, maxActiveDimensions: 3)
        for index in Self.texts.indices {
            #expect(seven[index].count == 7 && three[index].count == 3)
            #expect(three[index].byWeight.map(\.index) == all[index].byWeight.prefix(3).map(\.index))
            #expect(seven[index].values.allSatisfy { $0 >= all[index].byWeight[6].value })
        }
        #expect(seven.activeDimensions == 7 && abs(seven.sparsityRatio - (1 - 7 / 324.0)) < 1e-12)
        let decoded = pipeline.decode(seven[0], topK: 2)
        #expect(decoded.count == 2 && decoded[0].weight >= decoded[1].weight)
        #expect(decoded[0].token == pipeline.tokenizer.idToToken(seven[0].byWeight[0].index))
        #expect(pipeline.decode(seven[0], topK: -1).isEmpty)
        // Texts of another model are named by their number among all.
        let foreign = PreparedText([0, 4000], task: "query")
        #expect {
            try pipeline.embeddings(of: pipeline.preparer.prepare(["a", "b"], as: .document) + [foreign])
        } throws: {
            "\($0)".contains("text 3 has token 4000")
        }
        #expect { try pipeline.encode(["a"], maxActiveDimensions: 0) } throws: {
            "\($0)" == "--max-active-dims is 0; expected 1 or more"
        }
        for (settings, pooling, text) in [
            (["max_active_dims": 0], [:], "\"max_active_dims\" is 0; expected 1 or more"),
            ([:], ["pooling_strategy": "mean"], "\"pooling_strategy\" is \"mean\""),
            ([:], ["activation_function": "gelu"], "\"activation_function\" is \"gelu\""),
            ([:], ["word_embedding_dimension": 7], "is 7; expected 324, the width before it"),
        ] as [(JSONObject, JSONObject, String)] {
            let checkpoint = try Self.checkpoint(pooling: pooling, settings: settings)
            #expect { _ = try Self.pipeline(checkpoint) } throws: { "\($0)".contains(text) }
        }
    }

    @Test func similaritiesAreThoseOfTheWholeVectors() {
        let a = SparseVector(indices: [0, 3, 7], values: [1, 2, -2]),
            b = SparseVector(indices: [3, 4], values: [3, 4])
        #expect(a.similarity(to: b) == 6)
        #expect(abs(a.similarity(to: b, by: .cosine) - 6 / 15) < 1e-6)
        #expect(abs(a.similarity(to: b, by: .euclidean) + Float(22).squareRoot()) < 1e-6)
        #expect(a.similarity(to: b, by: .manhattan) == -8)
        let nothing = SparseVector(indices: [], values: [])
        #expect(a.similarity(to: nothing) == 0 && a.similarity(to: nothing, by: .cosine) == 0)
    }

    @Test func weightsThatAreNoNumbersNameTheTensor() throws {
        let checkpoint = try Self.checkpoint()
        let model = try LanguageModel.loadForTraining(folder: checkpoint.folder.path)
        var bias = [Float](repeating: 0, count: checkpoint.configuration.vocabularySize)
        bias[9] = .nan
        let state = model.parameters.map { name, tensor in
            (key: name, tensor: name == "decoder.bias" ? Tensor(bias) : tensor)
        }
        try model.load(state)
        try model.save(folder: checkpoint.folder.path)
        // One that is not among the largest weights is found too.
        for most in [nil, 2] {
            #expect { try Self.pipeline(checkpoint).encode(["cat"], maxActiveDimensions: most) } throws: {
                "\($0)".contains("a weight of text 1 is NaN or infinite; the tensor \"decoder.bias\" holds NaN")
            }
        }
    }

    // MARK: - The originals

    @Test(.enabled(if: SharedData.isAvailable, "needs the golden folders beside the repository"))
    func aRouterTakesQueriesAndDocumentsApart() throws {
        let folder = try #require(SharedData.folder) + "/golden/descendants/sparse-router"
        let data = try Data(contentsOf: URL(filePath: folder + "/expected.json"))
        let expected = try JSONValue(parsing: String(decoding: data, as: UTF8.self))
        let pipeline = try SparseEmbeddingPipeline(folder: folder)
        var found: [SparseEmbeddings] = []
        for (role, texts, key) in [
            (TextRole.query, "queries", "query_vectors"), (.document, "documents", "document_vectors"),
        ] {
            let inputs = expected[texts]?.arrayValue?.compactMap(\.stringValue) ?? []
            let embeddings = try pipeline.encode(inputs, as: role, overlong: .keepStart)
            found.append(embeddings)
            for (index, vector) in (expected[key]?.arrayValue ?? []).enumerated() {
                let entries = vector.arrayValue ?? []
                #expect(embeddings[index].indices == entries.compactMap { $0[0]?.intValue.map { Int32($0) } })
                let values = entries.compactMap { $0[1]?.doubleValue.map { Float($0) } }
                #expect(zip(embeddings[index].values, values).allSatisfy { abs($0 - $1) < 1e-4 })
            }
            #expect(embeddings.count == inputs.count && !inputs.isEmpty)
        }
        let scores = pipeline.similarity(found[0], found[1])
        for (row, original) in zip(scores, expected["scores"]?.arrayValue ?? []) {
            for (score, value) in zip(row, original.arrayValue ?? []) {
                #expect(abs(Double(score) - (value.doubleValue ?? .nan)) < 1e-4)
            }
        }
    }

    @Test(.enabled(if: SharedData.isAvailable, "needs the golden folders beside the repository"))
    func weightsAreThoseOfTheOriginal() throws {
        let golden = try #require(SharedData.folder) + "/golden/finetune"
        let data = try Data(contentsOf: URL(filePath: golden + "/models_expected.json"))
        let expected = try #require(try JSONValue(parsing: String(decoding: data, as: UTF8.self))["sparse"])
        let pipeline = try SparseEmbeddingPipeline(folder: golden + "/models/sparse")
        let texts = expected["sentences"]?.arrayValue?.compactMap(\.stringValue) ?? []
        let embeddings = try pipeline.encode(texts)
        #expect(embeddings.vectors.map(\.count) == expected["nnz"]?.arrayValue?.compactMap(\.intValue))
        let sums = expected["row_sums"]?.arrayValue?.compactMap(\.doubleValue) ?? []
        #expect(zip(embeddings.vectors, sums).allSatisfy { abs(Double($0.values.reduce(0, +)) - $1) < 1e-3 })
        for (vector, row) in zip(embeddings.vectors, expected["top3"]?.arrayValue ?? []) {
            let decoded = pipeline.decode(vector, topK: 3)
            #expect(decoded.map(\.token) == row.arrayValue?.compactMap { $0[0]?.stringValue })
        }
        let dot = pipeline.similarity(embeddings, embeddings).flatMap(\.self)
        let originals = (expected["dot"]?.arrayValue ?? []).flatMap { ($0.arrayValue ?? []).compactMap(\.doubleValue) }
        #expect(dot.count == originals.count && zip(dot, originals).allSatisfy { abs(Double($0) - $1) < 1e-3 })
    }
}
