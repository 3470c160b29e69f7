import EttinJSON
import EttinTokenizer
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinInference
@testable import EttinModel

/// Prompts, tasks, routes and the rules of both generations, on folders that the tests make.
@Suite struct EmbeddingChainTests {
    private static let texts = ["A cat sat.", "The quick brown fox jumps over the lazy dog.", "fox"]

    private static func folder(
        _ name: String,
        _ text: String,
        in checkpoint: TinyCheckpoint,
        pooling: String = #"{"pooling_mode": "mean", "include_prompt": false}"#,
        paths: String = "sentence_transformers.models"
    ) throws {
        try checkpoint.folder.write(
            """
            [{"idx": 0, "name": "0", "path": "", "type": "\(paths).Transformer"},
             {"idx": 1, "name": "1", "path": "1_Pooling", "type": "\(paths).Pooling"}]
            """,
            "modules.json"
        )
        let path = checkpoint.folder.file("1_Pooling")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try checkpoint.folder.write(pooling, "1_Pooling/config.json")
        try checkpoint.folder.write(text, name)
    }

    private static func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "none"
        } catch {
            return "\(error)"
        }
    }

    // MARK: - Generations

    struct Generation: CustomTestStringConvertible, Sendable {
        let settings: String
        let paths: String
        let trims: Bool
        var testDescription: String { settings + paths }
    }

    private static let newPaths = "sentence_transformers.sentence_transformer.modules.x"
    static let generations = [
        Generation(
            settings: #""__version__": {"sentence_transformers": "5.3.0"}, "#,
            paths: newPaths,
            trims: true
        ),
        Generation(
            settings: #""__version__": {"sentence_transformers": "6.2.0"}, "#,
            paths: "sentence_transformers.models",
            trims: false
        ),
        Generation(settings: "", paths: "sentence_transformers.models", trims: true),
        Generation(settings: "", paths: newPaths, trims: false),
    ]

    @Test(arguments: generations)
    func theVersionDecidesAboutBlanksAndElseTheClassPaths(generation: Generation) throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        try Self.folder(
            "config_sentence_transformers.json",
            "{\(generation.settings)\"prompts\": {\"query\": \"A cat \"}}",
            in: checkpoint,
            paths: generation.paths
        )
        let encoder = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) }
        #expect(encoder.model.settings.generation == (generation.trims ? .version5 : .version6))
        let blank = try #require(encoder.preparer.prepare([" \u{1F} fox\n"]).first)
        let bare = try #require(encoder.preparer.prepare(["fox"]).first)
        #expect((blank == bare) == generation.trims)
        // The blank at the prompt's end counts where it stays.
        let prompted = try #require(encoder.preparer.prepare(["sat"], prompt: .named("query")).first)
        let alone = checkpoint.tokenizer.encodeIDs(generation.trims ? "A cat" : "A cat ")
        #expect(prompted.promptTokenCount == alone.count - 1)
        #expect(prompted.tokenIDs == checkpoint.tokenizer.encodeIDs("A cat sat"))
        // A copy keeps the rules.
        let copy = try TemporaryFolder()
        try encoder.model.settings.write(toFolder: copy.path, format: .version4)
        #expect(try EmbeddingSettings(folder: copy.path).generation == encoder.model.settings.generation)
    }

    @Test(arguments: [true, false])
    func theFirstTokenIsThatOfThePromptUpToVersion5(isOld: Bool) throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        try Self.folder(
            "config_sentence_transformers.json",
            #"{"__version__": {"sentence_transformers": "\#(isOld ? 5 : 6).0.0"}, "prompts": {"query": "A cat"}}"#,
            in: checkpoint,
            pooling: #"{"pooling_mode": "cls", "include_prompt": false}"#
        )
        let encoder = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) }
        let text = try encoder.preparer.prepare([" sat"], prompt: .named("query"))
        let batch = PackedBatch(text.map(\.tokenIDs))
        let row = isOld ? 0 : text[0].promptTokenCount
        let hidden: [Float] = try withoutGradients { try encoder.model.chain.transformers[0].trunk(batch).array() }
        let expected = hidden[row * 32..<(row + 1) * 32]
        #expect(zip(try encoder.embeddings(of: text)[0], expected).allSatisfy { abs($0 - $1) < 1e-5 })
    }

    @Test(arguments: [true, false])
    func ofAPromptThatFillsTheContextTheLastTokenIsLeft(isOld: Bool) throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        try Self.folder(
            "config_sentence_transformers.json",
            #"{"__version__": {"sentence_transformers": "\#(isOld ? 5 : 6).0.0"}}"#,
            in: checkpoint
        )
        let encoder = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) }
        let prompt = TextEmbeddingPipeline.Prompt.text(String(repeating: "A cat sat on the mat. ", count: 20))
        let text = try encoder.preparer.prepare(["fox"], prompt: prompt, overlong: .keepStart)
        #expect(text[0].tokenIDs.count == 64 && text[0].tokenIDs.last == 2 && text[0].promptTokenCount == 63)
        let hidden: [Float] = try withoutGradients {
            try encoder.model.chain.transformers[0].trunk(PackedBatch(text.map(\.tokenIDs))).array()
        }
        #expect(zip(try encoder.embeddings(of: text)[0], hidden.suffix(32)).allSatisfy { abs($0 - $1) < 1e-5 })
        #expect(throws: InferenceError.self) { try encoder.encode(["fox"], prompt: prompt) }
        #expect(try encoder.encode([], prompt: prompt, overlong: .keepStart).count == 0)
    }

    @Test func aPoolingNeedsItsSettings() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        try Self.folder("config_sentence_transformers.json", "{}", in: checkpoint)
        try FileManager.default.removeItem(atPath: checkpoint.folder.file("1_Pooling/config.json"))
        let text = Self.message { _ = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) } }
        #expect(text.contains("1_Pooling/config.json"), "\(text)")
    }

    // MARK: - Tasks

    @Test func tasksTakeTheirPrompts() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        try Self.folder(
            "config_sentence_transformers.json",
            #"{"prompts": {"passage": "The dog ", "corpus": "x", "usual": "Once "}, "default_prompt_name": "usual"}"#,
            in: checkpoint
        )
        let encoder = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) }
        func ids(_ task: TextRole?, _ prompt: TextEmbeddingPipeline.Prompt = .default) throws -> [Int32] {
            try encoder.preparer.prepare(["sat"], prompt: prompt, task: task)[0].tokenIDs
        }
        let encode = { checkpoint.tokenizer.encodeIDs($0) }
        #expect(try ids(nil) == encode("Once sat"))
        #expect(try ids(.query) == encode("Once sat"))
        #expect(try ids(.document) == encode("The dog sat"))
        #expect(try ids(.document, .named("corpus")) == encode("xsat"))
        #expect(try ids(.document, .none) == encode("sat"))
    }

    @Test func severalPoolingsAreEndToEnd() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let both = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0, poolings: [.max, .lastToken]) }
        let parts = try [Pooling.max, .lastToken].map { pooling in
            try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0, pooling: pooling) }.encode(Self.texts)
        }
        let embeddings = try both.encode(Self.texts)
        #expect(embeddings.dimensions == 64)
        for index in Self.texts.indices { #expect(embeddings[index] == parts[0][index] + parts[1][index]) }
        let none = Self.message { _ = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0, poolings: []) } }
        #expect(none.contains("--pooling is empty; expected one or more of"), "\(none)")
    }

    @Test func widthsAboveTheModelsAreRefused() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let encoder = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) }
        let text = Self.message { _ = try encoder.encode(["x"], truncateDimension: 33) }
        #expect(text == "--truncate-dim is 33; expected 1 to 32, the width of an embedding")
        try Self.folder("config_sentence_transformers.json", #"{"truncate_dim": 33}"#, in: checkpoint)
        let file = Self.message { _ = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) } }
        #expect(
            file
                == "config_sentence_transformers.json: \"truncate_dim\" is 33; expected at most 32, the width of an embedding"
        )
    }

    // MARK: - Static embeddings and routes

    /// A folder of static embeddings whose rows say which token they are of.
    private static func writeStatic(_ folder: String, _ checkpoint: TinyCheckpoint, scale: Float) throws {
        try checkpoint.tokenizer.save(to: folder)
        let rows = (0..<324).flatMap { row -> [Float] in [Float(row) * scale, 1] }
        let table = TensorToWrite(name: "embedding.weight", tensor: Tensor(rows, shape: [324, 2]))
        try SafetensorsWriter.write([table], to: folder + "/model.safetensors")
    }

    @Test func staticEmbeddingsAreMeansWithoutSpecialTokens() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let folder = try TemporaryFolder()
        try folder.write(
            #"[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}]"#,
            "modules.json"
        )
        try Self.writeStatic(folder.path, checkpoint, scale: 1)
        let encoder = try TextEmbeddingPipeline(folder: folder.path)
        let embeddings = try encoder.encode(Self.texts + [""])
        for (index, text) in Self.texts.enumerated() {
            let ids = checkpoint.tokenizer.encodeIDs(text, addSpecialTokens: false)
            let mean = Float(ids.reduce(0) { $0 + Int($1) }) / Float(ids.count)
            #expect(abs(embeddings[index][embeddings[index].startIndex] - mean) < 1e-3)
        }
        #expect(Array(embeddings[3]) == [0, 0])
        #expect(try FolderEvidence(folder: folder.path)?.kind == .embedding)
        let summary = try CheckpointSummary(folder: folder.path)
        #expect(summary.configuration == nil && summary.obstacle == nil && summary.parameterCount == 648)
    }

    @Test(arguments: ["Left", "Right"])
    func staticEmbeddingsObeyTheTruncationOfTheirTokenizer(direction: String) throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let folder = try TemporaryFolder()
        try folder.write(#"[{"path": "", "type": "sentence_transformers.models.StaticEmbedding"}]"#, "modules.json")
        try Self.writeStatic(folder.path, checkpoint, scale: 1)
        let file = try JSONValue(parsing: folder.read("tokenizer.json"))
        func write(_ length: JSONValue) throws {
            var object = try #require(file.objectValue)
            object["truncation"] = [
                "max_length": length, "direction": .string(direction), "strategy": "LongestFirst", "stride": 0,
            ]
            try folder.write(JSONValue.object(object).text(), "tokenizer.json")
        }
        try write(3)
        let encoder = try TextEmbeddingPipeline(folder: folder.path)
        #expect(try encoder.preparer.limit == 3 && encoder.truncatesLeft(nil) == (direction == "Left"))
        let ids = checkpoint.tokenizer.encodeIDs(Self.texts[1], addSpecialTokens: false)
        let text = try encoder.preparer.prepare(
            [Self.texts[1]],
            overlong: encoder.truncatesLeft(nil) ? .keepEnd : .keepStart
        )
        #expect(text[0].isTruncated && text[0].tokenIDs == Array(direction == "Left" ? ids.suffix(3) : ids.prefix(3)))
        #expect(throws: InferenceError.self) { try encoder.encode([Self.texts[1]]) }
        let pooled = Self.message { _ = try TextEmbeddingPipeline(folder: folder.path, pooling: .cls) }
        #expect(pooled == "modules.json: has no Pooling, which --pooling would change")
        try write("many")
        let broken = Self.message { _ = try TextEmbeddingPipeline(folder: folder.path) }
        #expect(broken.contains("truncation.max_length"), "\(broken)")
    }

    @Test func aRouterHasATokenizerAndARouteForEachTask() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let folder = try TemporaryFolder()
        try folder.write(
            #"[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Router"}]"#,
            "modules.json"
        )
        let type = #""sentence_transformers.models.StaticEmbedding""#
        try folder.write(
            """
            {"types": {"a": \(type), "b": \(type)}, "structure": {"query": ["a"], "document": ["b"]},
             "parameters": {"default_route": "document", "allow_empty_key": true, "route_mappings": {}}}
            """,
            "router_config.json"
        )
        for (name, scale) in [("a", 1), ("b", 2)] as [(String, Float)] {
            let path = folder.file(name)
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try Self.writeStatic(path, checkpoint, scale: scale)
        }
        let encoder = try TextEmbeddingPipeline(folder: folder.path)
        let queries = try encoder.encode(Self.texts, task: .query)
        let documents = try encoder.encode(Self.texts, task: .document)
        #expect(try encoder.encode(Self.texts) == documents)
        for index in Self.texts.indices {
            let (query, document) = (Array(queries[index]), Array(documents[index]))
            #expect(abs(2 * query[0] - document[0]) < 1e-3 && query[1] == 1)
        }
        // One call over both keeps them apart and in order.
        let mixed = try encoder.preparer.prepare(Self.texts, task: .query) + encoder.preparer.prepare(Self.texts)
        #expect(try encoder.embeddings(of: mixed).values == queries.values + documents.values)
        let summary = try CheckpointSummary(folder: folder.path)
        #expect(summary.obstacle == nil && summary.modules?.routed.map(\.route) == ["query", "document"])
    }

    // MARK: - Folders of the originals

    @Test(
        .enabled(if: SharedData.isAvailable, "needs ../shared beside the repository"),
        arguments: ["dense-chain", "dense-chain-v5"]
    )
    func bothGenerationsGiveTheirOwnVectors(name: String) throws {
        let folder = try #require(SharedData.folder) + "/golden/descendants/" + name
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/expected.json"))
        let expected = try JSONValue(parsing: [UInt8](bytes))
        let texts = expected["texts"]?.arrayValue?.compactMap(\.stringValue) ?? []
        let encoder = try TextEmbeddingPipeline(folder: folder)
        func encode(
            _ prompt: TextEmbeddingPipeline.Prompt = .default,
            _ task: TextRole? = nil,
            normalize: Bool = false,
            width: Int? = nil
        ) throws -> TextEmbeddings {
            try encoder.encode(
                texts,
                prompt: prompt,
                task: task,
                normalize: normalize,
                truncateDimension: width,
                overlong: .keepStart
            )
        }
        let cases: [(String, TextEmbeddings)] = [
            ("encode_default", try encode()), ("encode_query", try encode(.default, .query)),
            ("encode_document", try encode(.default, .document)), ("encode_no_prompt", try encode(.none)),
            ("encode_classification", try encode(.named("classification"))),
            ("encode_query_truncated_8", try encode(.default, .query, width: 8)),
            ("encode_query_truncated_8_normalised", try encode(.default, .query, normalize: true, width: 8)),
            ("encode_query_full_width", try encode(.default, .query, width: 12)),
        ]
        for (key, embeddings) in cases {
            let rows = expected[key]?.arrayValue ?? []
            #expect(rows.count == texts.count && texts.count == 4)
            for (index, row) in rows.enumerated() {
                let values = row.arrayValue?.compactMap(\.doubleValue) ?? []
                #expect(values.count == embeddings.dimensions, "\(key)")
                #expect(zip(embeddings[index], values).allSatisfy { abs(Double($0) - $1) < 1e-5 }, "\(key)")
            }
        }
        let counts = try ["query", "document", "classification"].map {
            try encoder.preparer.prepare(["a"], prompt: .named($0))[0].promptTokenCount
        }
        #expect(counts == ["query", "document", "classification"].map { expected["left_out"]?[$0]?.intValue })
    }
}
