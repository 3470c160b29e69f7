import EttinJSON
import Foundation
import Testing

@Suite("ettin fill-mask, embed and generate")
struct InferenceCommandTests {
    static let overlong = String(repeating: "cat ", count: 40)

    @Test("fill-mask gives as many predictions as asked for, most probable first")
    func fillMask() throws {
        let models = try TinyModels.shared()
        let texts = ["The capital of France is [MASK].", "[MASK] [MASK]"]
        let result = try Command.succeed(["fill-mask", models.encoder] + texts + ["--top-k", "3", "--json"])
        let objects = try result.objects()
        #expect(objects.map { $0["masks"]?.arrayValue?.count } == [1, 2])
        let predictions = try #require(objects[0]["masks"]?[0]?.arrayValue)
        #expect(predictions.count == 3)
        #expect(predictions[0].objectValue?.keys == ["score", "token", "token_str", "sequence"])
        let scores = predictions.compactMap { $0["score"]?.doubleValue }
        #expect(scores == scores.sorted(by: >))
        #expect(try #require(predictions[0]["sequence"]?.stringValue).hasPrefix("The capital of France is"))
        #expect(try Command.succeed(["fill-mask", models.encoder, texts[0], "--top-k", "3"]).lines.count == 3)
    }

    @Test("embed prints one vector per text, the same alone and among others")
    func embed() throws {
        let models = try TinyModels.shared()
        let several = try Command.succeed(["embed", models.encoder, "a cat", "The capital of France", ""]).objects()
        #expect(several.map { $0["embedding"]?.arrayValue?.count } == [32, 32, 32])
        #expect(several.map { $0["truncated"] } == [false, false, false])
        let alone = try Command.succeed(["embed", models.encoder, "a cat"]).objects()
        for (left, right) in zip(try vector(alone[0]), try vector(several[0])) { #expect(abs(left - right) < 1e-5) }
    }

    @Test("embed options reach the encoder")
    func embedOptions() throws {
        let models = try TinyModels.shared()
        func embed(_ options: [String]) throws -> [Double] {
            try vector(try Command.succeed(["embed", models.encoder, "a cat"] + options).objects()[0])
        }
        let plain = try embed([])
        #expect(try embed(["--pooling", "mean"]) == plain)
        #expect(try embed(["--pooling", "cls"]) != plain)
        #expect(try embed(["--prompt", "The "]) != plain)
        #expect(try embed(["--truncate-dim", "8"]) == Array(plain.prefix(8)))
        let normalized = try embed(["--normalize"])
        #expect(abs(normalized.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
        for (left, right) in zip(try embed(["--dtype", "bfloat16"]), plain) { #expect(abs(left - right) < 0.05) }
        #expect(try embed(["--threads", "1", "--device", "cpu", "--max-batch-tokens", "1"]).count == 32)
    }

    @Test("A type that is slower than float32 on the processor is named once", arguments: ["bfloat16", "int8"])
    func slowTypes(dtype: String) throws {
        let models = try TinyModels.shared()
        func errors(_ dtype: String) throws -> String {
            let arguments = ["embed", models.encoder, "a cat", "a dog", "--dtype", dtype]
            let result = try Command.run(arguments, environment: ["ATEN_CPU_CAPABILITY": "default"])
            #expect(result.code == 0)
            return result.errors
        }
        let text = try errors(dtype)
        #expect(text.hasPrefix("note: --dtype \(dtype) is slower than float32 on this processor"))
        #expect(text.split(separator: "\n").count == 1)
        #expect(try errors("float32") == "")
    }

    @Test("Files hold what standard output shows")
    func embeddingFiles() throws {
        let models = try TinyModels.shared()
        try withTemporaryFolder { folder in
            let arguments = ["embed", models.encoder, "a cat", "a dog"]
            let printed = try Command.succeed(arguments).output
            for name in ["out.jsonl", "out.npy", "out.safetensors"] {
                let result = try Command.succeed(arguments + ["--output", "\(folder)/\(name)", "--json"])
                #expect(try result.document()["count"] == 2)
                #expect(try result.document()["dimensions"] == 32)
                #expect(try result.document()["truncated"] == [false, false])
            }
            #expect(try String(contentsOfFile: "\(folder)/out.jsonl", encoding: .utf8) == printed)
            let values = try printed.split(separator: "\n").flatMap { try vector(JSONValue(parsing: String($0))) }
            for name in ["out.npy", "out.safetensors"] {
                let data = try Data(contentsOf: URL(filePath: "\(folder)/\(name)"))
                let floats = data.suffix(4 * values.count).withUnsafeBytes { bytes in
                    (0..<values.count).map { Double(bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)) }
                }
                for (left, right) in zip(floats, values) { #expect(abs(left - right) < 1e-6) }
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 3)
        }
    }

    @Test("generate continues each prompt, the same with and without a stream")
    func generate() throws {
        let models = try TinyModels.shared()
        let options = ["--max-new-tokens", "5", "--temperature", "1", "--seed", "7"]
        let arguments = ["generate", models.decoder, "The capital", "A cat"] + options
        let objects = try Command.succeed(arguments + ["--json"]).objects()
        #expect(
            objects[0].objectValue?.keys == [
                "prompt", "text", "token_ids", "finish_reason", "prompt_tokens", "truncated",
            ]
        )
        #expect(objects.map { $0["prompt"] } == ["The capital", "A cat"])
        #expect(try Command.succeed(arguments + ["--json"]).objects() == objects)
        let streamed = try Command.succeed(arguments + ["--json", "--stream"]).objects()
        #expect(Array(streamed.suffix(2)) == objects)
        for (number, object) in objects.enumerated() {
            let pieces = streamed.dropLast(2).filter { $0["prompt"]?.intValue == number }
            #expect(.string(pieces.compactMap { $0["piece"]?.stringValue }.joined()) == object["text"])
        }
        let plain = try Command.succeed(["generate", models.decoder, "The capital"] + options)
        let stream = try Command.succeed(["generate", models.decoder, "The capital"] + options + ["--stream"])
        #expect(plain.output == stream.output)
        #expect(plain.output == (objects[0]["text"]?.stringValue ?? "") + "\n")
    }

    @Test("Stop texts end generation and are not printed")
    func stop() throws {
        let models = try TinyModels.shared()
        let arguments = ["generate", models.decoder, "A cat", "--max-new-tokens", "8", "--json"]
        let whole = try #require(try Command.succeed(arguments).document()["text"]?.stringValue)
        let end = String(whole.suffix(2))
        let stopped = try Command.succeed(arguments + ["--stop", end]).document()
        #expect(stopped["finish_reason"] == "stop")
        #expect(stopped["text"]?.stringValue.map { whole.hasPrefix($0) && !$0.contains(end) } == true)
    }

    @Test("Over-long texts are an error, or are shortened, counted and marked")
    func overlongTexts() throws {
        let models = try TinyModels.shared()
        let message = "tokens; expected at most 32, or truncation to be asked for"
        try Command.fail(["embed", models.encoder, "a", Self.overlong], saying: message)
        let result = try Command.succeed(["embed", models.encoder, "a", Self.overlong, "--truncate"])
        #expect(try result.objects().map { $0["truncated"] } == [false, true])
        #expect(result.errors == "shortened 1 of 2 texts\n")
        let mask = ["fill-mask", models.encoder, Self.overlong + "[MASK]", "--truncate", "--json"]
        try Command.fail(mask, saying: "has no mask left after truncation")
        let left = try Command.succeed(mask + ["--truncation-side", "left"])
        #expect(try left.document()["truncated"] == true)
        let generate = ["generate", models.decoder, Self.overlong, "--json"]
        try Command.fail(generate, saying: "expected at most 31, or truncation to be asked for")
        let continued = try Command.succeed(generate + ["--truncate"])
        #expect(try continued.document()["truncated"] == true)
        #expect(try continued.document()["prompt_tokens"] == 31)
    }

    private func vector(_ object: JSONValue) throws -> [Double] {
        try #require(object["embedding"]?.arrayValue).compactMap(\.doubleValue)
    }
}
