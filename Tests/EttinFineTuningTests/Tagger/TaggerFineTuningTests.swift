import EttinFiles
import EttinJSON
import EttinTables
import EttinTraining
import Foundation
import TestSupport
import Testing

@testable import EttinFineTuning
@testable import EttinInference

@Suite("Fine-tuning a tagger")
struct TaggerFineTuningTests {
    private let words: [JSONObject] = TinyRun.rows.map { row in
        let words = row[1].split(separator: " ").map { JSONValue.string(String($0)) }
        let tags = row[1].split(separator: " ").map { word in
            JSONValue.string(["paris", "cat", "dog", "bread"].contains(word) ? "B-THING" : "O")
        }
        return ["tokens": .array(words), "ner_tags": .array(tags)]
    }

    private let spans: [JSONObject] = [
        ["text": "the cat sat on the mat", "spans": [[4, 7, "ANIMAL"], [15, 22, "PLACE"]]],
        ["text": "a dog sat in the sun", "spans": [[2, 5, "ANIMAL"], [13, 20, "PLACE"]]],
        ["text": "bake the bread in an oven", "spans": [[18, 25, "PLACE"]]],
        ["text": "how to bake bread", "spans": []],
    ]

    @Test("A run learns tags of words, measures spans, and ends in a folder that inference loads")
    func run() throws {
        let run = try TinyClassifier()
        try run.write(words, to: "words.jsonl")
        let session = try run.train(run.tagger("words.jsonl", "run", "num_train_epochs=20"))
        let keys = session.progress.history.last { $0["eval_f1"] != nil }.map { Array($0.keys.prefix(5)) }
        #expect(keys == ["eval_loss", "eval_precision", "eval_recall", "eval_f1", "eval_accuracy"])
        let f1 = try #require(session.progress.evaluation.first { $0.key == "eval_f1" }?.value)
        #expect(f1 > 0.9, "\(f1)")
        #expect(try run.json("run/final/config.json")["id2label"] == nil || f1 > 0.9)
        let tagger = try TokenClassificationPipeline(folder: session.finalFolder)
        let text = "the cat sat on the mat"
        #expect(try tagger([text])[0].entities.map { String(text[$0.range]) } == [" cat"])
    }

    @Test("Spans of texts get B- and I- labels, or their own")
    func spanLabels() throws {
        let run = try TinyClassifier()
        try run.write(spans, to: "spans.jsonl")
        try run.train(run.tagger("spans.jsonl", "run", "max_steps=1", "per_device_train_batch_size=2"))
        let labels = try run.json("run/final/config.json")["id2label"]?.objectValue?.map { $0.value.stringValue ?? "" }
        #expect(labels == ["O", "B-ANIMAL", "I-ANIMAL", "B-PLACE", "I-PLACE"])
        try run.train(
            run.tagger(
                "spans.jsonl",
                "plain",
                "max_steps=1",
                "per_device_train_batch_size=2",
                "tagging_scheme=none",
                "return_entity_level_metrics=true"
            )
        )
        let plain = try run.json("plain/final/config.json")["id2label"]?.objectValue?.map { $0.value.stringValue ?? "" }
        #expect(plain == ["O", "ANIMAL", "PLACE"])
    }

    @Test("Labels are aligned by offsets: the first token of a word, or all of them")
    func alignment() {
        func text(rest: Int32?) -> TaggedText {
            TaggedText(
                text: "new york  is",
                parts: [
                    .init(range: 0..<3, first: 1, rest: rest), .init(range: 4..<8, first: 2, rest: rest),
                    .init(range: 10..<12, first: 0, rest: rest),
                ],
                outside: nil
            )
        }
        // [CLS] new · yo · rk · blank · is [SEP], with the blank before a word in its token.
        let window = PreparedTagging.Window(
            text: PreparedText([1, 10, 11, 12, 13, 14, 2]),
            tokens: 1..<6,
            offsets: [0..<3, 3..<6, 6..<8, 8..<9, 9..<12]
        )
        #expect(text(rest: nil).targets(of: window) == [-100, 1, 2, -100, -100, 0, -100])
        #expect(text(rest: 4).targets(of: window) == [-100, 1, 2, 4, -100, 0, -100])
        let cut = PreparedTagging.Window(text: PreparedText([1, 10, 2]), tokens: 1..<2, offsets: [0..<3])
        #expect(text(rest: nil).targets(of: cut) == [-100, 1, -100])
    }

    @Test("Labels of spans end where the span ends, and all other tokens are outside")
    func spanAlignment() {
        let text = TaggedText(text: "a new dog", parts: [.init(range: 2..<9, first: 1, rest: 2)], outside: 0)
        let window = PreparedTagging.Window(
            text: PreparedText([1, 10, 11, 12, 2]),
            tokens: 1..<4,
            offsets: [0..<1, 1..<5, 5..<9]
        )
        #expect(text.targets(of: window) == [-100, 0, 1, 2, -100])
    }

    @Test("Microbatches count by their tokens with a label, and a resumed run ends in the same bits")
    func resume() throws {
        let run = try TinyClassifier(dropout: 0.1)
        try run.write(words, to: "words.jsonl")
        func recipe(_ output: String) throws -> TaggerRecipe {
            try run.tagger(
                "words.jsonl",
                output,
                "save_strategy=steps",
                "save_steps=2",
                "autoresume=true",
                "gradient_accumulation_steps=2"
            )
        }
        try run.train(recipe("whole"))
        try run.train(recipe("cut"), steps: 3)
        try run.train(recipe("cut"))
        #expect(try run.run.bytes("whole/final/model.safetensors") == run.run.bytes("cut/final/model.safetensors"))
    }

    @Test(
        "Bad input is refused in one sentence",
        arguments: [
            (["tokens": ["a", "dog"], "ner_tags": ["O"]], "has 1 labels; expected 2, one for each word"),
            (["tokens": ["a", ""], "ner_tags": ["O", "O"]], "has an empty word"),
            (["tokens": ["a", "dog"], "ner_tags": ["O", "B-CAT"]], "is \"B-CAT\"; expected a label of the map"),
            (["tokens": ["a", "dog"], "ner_tags": [0, 1.5]], "has 1.5; expected names of labels"),
            (["text": "a dog", "spans": [[2, 9, "X"]]], "has a span to character 9; expected at most 5"),
            (["text": "a dog", "spans": [[0, 3, "X"], [2, 5, "X"]]], "has spans that overlap"),
            (["text": "a dog", "spans": [[3, 2, "X"]]], "expected spans of first character, end and label"),
            (["text": "a dog", "tags": 1], "expected a list of spans"), (["text": "a dog"], "has no column of labels"),
        ] as [(JSONObject, String)]
    )
    func badInput(row: JSONObject, message: String) throws {
        let run = try TinyClassifier()
        try run.write([row, row], to: "bad.jsonl")
        let isUnknown = message.contains("label of the map")
        let error = #expect(throws: (any Error).self) {
            let recipe = try TaggerRecipe(
                values: [
                    "model_name_or_path=\(run.folder.file("model"))", "train_dataset=\(run.folder.file("bad.jsonl"))",
                    "output_dir=\(run.folder.file("run"))", "per_device_train_batch_size=1",
                ] + (isUnknown ? ["labels=[O, B-DOG]"] : [])
            )
            try run.train(recipe)
        }
        let text = "\(try #require(error))"
        #expect(text.contains(message), "\(text)")
        #expect(!FilePath.exists(run.folder.file("run")))
    }
}
