import EttinJSON
import Foundation
import Testing

@Suite("ettin rerank, classify, tag, answer and choose")
struct ClassificationCommandTests {
    static let overlong = String(repeating: "cat ", count: 40)

    // MARK: - rerank

    @Test("rerank sorts documents, from arguments, a file and standard input alike")
    func rerank() throws {
        try TinyClassifiers.with("ForSequenceClassification", labels: ["LABEL_0"]) { model in
            let documents = ["a cat", "The capital of France is Paris.", "a dog runs"]
            let list = try #require(
                try Command.succeed(["rerank", model, "capital"] + documents + ["--json"]).document().arrayValue
            )
            #expect(list.map { $0.objectValue?.keys } == Array(repeating: ["corpus_id", "score", "text"], count: 3))
            let scores = list.compactMap { $0["score"]?.doubleValue }
            #expect(scores == scores.sorted(by: >))
            for entry in list {
                let index = try #require(entry["corpus_id"]?.intValue)
                #expect(entry["text"]?.stringValue == documents[index])
            }
            let lines = documents.joined(separator: "\n")
            let read = try Command.succeed(["rerank", model, "capital", "--top-k", "2", "--json"], input: lines)
            #expect(try read.document().arrayValue == Array(list.prefix(2)))
            let queries = """
                {"query": "capital", "documents": ["a cat", "The capital of France is Paris.", "a dog runs"]}
                {"query": "capital", "document": "a dog runs"}
                """
            let objects = try Command.succeed(["rerank", model, "--json"], input: queries).objects()
            #expect(objects[0].arrayValue?.map { $0["corpus_id"] } == list.map { $0["corpus_id"] })
            let pair = try #require(objects[1]["score"]?.doubleValue)
            let last = try #require(list.first { $0["corpus_id"] == 2 }?["score"]?.doubleValue)
            #expect(abs(pair - last) < 1e-6)
            let raw = try Command.succeed(
                ["rerank", model, "capital", "a dog runs", "--activation", "identity", "--json"]
            ).document()
            let score = try #require(raw[0]?["score"]?.doubleValue)
            #expect(abs(1 / (1 + exp(-score)) - pair) < 1e-6)
            let plain = try Command.succeed(["rerank", model, "capital"] + documents)
            #expect(plain.lines.count == 3 && plain.lines[0].hasPrefix(" 0."))
        }
    }

    @Test("rerank names what is wrong with a line")
    func rerankInput() throws {
        try TinyClassifiers.with("ForSequenceClassification", labels: ["LABEL_0"]) { model in
            for (line, text) in [
                ("{\"documents\": [\"a\"]}", "standard input, line 1: has no \"query\"; expected a string"),
                ("{\"query\": \"a\"}", "line 1: has no \"documents\"; expected a list of strings"),
                ("{\"query\": \"a\", \"documents\": []}", "line 1: \"documents\" is empty; expected at least one"),
                ("{\"query\": \"a\", \"documents\": [1]}", "line 1: \"documents\"[0] is a JSON number"),
                ("{\"query\": 1, \"document\": \"a\"}", "line 1: \"query\" is a JSON number"),
                ("{\"query\": \"a\", \"document\": \"b\", \"documents\": []}", "has \"document\" and \"documents\""),
                ("text", "line 1: is not JSON"),
            ] { try Command.fail(["rerank", model], input: Array(line.utf8), saying: text) }
            try Command.fail(["rerank", model], saying: "standard input: contains no text")
            try Command.fail(["rerank", model, "a", Self.overlong], saying: "expected at most 32; pass --truncate")
            let result = try Command.succeed(["rerank", model, "a", Self.overlong, "--truncate"])
            #expect(result.errors.contains("truncated 1 of 1 texts"))
            try Command.fail(["rerank", model, "a", "b", "--prompt-name", "web"], saying: "the model has no prompts")
        }
        let models = try TinyModels.shared()
        try Command.fail(["rerank", models.encoder, "a", "b"], saying: "is a masked language model")
    }

    // MARK: - classify

    @Test("classify prints labels by score, of texts and pairs")
    func classify() throws {
        try TinyClassifiers.with("ForSequenceClassification", labels: ["entailment", "neutral", "other"]) { model in
            let lines = "{\"text\": \"a cat\"}\n{\"text\": \"a cat\", \"text_pair\": \"a dog runs\"}\n"
            try withTemporaryFolder { folder in
                let path = try write(lines, to: "\(folder)/texts.jsonl")
                let objects = try Command.succeed(["classify", model, "--input", path, "--json"]).objects()
                #expect(objects.count == 2 && objects[0] != objects[1])
                for object in objects {
                    let scores = try #require(object.arrayValue).compactMap { $0["score"]?.doubleValue }
                    #expect(scores == scores.sorted(by: >) && abs(scores.reduce(0, +) - 1) < 1e-6)
                    #expect(object[0]?.objectValue?.keys == ["label", "score"])
                }
                let alone = try Command.succeed(["classify", model, "a cat", "--top-k", "1", "--json"]).objects()
                #expect(alone[0].arrayValue?.count == 1 && alone[0][0]?["label"] == objects[0][0]?["label"])
            }
            let zeroShot = try Command.succeed(
                ["classify", model, "a cat", "--labels", "dog, cat", "--json"]
            ).objects()
            #expect(zeroShot[0].objectValue?.keys == ["sequence", "labels", "scores"])
            #expect(Set(zeroShot[0]["labels"]?.arrayValue?.compactMap(\.stringValue) ?? []) == ["dog", "cat"])
            try Command.fail(
                ["classify", model, "--input-format", "jsonl"],
                input: Array("{\"text\": 1}".utf8),
                saying: "line 1: \"text\" is a JSON number; expected a string"
            )
            try Command.fail(
                ["classify", model, "--input-format", "jsonl", "--labels", "a"],
                input: Array("{\"text\": \"a\", \"text_pair\": \"b\"}".utf8),
                code: 64,
                saying: "text 1 is a pair; expected one text each"
            )
        }
    }

    // MARK: - tag

    @Test("tag marks entities, in colour on terminals only")
    func tag() throws {
        try TinyClassifiers.with("ForTokenClassification", labels: ["O", "B-LOC", "I-LOC"]) { model in
            let text = "The capital of France is Paris."
            let all = try Command.succeed(
                ["tag", model, text, "--ignore-labels", "NONE", "--json", "--aggregation-strategy", "none"]
            ).objects()
            let entities = try #require(all[0].arrayValue)
            #expect(entities[0].objectValue?.keys == ["entity", "score", "index", "word", "start", "end"])
            let starts = entities.compactMap { $0["start"]?.intValue }
            #expect(starts == starts.sorted() && entities.last?["end"]?.intValue == text.count)
            let grouped = try Command.succeed(["tag", model, text, "--ignore-labels", "NONE", "--json"]).objects()
            #expect(grouped[0][0]?.objectValue?.keys == ["entity_group", "score", "word", "start", "end"])
            let plain = try Command.succeed(["tag", model, text, "--ignore-labels", "NONE"])
            #expect(plain.output.contains("](") && !plain.output.contains("\u{1B}"))
            let long = try Command.succeed(["tag", model, Self.overlong, "--stride", "4", "--json"])
            #expect(long.lines.count == 1 && long.errors == "")
            try Command.fail(["tag", model, Self.overlong], saying: "expected at most 32")
            let options = ["--context", text, "--question", "what?", "--ignore-labels", "NONE", "--json"]
            let answer = try Command.succeed(["tag", model, "a dog runs"] + options).objects()
            #expect(answer[0].arrayValue?.compactMap { $0["end"]?.intValue }.max() == 10)
            let line = JSONValue.object([
                "text": "a dog runs", "context": .string(text), "question": .string("what?"),
            ]).text()
            let flags = ["--input-format", "jsonl", "--ignore-labels", "NONE", "--json"]
            #expect(try Command.succeed(["tag", model] + flags, input: line).objects() == answer)
            try Command.fail(
                ["tag", model] + flags,
                input: Array("{\"text\": \"a cat\", \"question\": \"what?\"}".utf8),
                saying: "line 1: has \"question\" and no \"context\"; expected both, or the text alone"
            )
            try Command.fail(
                ["tag", model, "--context", "a dog"] + flags,
                input: Array(line.utf8),
                saying: "line 1: has \"context\" beside --context; expected one of the two"
            )
            try Command.fail(
                ["tag", model] + flags,
                input: Array((line + "\n{\"text\": \"a cat\"}").utf8),
                saying: "standard input, line 2: has no \"context\"; expected a string"
            )
        }
    }

    // MARK: - answer and choose

    @Test("answer finds a part of the context")
    func answer() throws {
        try TinyClassifiers.with("ForQuestionAnswering", labels: ["start", "end"], hasLabels: false) { model in
            let context = "The capital of France is Paris."
            let options = ["--question", "what?", "--context", context, "--json"]
            let answer = try Command.succeed(["answer", model] + options).document()
            #expect(answer.objectValue?.keys == ["score", "start", "end", "answer"])
            let (start, end) = (try #require(answer["start"]?.intValue), try #require(answer["end"]?.intValue))
            let text = String(Array(context.unicodeScalars)[start..<end].map(Character.init))
            #expect(answer["answer"]?.stringValue == text)
            let read = try Command.succeed(["answer", model, "--question", "what?", "--json"], input: context)
            #expect(try read.document() == answer)
            let line = JSONValue.object(["question": "what?", "context": .string(context)]).text()
            let several = try Command.succeed(["answer", model, "--top-k", "3", "--json"], input: line).objects()
            #expect(several[0].arrayValue?.count == 3 && several[0][0] == answer)
            try Command.fail(
                ["answer", model],
                input: Array("{\"question\": \"a\"}".utf8),
                saying: "standard input, line 1: has no \"context\"; expected a string"
            )
        }
    }

    @Test("choose gives the number of the best choice")
    func choose() throws {
        try TinyClassifiers.with("ForMultipleChoice", labels: ["score"], hasLabels: false) { model in
            let choices = ["a cat", "of France", "a dog"]
            let document = try Command.succeed(["choose", model, "The capital"] + choices + ["--json"]).document()
            let scores = try #require(document["scores"]?.arrayValue).compactMap(\.doubleValue)
            #expect(scores.count == 3 && abs(scores.reduce(0, +) - 1) < 1e-6)
            #expect(scores[try #require(document["choice"]?.intValue)] == scores.max())
            let line = "{\"prompt\": \"The capital\", \"choices\": [\"a cat\", \"of France\", \"a dog\"]}"
            #expect(try Command.succeed(["choose", model, "--json"], input: line).objects() == [document])
            try Command.fail(
                ["choose", model],
                input: Array("{\"prompt\": \"a\", \"choices\": [\"b\"]}".utf8),
                saying: "line 1: \"choices\" has one choice; expected at least two"
            )
        }
    }

    @Test(
        "Impossible options are wrong usage",
        arguments: [
            (["rerank", "m", "a", "b", "--top-k", "0"], "--top-k is 0; expected 1 or more"),
            (["rerank", "m", "a", "b", "--activation", "tanh"], "'tanh' is invalid for '--activation <activation>'"),
            (["rerank", "m", "a", "b", "--activation", "identity", "--scale-scores"], "cannot be combined"),
            (["rerank", "m", "a", "b", "--input", "f"], "documents are given both as arguments and with --input"),
            (["classify", "m", "a", "--top-k", "0"], "--top-k is 0"),
            (["classify", "m", "a", "--labels", "a,,b"], "--labels has an empty label"),
            (["classify", "m", "a", "--multi-label"], "--multi-label needs --labels"),
            (["classify", "m", "a", "--labels", "a", "--hypothesis-template", "It is."], "with {} in the label"),
            (["tag", "m", "a", "--stride", "4", "--aggregation-strategy", "none"], "--stride cannot be combined"),
            (["tag", "m", "a", "--question", "b"], "--question needs --context"),
            (["answer", "m", "--question", "a", "--context", "b", "--top-k", "0"], "--top-k is 0"),
            (["answer", "m", "--context", "b"], "--context needs --question"),
            (["choose", "m", "a", "b"], "one choice is given; expected at least two"),
        ]
    )
    func options(_ arguments: [String], _ message: String) throws {
        try Command.fail(arguments, code: 64, saying: message)
    }
}
