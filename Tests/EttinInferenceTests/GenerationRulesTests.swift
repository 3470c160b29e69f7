import EttinJSON
import EttinModel
import TestSupport
import Testing

@testable import EttinInference

/// Lengths and forbidden tokens; Interop/test_generation.py compares the same with transformers.
@Suite struct GenerationRulesTests {
    private static func generator(_ checkpoint: TinyCheckpoint, _ keys: JSONObject = [:]) throws
        -> TextGenerationPipeline
    {
        // Without an end token unless the test names one.
        try GenerationConfiguration(keys).write(toFolder: checkpoint.folder.path)
        return try checkpoint.loaded { try TextGenerationPipeline(folder: $0) }
    }

    private static func list(_ ids: [Int32]) -> JSONValue { .array(ids.map { JSONValue(Int($0)) }) }

    @Test func lengthsAreThoseOfTheFile() throws {
        let checkpoint = try TinyCheckpoint(.decoder)
        let free = try Self.generator(checkpoint, ["max_new_tokens": 8]).generate(["A cat"])[0]
        #expect(free.tokenIDs.count == 8)
        let total = free.promptTokenCount + 3
        let short = try Self.generator(checkpoint, ["max_length": JSONValue(total)]).generate(["A cat"])[0]
        #expect(short.tokenIDs == Array(free.tokenIDs.prefix(3)))
        // max_new_tokens wins, as in transformers.
        let both = try Self.generator(checkpoint, ["max_length": JSONValue(total), "max_new_tokens": 5])
        #expect(try both.generate(["A cat"])[0].tokenIDs.count == 5)
        let none = try Self.generator(checkpoint, ["max_length": JSONValue(free.promptTokenCount)])
        #expect {
            try none.generate(["A cat"])
        } throws: {
            "\($0)".contains("--max-length is \(free.promptTokenCount)")
        }
    }

    @Test func noEndTokenComesBeforeTheMinimum() throws {
        let checkpoint = try TinyCheckpoint(.decoder)
        let free = try Self.generator(checkpoint, ["max_new_tokens": 8]).generate(["A cat"])[0]
        let end = JSONValue(Int(free.tokenIDs[0]))
        let base: JSONObject = ["max_new_tokens": 8, "eos_token_id": end]
        #expect(try Self.generator(checkpoint, base).generate(["A cat"])[0].tokenIDs == [free.tokenIDs[0]])
        for (key, count) in [("min_new_tokens", 5), ("min_length", free.promptTokenCount + 5)] {
            var keys = base
            keys[key] = JSONValue(count)
            let ids = try Self.generator(checkpoint, keys).generate(["A cat"])[0].tokenIDs
            #expect(ids.count >= 5 && !ids.prefix(5).contains(free.tokenIDs[0]), "\(key)")
        }
        // Of both, the number of new tokens is obeyed.
        var keys = base
        keys["min_new_tokens"] = 1
        let alone = try Self.generator(checkpoint, keys).generate(["A cat"])[0].tokenIDs
        keys["min_length"] = JSONValue(free.promptTokenCount + 5)
        #expect(try Self.generator(checkpoint, keys).generate(["A cat"])[0].tokenIDs == alone)
    }

    @Test func forbiddenTokensDoNotCome() throws {
        let checkpoint = try TinyCheckpoint(.decoder)
        let ids = try Self.generator(checkpoint, ["max_new_tokens": 8]).generate(["A cat"])[0].tokenIDs
        func generated(_ key: String, _ value: JSONValue) throws -> [Int32] {
            try Self.generator(checkpoint, ["max_new_tokens": 8, key: value]).generate(["A cat"])[0].tokenIDs
        }
        #expect(try !generated("suppress_tokens", Self.list([ids[0], 100_000])).contains(ids[0]))
        #expect(try generated("begin_suppress_tokens", Self.list([ids[0]])).first != ids[0])
        #expect(try !generated("bad_words_ids", [Self.list([ids[0]])]).contains(ids[0]))
        let pairs = try generated("bad_words_ids", [Self.list([ids[0], ids[1]])])
        #expect(pairs[0] == ids[0] && pairs[1] != ids[1])
        let distinct = try generated("no_repeat_ngram_size", 1)
        #expect(Set(distinct).count == 8)
    }

    @Test func stopStringsEndGeneration() throws {
        let checkpoint = try TinyCheckpoint(.decoder)
        let whole = try Self.generator(checkpoint, ["max_new_tokens": 16]).generate(["A cat"])[0]
        let stop = try #require(whole.text.first { $0.isASCII && !$0.isWhitespace })
        let keys: JSONObject = ["max_new_tokens": 16, "stop_strings": .string(String(stop))]
        let stopped = try Self.generator(checkpoint, keys).generate(["A cat"])[0]
        #expect(stopped.finishReason == .stop && !stopped.text.contains(stop))
    }

    @Test func minPLeavesTheMostLikely() {
        var options = GenerationOptions()
        options.temperature = 1
        options.topK = 0
        options.minP = 0.3
        var counts = [Int](repeating: 0, count: 4)
        for sequence in 0..<400 {
            var sampler = TokenSampler(options, sequence: sequence, prompt: [])
            // Shares of the most likely: 1, 1/2, 1/4.
            var logits: [Float] = [-9, 1.386_294_4, 0.693_147_2, 0]
            counts[Int(sampler.next(&logits) ?? 0)] += 1
        }
        #expect(counts[0] == 0 && counts[3] == 0 && counts[1] > counts[2] && counts[2] > 50)
    }

    @Test(
        arguments: [
            "{\"num_beams\": 4}", "{\"num_return_sequences\": 2}", "{\"guidance_scale\": 1.5}", "{\"max_time\": 3.0}",
            "{\"sequence_bias\": [[[5], 1.0]]}", "{\"forced_eos_token_id\": 2}",
            "{\"do_sample\": true, \"typical_p\": 0.5}",
            "{\"penalty_alpha\": 0.6}", "{\"cache_implementation\": \"quantized\"}", "{\"watermarking_config\": {}}",
        ]
    )
    func whatIsNotImplementedIsRefused(text: String) throws {
        let checkpoint = try TinyCheckpoint(.decoder)
        try checkpoint.folder.write(text, "generation_config.json")
        #expect {
            try checkpoint.loaded { try TextGenerationPipeline(folder: $0) }
        } throws: {
            "\($0)".hasPrefix("generation_config.json: ") && "\($0)".contains("--no-generation-config")
        }
        #expect(throws: Never.self) {
            try checkpoint.loaded { try TextGenerationPipeline(folder: $0, usesGenerationConfiguration: false) }
        }
    }

    @Test func whatHasNoEffectIsNamedOnce() throws {
        let checkpoint = try TinyCheckpoint(.decoder)
        let text = """
            {"num_beams": 1, "guidance_scale": 1.0, "typical_p": 0.5, "temperature": 0.7, "foo": 3, "low_memory": true,
             "use_cache": false, "pad_token_id": 3, "output_scores": true, "transformers_version": "5.0.0"}
            """
        try checkpoint.folder.write(text, "generation_config.json")
        let notices = try checkpoint.loaded { try TextGenerationPipeline(folder: $0).notices }
        #expect(
            notices == [
                "generation_config.json: no effect of \"typical_p\", \"foo\" and \"low_memory\"",
                "generation_config.json: no effect of \"temperature\" unless tokens are drawn (do_sample or --temperature)",
            ]
        )
    }

    @Test func whatDrawingWouldNeedIsRefusedWhenAskedFor() throws {
        let checkpoint = try TinyCheckpoint(.decoder)
        try checkpoint.folder.write("{\"typical_p\": 0.5, \"eos_token_id\": [2, 99999]}", "generation_config.json")
        try checkpoint.loaded { folder in
            let generator = try TextGenerationPipeline(folder: folder)
            #expect(generator.notices.contains { $0.contains("\"eos_token_id\" has 99999, which no token") })
            var options = generator.defaultOptions
            options.maxNewTokens = 2
            #expect(try generator.generate(["a"], options: options).count == 1)
            options.temperature = 0.5
            #expect {
                try generator.generate(["a"], options: options)
            } throws: {
                "\($0)".contains("\"typical_p\" is 0.5, which is not implemented")
            }
        }
    }

    @Test func anUnmovedFileKeepsItsKeys() throws {
        let text = """
            {"bad_words_ids": [[5, 6]], "begin_suppress_tokens": [7], "foo": 1, "max_length": 9, "min_length": 2,
             "min_new_tokens": 1, "min_p": 0.1, "no_repeat_ngram_size": 2, "stop_strings": ["x"], "suppress_tokens": [8]}
            """
        let object = try #require(try JSONValue(parsing: text).objectValue)
        let written = try GenerationConfiguration(object).json
        for member in object { #expect(written[member.key] == member.value, "\(member.key)") }
    }

    @Test(arguments: ["{\"bad_words_ids\": []}", "{\"stop_strings\": [\"\"]}", "{\"min_p\": 2}", "{\"max_length\": 0}"])
    func impossibleValuesAreErrors(text: String) throws {
        let object = try #require(try JSONValue(parsing: text).objectValue)
        #expect(throws: CheckpointError.self) { try GenerationConfiguration(object) }
    }
}
