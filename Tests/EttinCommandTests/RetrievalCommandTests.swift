import EttinJSON
import Foundation
import TestSupport
import Testing

@Suite("ettin sparse, and embed with a multi-vector model")
struct RetrievalCommandTests {
    @Test("sparse prints entries, weights and tokens, the largest first")
    func sparse() throws {
        let models = try TinyModels.shared()
        let result = try Command.succeed(["sparse", models.encoder, "a cat", "The capital of France"])
        #expect(result.errors.contains("active dimensions: "))
        let objects = try result.objects()
        #expect(
            objects.map { $0.objectValue?.keys }
                == Array(repeating: ["indices", "values", "tokens", "truncated"], count: 2)
        )
        let values = objects[0]["values"]?.arrayValue?.compactMap(\.doubleValue) ?? []
        #expect(!values.isEmpty && values == values.sorted(by: >) && values.allSatisfy { $0 > 0 })
        #expect(objects[0]["tokens"]?.arrayValue?.count == values.count)
        let few = try Command.succeed(["sparse", models.encoder, "a cat", "--max-active-dims", "5", "--top-k", "2"])
        #expect(few.errors.contains("active dimensions: 5.0 of "))
        let shown = try few.objects()[0]["values"]?.arrayValue?.compactMap(\.doubleValue)
        #expect(shown == Array(values.prefix(2)))
        for option in ["--max-active-dims", "--top-k"] {
            try Command.fail(
                ["sparse", models.encoder, "x", option, "0"],
                code: 64,
                saying: "\(option) is 0; expected 1 or more"
            )
        }
        try Command.fail(
            ["sparse", models.decoder, "x"],
            saying: "expected a sparse model, or a masked language model"
        )
    }

    /// A PyLate folder: an encoder with a projection to 4 numbers a token.
    private func multiVector(_ folder: String) throws -> String {
        let path = "\(folder)/colbert"
        try FileManager.default.copyItem(atPath: try TinyModels.shared().encoder, toPath: path)
        try FileManager.default.createDirectory(atPath: "\(path)/1_Dense", withIntermediateDirectories: true)
        func write(_ bytes: [UInt8], _ name: String) throws {
            try Data(bytes).write(to: URL(filePath: "\(path)/\(name)"))
        }
        let header = #"{"linear.weight":{"dtype":"F32","shape":[4,32],"data_offsets":[0,512]}}"#
        let weights = (0..<128).map { Float(sin(Double($0 * $0))) }
        try write(safetensors(header, data: floats(weights)), "1_Dense/model.safetensors")
        let dense = #"{"in_features": 32, "out_features": 4, "bias": false, "#
        try write(
            Array((dense + #""activation_function": "torch.nn.modules.linear.Identity"}"#).utf8),
            "1_Dense/config.json"
        )
        let modules = #"""
            [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
             {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"}]
            """#
        try write(Array(modules.utf8), "modules.json")
        let settings = #"{"model_type": "ColBERT", "query_prefix": "", "document_prefix": "", "query_length": 9}"#
        try write(Array(settings.utf8), "config_sentence_transformers.json")
        return path
    }

    @Test("embed gives a matrix of a multi-vector model, and files with lengths")
    func embed() throws {
        try withTemporaryFolder { folder in
            let model = try multiVector(folder)
            let texts = ["a cat", "The capital of France"]
            func lengths(_ options: [String]) throws -> [Int] {
                try Command.succeed(["embed", model] + texts + options).objects().map { object in
                    let rows = object["embedding"]?.arrayValue ?? []
                    #expect(rows.allSatisfy { $0.arrayValue?.count == 4 })
                    return rows.count
                }
            }
            #expect(try lengths(["--task", "query"]) == [9, 9])
            let documents = try lengths([])
            #expect(documents[0] < documents[1])
            #expect(try lengths(["--pool-factor", "2"])[1] == 1 + (documents[1] - 1) / 2)
            let pooled = try Command.succeed(["embed", model, texts[1], "--pool-factor", "2", "--normalize"]).objects()
            for row in pooled[0]["embedding"]?.arrayValue ?? [] {
                let squares = row.arrayValue?.compactMap(\.doubleValue).reduce(0) { $0 + $1 * $1 } ?? 0
                #expect(abs(squares - 1) < 1e-5)
            }
            let facts = try Command.succeed(["info", model, "--json"]).document()
            #expect(facts["query_length"] == 9 && facts["document_length"] == 180)
            #expect(
                facts["query_expansion"] == ["strategy": "fixed", "length": 9, "attend": false, "token": .null]
            )
            let lines = try Command.succeed(["info", model]).output
            #expect(lines.contains("run with     ettin embed, ettin rerank"))
            #expect(lines.contains("expansion    to 9 tokens, by the mask token, not attended to"))
            let file = "\(folder)/out.safetensors"
            let summary = try Command.succeed(["embed", model] + texts + ["-o", file, "--json"]).document()
            #expect(summary["lengths"]?.arrayValue?.compactMap(\.intValue) == documents)
            let bytes = try Data(contentsOf: URL(filePath: file))
            let header = String(decoding: bytes.dropFirst(8).prefix(400), as: UTF8.self)
            #expect(header.contains("\"embeddings\"") && header.contains("\"lengths\""))
            try Command.fail(
                ["embed", model, "x", "-o", "\(folder)/out.npy"],
                saying: "expected .safetensors or .jsonl"
            )
            try Command.fail(["embed", model, "x", "--pool-factor", "0.5"], code: 64, saying: "--pool-factor is 0.5")
            try Command.fail(
                ["embed", model, "x", "--truncate-dim", "2"],
                code: 64,
                saying: "--truncate-dim applies to models with one vector for each text"
            )
        }
    }
}
