import EttinJSON
import EttinTokenizer
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinInference
@testable import EttinModel

/// A small multi-vector model in either layout, with the tokenizer of its checkpoint.
struct TinyColBERT {
    enum Layout: String, CaseIterable {
        case pylate
        case sentenceTransformers
    }

    let checkpoint: TinyCheckpoint
    var path: String { checkpoint.folder.path }

    /// Width of a vector.
    static let dimensions = 6

    init(_ layout: Layout, expansion: JSONValue = ["strategy": "fixed", "length": 12], settings: JSONObject = [:])
        throws
    {
        checkpoint = try TinyCheckpoint(.encoder)
        let folder = checkpoint.folder
        let isNative = layout == .sentenceTransformers
        let weights = (0..<Self.dimensions * 32).map { Float(sin(Double($0 * $0 % 97))) / 3 }
        try FileManager.default.createDirectory(atPath: folder.file("1_Dense"), withIntermediateDirectories: true)
        let tensor = TensorToWrite(name: "linear.weight", tensor: Tensor(weights, shape: [Self.dimensions, 32]))
        try SafetensorsWriter.write([tensor], to: folder.file("1_Dense/model.safetensors"))
        var dense: JSONObject = [
            "in_features": 32, "out_features": JSONValue(Self.dimensions), "bias": false,
            "activation_function": "torch.nn.modules.linear.Identity",
        ]
        var modules: [(String, String)]
        var model: JSONObject
        if isNative {
            dense["module_input_name"] = "token_embeddings"
            modules = [
                ("", "sentence_transformers.base.modules.transformer.Transformer"),
                ("1_Dense", "sentence_transformers.base.modules.dense.Dense"),
                (
                    "2_MultiVectorMask",
                    "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"
                ),
                ("3_Normalize", "sentence_transformers.base.modules.normalize.Normalize"),
            ]
            for name in ["2_MultiVectorMask", "3_Normalize"] {
                try FileManager.default.createDirectory(atPath: folder.file(name), withIntermediateDirectories: true)
            }
            try folder.write(#"{"skiplist_words": [".", ";", "nowhere"]}"#, "2_MultiVectorMask/config.json")
            try folder.write(#"{"module_input_name": "token_embeddings"}"#, "3_Normalize/config.json")
            model = ["model_type": "MultiVectorEncoder", "prompts": ["query": "The ", "document": ""]]
            let transformer: JSONObject = [
                "transformer_task": "feature-extraction", "document_length": 24, "query_expansion": expansion,
            ]
            try folder.write(JSONValue.object(transformer).text(), "sentence_bert_config.json")
        } else {
            modules = [("", "sentence_transformers.models.Transformer"), ("1_Dense", "pylate.models.Dense.Dense")]
            model = [
                "model_type": "ColBERT", "query_prefix": "[UNK]", "document_prefix": "[PAD]", "query_length": 12,
                "document_length": 24, "skiplist_words": [".", ";", "nowhere"],
            ]
            try folder.write(#"{"max_seq_length": 64, "do_lower_case": false}"#, "sentence_bert_config.json")
        }
        for (key, value) in settings.map({ ($0.key, $0.value) }) { model[key] = value }
        try folder.write(JSONValue.object(dense).text(), "1_Dense/config.json")
        try folder.write(JSONValue.object(model).text(), "config_sentence_transformers.json")
        let list = modules.enumerated().map { index, module -> JSONValue in
            [
                "idx": JSONValue(index), "name": .string("\(index)"), "path": .string(module.0),
                "type": .string(module.1),
            ]
        }
        try folder.write(JSONValue.array(list).text(), "modules.json")
    }

    func pipeline(_ dtype: ComputeDType? = nil) throws -> LateInteractionPipeline {
        try withExtendedLifetime(checkpoint) {
            try LateInteractionPipeline(folder: path, options: ComputeOptions(dtype: dtype))
        }
    }
}

@Suite struct LateInteractionPipelineTests {
    private static let queries = ["A cat sat.", "fox", "", "The dog sat on the mat"]
    private static let documents = [
        "The quick brown fox; a dog.", "cat", "A cat sat on the mat; the dog sat on the cat.", "",
    ]

    private static func largestDifference(_ a: some Sequence<Float>, _ b: some Sequence<Float>) -> Float {
        zip(a, b).map { ($0 - $1).magnitude }.max() ?? 0
    }

    // MARK: - Preparing

    @Test func pylateQueriesHaveTheirPrefixAndAreExpanded() throws {
        let model = try TinyColBERT(.pylate)
        let pipeline = try model.pipeline()
        let tokenizer = model.checkpoint.tokenizer
        let prefix = try #require(tokenizer.tokenToID("[UNK]"))
        let mask = try #require(tokenizer.maskTokenID)
        let plain = tokenizer.encodeIDs("A cat")
        let text = try pipeline.preparer.prepare(["  A cat\n"], as: .query)[0]
        let expected = [plain[0], prefix] + plain.dropFirst()
        #expect(text.tokenIDs == expected + [Int32](repeating: mask, count: 12 - expected.count))
        #expect(text.unattendedTokenCount == 12 - expected.count && text.task == "query")
        #expect(pipeline.notices.contains { $0.contains("skiplist_words: no effect of \"nowhere\"") })
        // With the prefix and the special tokens, a long query has 12 tokens, and none is added.
        let long = try pipeline.preparer.prepare([Self.documents[2]], as: .query, overlong: .keepStart)[0]
        #expect(long.tokenIDs.count == 12 && long.isTruncated && long.unattendedTokenCount == 0)
        #expect(long.tokenIDs[1] == prefix && long.tokenIDs[11] == plain.last)
        #expect {
            try pipeline.preparer.prepare([Self.documents[2]], as: .query)
        } throws: {
            "\($0)".contains("expected at most 12")
        }
        let document = try pipeline.preparer.prepare(["A cat"])[0]
        #expect(document.tokenIDs[1] == tokenizer.padTokenID && document.tokenIDs.count == plain.count + 1)
        #expect(pipeline.preparer.limit(for: .document) == 24)
    }

    @Test func promptsOfPyLateDoNotDependOnTheRole() throws {
        func settings(_ name: JSONValue) -> JSONObject {
            ["prompts": ["query": "The ", "document": "A "], "default_prompt_name": name]
        }
        let names: [(JSONValue, String)] = [("query", "The "), ("document", "A "), (.null, "")]
        for (name, prompt) in names {
            let model = try TinyColBERT(.pylate, settings: settings(name))
            let preparer = try model.pipeline().preparer
            for role in TextRole.allCases {
                func ids(_ prompt: LateInteractionPipeline.Prompt) throws -> [Int32] {
                    try preparer.prepare(["cat"], as: role, prompt: prompt, overlong: .keepStart)[0].tokenIDs
                }
                #expect(try ids(.default) == ids(.text(prompt)))
                #expect(try (ids(.default) == ids(.none)) == prompt.isEmpty)
            }
        }
    }

    @Test func expansionStrategiesAreObeyed() throws {
        func lengths(_ expansion: JSONValue) throws -> [[Int]] {
            let model = try TinyColBERT(.sentenceTransformers, expansion: expansion)
            let texts = try model.pipeline().preparer.prepare(
                ["cat", Self.documents[2]],
                as: .query,
                overlong: .keepStart
            )
            return texts.map { [$0.tokenIDs.count, $0.unattendedTokenCount == 0 ? 0 : 1] }
        }
        let long = try TinyCheckpoint(.encoder).tokenizer.encodeIDs("The " + Self.documents[2]).count
        #expect(long > 12)
        #expect(try lengths(["strategy": "fixed", "length": 12]) == [[12, 1], [12, 0]])
        #expect(try lengths(["strategy": "min", "length": 12]) == [[12, 1], [long, 0]])
        #expect(try lengths(["strategy": "fixed", "length": 12, "attend": true]) == [[12, 0], [12, 0]])
        #expect(try lengths(.null)[1] == [long, 0])
    }

    @Test func whatIsWrongIsNamed() throws {
        func expect(
            _ text: String,
            _ expansion: JSONValue = .null,
            _ settings: JSONObject = [:],
            _ layout: TinyColBERT.Layout = .sentenceTransformers
        ) throws {
            let model = try TinyColBERT(layout, expansion: expansion, settings: settings)
            #expect { _ = try model.pipeline() } throws: { "\($0)".contains(text) }
        }
        try expect("\"length\" is 0; expected 1 to", ["strategy": "fixed", "length": 0])
        try expect("\"length\" is not there", ["strategy": "fixed"])
        try expect("\"strategy\" is \"max\"", ["strategy": "max", "length": 8])
        try expect("expanded to 65 tokens; expected at most the 64", ["strategy": "min", "length": 65])
        try expect("has no token \"[Q]\" to expand queries with", ["strategy": "min", "length": 8, "token": "[Q]"])
        try expect("\"query_length\" is 0", .null, ["query_length": 0], .pylate)
        try expect("\"skiplist_words\" is 3", .null, ["skiplist_words": 3], .pylate)
        try expect(
            "config_sentence_transformers.json: \"query_length\" is 2; expected at least 3",
            .null,
            ["query_length": 2],
            .pylate
        )
        try expect(
            "config_sentence_transformers.json: \"document_length\" is 1; expected at least 3",
            .null,
            ["document_length": 1],
            .pylate
        )
        try expect(
            "sentence_bert_config.json: \"query_expansion\" is 1; expected at least 2",
            ["strategy": "fixed", "length": 1]
        )
        let pipeline = try TinyColBERT(.pylate).pipeline()
        #expect { try pipeline.encode(["a"], pooling: TokenPooling(factor: 0.5)) } throws: {
            "\($0)" == "--pool-factor is 0.5; expected 1 or more"
        }
        #expect { try pipeline.encode(["a"], prompt: .named("x")) } throws: {
            "\($0)".contains("--prompt-name is \"x\"")
        }
        #expect { try pipeline.encode(["a"], maxLength: 65) } throws: {
            "\($0)" == "--max-length is 65; expected 3 to 64"
        }
        // An encoder without a projection is refused, and so is an embedding model.
        let bare = try TinyCheckpoint(.encoder)
        #expect { _ = try bare.loaded { try LateInteractionPipeline(folder: $0) } } throws: {
            "\($0)".contains("a fresh projection would give random scores")
        }
    }

    @Test func aQueryWithoutTokensIsRefused() throws {
        func refusal(_ isAttendedTo: Bool) throws -> String? {
            let model = try TinyColBERT(
                .sentenceTransformers,
                expansion: ["strategy": "fixed", "length": 12, "attend": .bool(isAttendedTo)]
            )
            let folder = model.checkpoint.folder
            var tokenizer =
                try JSONValue(parsing: String(decoding: folder.read("tokenizer.json"), as: UTF8.self))
                .objectValue ?? [:]
            tokenizer["post_processor"] = .null
            try folder.write(JSONValue.object(tokenizer).text(), "tokenizer.json")
            let pipeline = try model.pipeline()
            do {
                #expect(try pipeline.encode(["cat", ""], as: .query, prompt: .none).lengths == [12, 12])
                return nil
            } catch {
                return "\(error)"
            }
        }
        #expect(
            try refusal(false) == "text 2 has no tokens; expected at least one beside those of query_expansion"
        )
        // Those of the expansion attend to each other.
        #expect(try refusal(true) == nil)
    }

    @Test func aFixedExpansionThatCountsForNothingLimitsQueries() throws {
        let model = try TinyColBERT(.sentenceTransformers, expansion: ["strategy": "fixed", "length": 8])
        let folder = model.checkpoint.folder
        var modules =
            try JSONValue(parsing: String(decoding: folder.read("modules.json"), as: UTF8.self)).arrayValue ?? []
        modules.remove(at: 2)
        try folder.write(JSONValue.array(modules).text(), "modules.json")
        let pipeline = try model.pipeline()
        #expect(
            pipeline.notices.contains { $0.contains("query_expansion: only limits queries, as no MultiVectorMask") }
        )
        let lengths = try pipeline.encode(["cat", Self.documents[2]], as: .query, overlong: .keepStart).lengths
        #expect(lengths[0] < 8 && lengths[1] == 8)
    }

    @Test func nullIsTheDefaultOfPyLate() throws {
        let model = try TinyColBERT(
            .pylate,
            settings: [
                "query_prefix": .null, "document_prefix": .null, "query_length": .null, "do_query_expansion": .null,
                "attend_to_expansion_tokens": .null,
            ]
        )
        let settings = try model.pipeline().model.settings
        #expect(settings.queryPrefix == "[Q] " && settings.documentPrefix == "[D] " && settings.queryLength == 32)
        #expect(settings.expansion == QueryExpansion(length: 32))
    }

    // MARK: - Vectors

    @Test(arguments: TinyColBERT.Layout.allCases, [ComputeDType.float32, .bfloat16, .int8])
    func aBatchEqualsSingleTexts(layout: TinyColBERT.Layout, dtype: ComputeDType) throws {
        let pipeline = try TinyColBERT(layout).pipeline(dtype)
        for (role, texts) in [(TextRole.query, Self.queries), (.document, Self.documents)] {
            let together = try pipeline.encode(texts, as: role, overlong: .keepStart)
            #expect(together.count == texts.count && together.dimensions == TinyColBERT.dimensions)
            for (index, text) in texts.enumerated() {
                let alone = try pipeline.encode([text], as: role, overlong: .keepStart)
                #expect(alone.lengths[0] == together.lengths[index])
                #expect(together.lengths[index] == 12 || role == .document)
                for (one, other) in zip(alone.rows(0), together.rows(index)) {
                    let length = one.reduce(0) { $0 + $1 * $1 }
                    #expect(abs(length - 1) < (dtype == .bfloat16 ? 2e-2 : 1e-5))
                    // The kernels give a token the same sums in every batch.
                    #expect(Self.largestDifference(one, other) <= (dtype == .float32 ? 1e-6 : 1e-3))
                }
            }
        }
    }

    @Test func expansionTokensSeeTheTextAndAreSeenByNobody() throws {
        let short = try TinyColBERT(.sentenceTransformers, expansion: ["strategy": "fixed", "length": 12]).pipeline()
        let long = try TinyColBERT(.sentenceTransformers, expansion: ["strategy": "fixed", "length": 30]).pipeline()
        let without = try TinyColBERT(.sentenceTransformers, expansion: .null).pipeline()
        let attended = try TinyColBERT(
            .sentenceTransformers,
            expansion: ["strategy": "fixed", "length": 12, "attend": true]
        ).pipeline()
        let vectors = try [short, long, without, attended].map { try $0.encode(["A cat sat."], as: .query) }
        #expect(vectors[0].lengths == [12] && vectors[1].lengths == [30] && vectors[3].lengths == [12])
        let count = vectors[2].lengths[0] * TinyColBERT.dimensions
        #expect(Self.largestDifference(vectors[0].values[..<count], vectors[2].values) <= 1e-6)
        // Positions that both have do not depend on those behind them.
        #expect(Self.largestDifference(vectors[1].values[..<vectors[0].values.count], vectors[0].values) <= 1e-6)
        #expect(Self.largestDifference(vectors[3].values, vectors[0].values) > 1e-3)
        // And they depend on the text.
        let other = try short.encode(["fox fox fox"], as: .query)
        #expect(Self.largestDifference(other.values.suffix(6), vectors[0].values.suffix(6)) > 1e-4)
    }

    @Test func skippedWordsAreLeftOutOfDocumentsOnly() throws {
        let model = try TinyColBERT(.sentenceTransformers, expansion: .null)
        let pipeline = try model.pipeline()
        let tokenizer = model.checkpoint.tokenizer
        let text = "fox; dog."
        let ids = tokenizer.encodeIDs(text)
        let skipped = [".", ";"].compactMap { tokenizer.tokenToID($0) }
        #expect(skipped.count == 2)
        let kept = ids.filter { !skipped.contains($0) }.count
        #expect(kept == ids.count - 2)
        #expect(try pipeline.encode([text]).lengths == [kept])
        #expect(try pipeline.encode([text], as: .query, prompt: .none).lengths == [ids.count])
    }

    @Test func documentsAreRankedByTheirScores() throws {
        let pipeline = try TinyColBERT(.pylate).pipeline()
        let ranked = try pipeline.rank("A cat sat.", Self.documents, topK: 3)
        #expect(ranked.count == 3 && ranked.map(\.score) == ranked.map(\.score).sorted(by: >))
        let query = try pipeline.encode(["A cat sat."], as: .query)
        let documents = try pipeline.encode(Self.documents)
        let scores = query.maxSim(documents)[0]
        #expect(ranked.allSatisfy { abs($0.score - scores[$0.index]) < 1e-5 })
        for (index, score) in scores.enumerated() {
            let expected = query.rows(0).map { q in
                documents.rows(index).map { d in zip(q, d).reduce(Float(0)) { $0 + $1.0 * $1.1 } }.max() ?? 0
            }.reduce(0, +)
            #expect(abs(score - expected) < 1e-5)
        }
        #expect(query.maxSimPairwise(try pipeline.encode([Self.documents[0]])).count == 1)
        #expect { try pipeline.rank("a", ["b"], topK: 0) } throws: { "\($0)".contains("--top-k is 0") }
    }

    @Test func stanfordsProjectionLiesAmongTheWeights() throws {
        let pylate = try TinyColBERT(.pylate)
        let folder = pylate.checkpoint.folder
        let expected = try pylate.pipeline().encode(Self.documents)
        let store = try TensorStore.open(folder: folder.path)
        let dense = try TensorStore.open(folder: folder.file("1_Dense"))
        let tensors = try store.names.map { TensorToWrite(name: $0, tensor: try store.tensor($0)) }
        let projection = TensorToWrite(name: "linear.weight", tensor: try dense.tensor("linear.weight").copy())
        try SafetensorsWriter.write(tensors + [projection], to: folder.file("both.safetensors"))
        let bias = TensorToWrite(name: "linear.bias", tensor: Tensor([Float](repeating: 0, count: expected.dimensions)))
        try SafetensorsWriter.write(tensors + [projection, bias], to: folder.file("more.safetensors"))
        try FileManager.default.removeItem(atPath: folder.file("modules.json"))
        try FileManager.default.removeItem(atPath: folder.file("model.safetensors"))
        try FileManager.default.moveItem(
            atPath: folder.file("both.safetensors"),
            toPath: folder.file("model.safetensors")
        )
        var config =
            try JSONValue(parsing: String(decoding: folder.read("config.json"), as: UTF8.self)).objectValue ?? [:]
        config["architectures"] = ["HF_ColBERT"]
        try folder.write(JSONValue.object(config).text(), "config.json")
        try folder.write(
            #"{"query_token_id": "[UNK]", "doc_token_id": "[PAD]", "query_maxlen": 12, "doc_maxlen": 24}"#,
            "artifact.metadata"
        )
        let pipeline = try pylate.pipeline()
        #expect(pipeline.model.settings.layout == .stanford)
        // The text keeps the blank behind the marker, which PyLate's prefix takes for itself.
        let prepared = try pipeline.preparer.prepare(["cat"])[0].tokenIDs
        let blank = pylate.checkpoint.tokenizer.encodeIDs(" cat")
        #expect(Array(prepared.dropFirst(2)) == Array(blank.dropFirst()))
        let first = try pipeline.encode(["cat"]).rows(0)[0].count
        #expect(first == expected.dimensions)
        try folder.write(
            #"{"query_token_id": "[UNK]", "query_maxlen": 2, "mask_punctuation": null}"#,
            "artifact.metadata"
        )
        let settings = try MultiVectorSettings(folder: folder.path)
        #expect(
            settings.skippedWords == [] && settings.expansion?.length == 2 && settings.documentPrefix == "[unused1] "
        )
        #expect { _ = try pylate.pipeline() } throws: {
            "\($0)".contains("artifact.metadata: \"query_maxlen\" is 2; expected at least")
        }
        try folder.write(#"{"query_maxlen": 0}"#, "artifact.metadata")
        #expect { _ = try pylate.pipeline() } throws: { "\($0)".contains("\"query_maxlen\" is 0") }
        try FileManager.default.removeItem(atPath: folder.file("model.safetensors"))
        try FileManager.default.moveItem(
            atPath: folder.file("more.safetensors"),
            toPath: folder.file("model.safetensors")
        )
        #expect { _ = try pylate.pipeline() } throws: {
            "\($0)".contains("has the tensors \"linear.bias\" besides the transformer; expected only \"linear.weight\"")
        }
    }

    @Test func vectorsThatAreNoNumbersNameTheTensor() throws {
        let model = try TinyColBERT(.pylate)
        let weights = [Float](repeating: .nan, count: TinyColBERT.dimensions * 32)
        let tensor = TensorToWrite(name: "linear.weight", tensor: Tensor(weights, shape: [TinyColBERT.dimensions, 32]))
        try SafetensorsWriter.write([tensor], to: model.checkpoint.folder.file("1_Dense/model.safetensors"))
        #expect { try model.pipeline().encode(["cat"]) } throws: {
            "\($0)".contains("a vector of text 1 is NaN or infinite; the tensor \"linear.weight\" in 1_Dense holds NaN")
        }
    }

    // MARK: - Pooling

    @Test func clustersAreThoseOfScipy() {
        // scipy.cluster.hierarchy, with equal distances among the points.
        let points =
            [
                (2, -2), (-2, -1), (-2, 2), (2, 0), (-2, -2), (-1, 0), (1, 0), (-1, -2), (1, 1), (-2, -2), (0, -1),
                (2, 0),
            ] as [(Double, Double)]
        var distances: [Double] = []
        for a in points.indices {
            for b in points.indices.dropFirst(a + 1) {
                distances.append((abs(points[a].0 - points[b].0) + abs(points[a].1 - points[b].1)) / 4)
            }
        }
        let tree = WardClustering(count: points.count, distances: distances)
        let expected: [(Int, [Int])] = [
            (1, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (2, [0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 1, 0]),
            (3, [0, 1, 2, 0, 1, 1, 0, 1, 0, 1, 1, 0]),
            (5, [1, 2, 4, 0, 2, 3, 0, 2, 0, 2, 3, 0]),
            (8, [2, 4, 7, 0, 3, 5, 1, 3, 1, 3, 6, 0]),
            (11, [3, 6, 9, 0, 4, 7, 1, 5, 2, 4, 8, 0]),
        ]
        for (count, labels) in expected { #expect(tree.clusters(atMost: count) == labels, "\(count) clusters") }
        #expect(tree.clusters(atMost: 12) == Array(0..<12))
        #expect(WardClustering(count: 1, distances: []).clusters(atMost: 1) == [0])
    }

    @Test func tokensArePooledAsPyLatePoolsThem() throws {
        // golden/finetune/colbert.json, "hierarchical_pooling".
        let rows: [Float] = [
            0.21424426, 0.50936061, 0.20485383, -0.80788988, 0.70590252, 0.34803656, -0.41866037, 0.45309559, 0.5059945,
            0.4082301, 0.039447576, 0.75878966, -0.68379217, -0.15126069, -0.44764423, 0.55602431, 0.045426,
            -0.33445203,
            -0.8941865, -0.29412374, 0.0048973644, -0.16576983, 0.77835435, 0.60552526, -0.8127473, -0.56628489,
            -0.052392855, -0.12656346, 0.088598192, 0.090123855, 0.87827212, -0.46115726, -0.16601625, 0.89811647,
            0.28432676, 0.29151967,
        ]
        let expected: [Float] = [
            0.21424426, 0.50936061, 0.20485383, -0.80788988, -0.74826974, -0.35877278, -0.25001854, 0.21473043,
            0.045426,
            -0.33445203, -0.8941865, -0.29412374, 0.046747778, -0.037822988, 0.82831323, 0.072183996, 0.34862694,
            0.55146104, -0.031628679, 0.50113493,
        ]
        let embeddings = MultiVectorEmbeddings(values: rows, dimensions: 4, lengths: [9])
        let pooled = try embeddings.pooled(by: TokenPooling(factor: 2))
        #expect(pooled.lengths == [5])
        #expect(Self.largestDifference(pooled.values, expected) < 1e-6)
        let normalized = try embeddings.pooled(by: TokenPooling(factor: 2, normalizes: true))
        for row in normalized.rows(0) { #expect(abs(row.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5) }
        #expect(try embeddings.pooled(by: TokenPooling(factor: 1)) == embeddings)
        // Nothing is left to pool beside the protected rows, or one cluster for the rest.
        #expect(try embeddings.pooled(by: TokenPooling(factor: 2, protectedTokens: 9)).lengths == [9])
        #expect(try embeddings.pooled(by: TokenPooling(factor: 100)).lengths == [2])
        // Python's `//`: 11 / 1.1 is 10 in floating point, 11 // 1.1 is 9.
        let eleven = MultiVectorEmbeddings(values: (0..<11).map { sin(Float($0 * $0)) }, dimensions: 1, lengths: [11])
        #expect(try eleven.pooled(by: TokenPooling(factor: 1.1, protectedTokens: 0)).lengths[0] <= 9)
    }

    // MARK: - The originals

    @Test(
        .enabled(if: SharedData.isAvailable, "needs the golden folders beside the repository"),
        arguments: ["descendants/colbert-mv6", "descendants/colbert-mv6-text", "descendants/colbert-pylate"]
    )
    func vectorsAreThoseOfTheOriginals(name: String) throws {
        let folder = try #require(SharedData.folder) + "/golden/" + name
        let data = try Data(contentsOf: URL(filePath: folder + "/expected.json"))
        let expected = try JSONValue(parsing: String(decoding: data, as: UTF8.self))
        func strings(_ key: String) -> [String] { expected[key]?.arrayValue?.compactMap(\.stringValue) ?? [] }
        func matrices(_ key: String) -> [[Float]] {
            (expected[key]?.arrayValue ?? []).map { matrix in
                (matrix.arrayValue ?? []).flatMap { row in
                    (row.arrayValue ?? []).compactMap { $0.doubleValue.map { Float($0) } }
                }
            }
        }
        let pipeline = try LateInteractionPipeline(folder: folder)
        let queries = try pipeline.encode(strings("queries"), as: .query)
        let documents = try pipeline.encode(strings("documents"), overlong: .keepStart)
        #expect(documents.lengths == expected["document_rows"]?.arrayValue?.compactMap(\.intValue))
        for (embeddings, key) in [(queries, "query_embeddings"), (documents, "document_embeddings")] {
            let originals = matrices(key)
            #expect(originals.count == embeddings.count)
            for (index, original) in originals.enumerated() {
                #expect(original.count == embeddings[index].count)
                #expect(Self.largestDifference(embeddings[index], original) < 1e-4, "\(key) \(index)")
            }
        }
        let scores = pipeline.similarity(queries, documents).flatMap(\.self)
        let originals = (expected["maxsim"]?.arrayValue ?? []).flatMap { row in
            (row.arrayValue ?? []).compactMap { $0.doubleValue.map { Float($0) } }
        }
        #expect(scores.count == originals.count && Self.largestDifference(scores, originals) < 1e-4)
    }
}
