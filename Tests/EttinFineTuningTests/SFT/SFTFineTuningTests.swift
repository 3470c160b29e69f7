import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import EttinTokenizer
import EttinTraining
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinFineTuning

@Suite("Supervised fine-tuning")
struct SFTFineTuningTests {
    private func labels(_ rows: SFTRows, _ row: Int = 0) -> [Int32] { rows.parts(ofRow: row).flatMap(\.labels) }

    private func ids(_ rows: SFTRows, _ row: Int = 0) -> [Int32] { rows.parts(ofRow: row).flatMap { Array($0.ids) } }

    @Test("Texts get special tokens and the end token, and every token counts")
    func texts() throws {
        let chat = try TinyChat()
        let recipe = try chat.recipe(
            "run",
            "train_dataset=\(chat.folder.file("text.jsonl"))",
            "chat_template_path=null"
        )
        let (rows, subject) = try chat.rows(recipe, of: "text.jsonl")
        let tokenizer = subject.tokenizer
        let text = "\(TinyChat.turns[0].0) \(TinyChat.turns[0].1)[SEP]"
        #expect(ids(rows) == tokenizer.encodeIDs(text))
        #expect(ids(rows).first == tokenizer.bosTokenID && ids(rows).last == tokenizer.eosTokenID)
        #expect(labels(rows) == ids(rows))
        #expect(rows.rowCount == TinyChat.turns.count)
    }

    @Test("Only completions count, unless the recipe says otherwise")
    func completions() throws {
        let chat = try TinyChat()
        let name = "completions.jsonl"
        let recipe = try chat.recipe("run", "train_dataset=\(chat.folder.file(name))", "chat_template_path=null")
        let (rows, subject) = try chat.rows(recipe, of: name)
        let prompt = subject.tokenizer.encodeIDs(TinyChat.turns[0].0)
        #expect(Array(ids(rows).prefix(prompt.count)) == prompt)
        #expect(labels(rows).prefix(prompt.count).allSatisfy { $0 == -100 })
        #expect(Array(labels(rows).dropFirst(prompt.count)) == Array(ids(rows).dropFirst(prompt.count)))
        var all = recipe
        all.countsCompletionsOnly = false
        let (whole, _) = try chat.rows(all, of: name)
        #expect(labels(whole) == ids(rows))
    }

    @Test("Conversations of prompt and completion begin to count behind the generation prompt")
    func chatCompletions() throws {
        let chat = try TinyChat()
        try chat.write(
            [
                [
                    "prompt": [TinyChat.message("user", "where is the cat")],
                    "completion": [TinyChat.message("assistant", "on the mat")],
                ]
            ],
            to: "one.jsonl"
        )
        let (rows, subject) = try chat.rows(
            chat.recipe("run", "train_dataset=\(chat.folder.file("one.jsonl"))"),
            of: "one.jsonl"
        )
        let prompt = "<|im_start|>user\nwhere is the cat<|im_end|>\n<|im_start|>assistant\n"
        let count = subject.tokenizer.encodeIDs(prompt, addSpecialTokens: false).count
        #expect(labels(rows).prefix(count).allSatisfy { $0 == -100 })
        #expect(
            ids(rows) == subject.tokenizer.encodeIDs(prompt + "on the mat<|im_end|>\n", addSpecialTokens: false)
        )
        #expect(!labels(rows).dropFirst(count).contains(-100))
    }

    @Test("Conversations may name their keys from and value, and rows may bring tools")
    func conversations() throws {
        let chat = try TinyChat()
        try chat.write(
            [
                [
                    "conversations": [
                        ["from": "human", "value": "hi"], ["from": "gpt", "value": "bread", "thinking": "rain"],
                    ], "tools": "[{\"name\": \"f\"}]", "chat_template_kwargs": ["mark": "sun"],
                ]
            ],
            to: "one.jsonl"
        )
        try """
        {% for m in messages %}{{ m.role }}:{{ m.reasoning_content }}{{ m.content }};{% endfor %}{{ tools[0].name }}{{ mark }}{{ eos_token }}
        """.write(toFile: chat.folder.file("own.jinja"), atomically: true, encoding: .utf8)
        let recipe = try chat.recipe(
            "run",
            "train_dataset=\(chat.folder.file("one.jsonl"))",
            "chat_template_path=\(chat.folder.file("own.jinja"))"
        )
        let (rows, subject) = try chat.rows(recipe, of: "one.jsonl")
        #expect(subject.tokenizer.decode(ids(rows), skipSpecialTokens: false) == "human:hi;gpt:rainbread;fsun[SEP]")
    }

    @Test("Token ids and their labels are taken as they are")
    func tokens() throws {
        let chat = try TinyChat()
        try chat.write(
            [
                ["input_ids": [5, 6, 7, 8], "labels": [-100, 6, 9, 8]],
                ["input_ids": [5, 6], "labels": [-100, -100]],
            ],
            to: "ids.jsonl"
        )
        let recipe = try chat.recipe("run", "train_dataset=\(chat.folder.file("ids.jsonl"))", "chat_template_path=null")
        let (rows, subject) = try chat.rows(recipe, of: "ids.jsonl")
        #expect(rows.rowCount == 1 && rows.warnings.contains { $0.contains("1 of 2 rows") })
        let batch = try subject.prepared([0], of: rows, step: 0)
        #expect(batch.columns[0].map(\.tokenIDs) == [[5, 6, 7, 8]])
        #expect(batch.targets == [[6, 9, 8, -100]])
    }

    @Test("Masks say which token ids count where there are no labels")
    func masks() throws {
        let chat = try TinyChat()
        try chat.write(
            [["input_ids": [5, 6, 7], "assistant_masks": [0, 1, 1], "completion_mask": [true, true, false]]],
            to: "ids.jsonl"
        )
        let recipe = try chat.recipe("run", "train_dataset=\(chat.folder.file("ids.jsonl"))", "chat_template_path=null")
        let (rows, _) = try chat.rows(recipe, of: "ids.jsonl")
        #expect(labels(rows) == [-100, 6, 7])
        #expect(rows.warnings.contains { $0.contains("completion_mask has no effect") })
        var completions = recipe
        completions.countsCompletionsOnly = true
        let (both, _) = try chat.rows(completions, of: "ids.jsonl")
        #expect(labels(both) == [-100, 6, -100] && both.warnings.isEmpty)
    }

    @Test("Rows whose labels packing cuts off are told")
    func packedWithoutLabels() throws {
        let chat = try TinyChat()
        let name = "ids.jsonl"
        try chat.write(
            [
                ["input_ids": [5, 6, 7, 8], "labels": [-100, -100, -100, 8]],
                ["input_ids": [5, 6, 7], "labels": [-100, 6, 7]],
            ],
            to: name
        )
        let recipe = try chat.recipe(
            "run",
            "train_dataset=\(chat.folder.file(name))",
            "chat_template_path=null",
            "packing=true",
            "max_length=3"
        )
        let (rows, _) = try chat.rows(recipe, of: name)
        #expect(rows.rowCount == 2 && rows.warnings.contains { $0.contains("1 of 2 packed rows") })
    }

    @Test("A template makes the text of the columns of a row")
    func formatting() throws {
        let chat = try TinyChat()
        let recipe = try chat.recipe(
            "run",
            "train_dataset=\(chat.folder.file("completions.jsonl"))",
            "chat_template_path=null",
            "formatting_func='{{ prompt }} ->{{ completion }}'"
        )
        let (rows, subject) = try chat.rows(recipe, of: "completions.jsonl")
        let text = "\(TinyChat.turns[0].0) -> \(TinyChat.turns[0].1)[SEP]"
        #expect(ids(rows) == subject.tokenizer.encodeIDs(text) && labels(rows) == ids(rows))
    }

    @Test("Packing changes neither losses nor gradients of an update", arguments: ["nll", "dft"])
    func packing(loss: String) throws {
        let chat = try TinyChat()
        func first(_ values: String...) throws -> JSONObject {
            let session = try chat.train(
                chat.recipe(
                    "run\(values.count)",
                    overriding: ["max_length=32", "max_steps=1", "loss_type=\(loss)"] + values
                )
            )
            return try #require(session.progress.history.first)
        }
        let count = TinyChat.turns.count
        let plain = try first("per_device_train_batch_size=\(count)", "gradient_accumulation_steps=1")
        let packed = try first("per_device_train_batch_size=1", "gradient_accumulation_steps=32", "packing=true")
        for key in ["loss", "grad_norm"] {
            let (one, other) = (plain[key]?.doubleValue ?? .nan, packed[key]?.doubleValue ?? .nan)
            #expect(abs(one - other) <= 1e-4 * abs(one), "\(key): \(one) and \(other)")
        }
        #expect(plain["num_tokens"] == packed["num_tokens"] && plain["num_tokens"] != nil)
        #expect(plain["mean_token_accuracy"] != nil && plain["entropy"] != nil)
    }

    @Test("A tokenizer without a template gets that of Qwen3 with its tokens, and folders are whole")
    func folder() throws {
        let chat = try TinyChat()
        let session = try chat.train(
            chat.recipe(
                "run",
                "chat_template_path=null",
                "max_steps=2",
                "eval_dataset=\(chat.folder.file("chat.jsonl"))",
                "eval_strategy=steps",
                "eval_steps=1",
                "bf16=true",
                "packing=true",
                "max_length=32"
            )
        )
        let final = session.finalFolder
        let tokenizer = try Tokenizer(folder: final)
        #expect(tokenizer.vocabularySize % 64 == 0 && tokenizer.tokenToID("</think>") != nil)
        #expect(tokenizer.eosTokenID == tokenizer.tokenToID("<|im_end|>"))
        let model = try LanguageModel.load(folder: final)
        #expect(model.configuration.vocabularySize == tokenizer.vocabularySize)
        #expect(model.configuration.eosTokenIDs == tokenizer.eosTokenID.map { [Int($0)] })
        #expect(
            try GenerationConfiguration.read(folder: final)?.eosTokenIDs == tokenizer.eosTokenID.map { [Int($0)] }
        )
        #expect(FilePath.exists(FilePath.joined(final, "chat_template.jinja")))
        let evaluation = try #require(session.progress.history.last { $0["eval_loss"] != nil })
        for key in ["eval_entropy", "eval_mean_token_accuracy", "eval_num_tokens"] {
            #expect(evaluation[key] != nil, "\(key)")
        }
        let card = try String(contentsOfFile: FilePath.joined(final, "README.md"), encoding: .utf8)
        #expect(card.contains("- trl") && card.contains("- sft") && card.contains("library_name: transformers"))
    }

    @Test("A run that stops anywhere is resumed to the same bits", arguments: [1, 3])
    func resuming(steps: Int) throws {
        let chat = try TinyChat(dropout: 0.1)
        func recipe(_ output: String) throws -> SFTRecipe {
            try chat.recipe(output, "packing=true", "max_length=32", "autoresume=true", "chat_template_path=null")
        }
        try chat.train(recipe("whole"))
        try chat.train(recipe("parts"), steps: steps)
        try chat.train(recipe("parts"))
        for file in [
            "model.safetensors", "tokenizer.json", "chat_template.jinja", "generation_config.json", "config.json",
        ] {
            let bytes = try ["whole", "parts"].map { try chat.run.bytes("\($0)/final/\(file)") }
            #expect(bytes[0] == bytes[1], "\(file)")
        }
        let tokens = try ["whole", "parts"].map { name in
            try JSONValue(parsing: Array(chat.run.bytes("\(name)/checkpoint-6/trainer_state.json")))["log_history"]?
                .arrayValue?.compactMap { $0["num_tokens"] }
        }
        #expect(tokens[0] == tokens[1] && tokens[0]?.isEmpty == false)
    }

    @Test(
        "A run is not resumed with another template or formatting",
        arguments: ["chat_template_path=qwen3", "formatting_func=x", "eos_token='[CLS]'", "eval_packing=true"]
    )
    func resumingOthers(change: String) throws {
        let chat = try TinyChat()
        let values = ["autoresume=true", "max_length=32"]
        try chat.train(chat.recipe("run", overriding: values), steps: 2)
        let error = #expect(throws: (any Error).self) {
            _ = try chat.train(chat.recipe("run", overriding: values + [change]))
        }
        let key = String(change.prefix { $0 != "=" })
        #expect("\(try #require(error))".contains(key), "\(error.map { "\($0)" } ?? "")")
    }

    @Test("TRL's defaults hold where a recipe says nothing, and names of data sets are taken apart")
    func defaults() throws {
        let recipe = try SFTRecipe(values: [
            "model_name_or_path=m", "dataset_name=owner/chat", "dataset_config=all", "eval_strategy=steps",
            "eval_steps=5",
        ])
        #expect(recipe.arguments.learningRate == 2e-5 && recipe.arguments.loggingSteps == .count(10))
        #expect(recipe.arguments.usesBFloat16 && recipe.arguments.recomputesLayers)
        #expect(recipe.trainData.map(\.references) == [["owner/chat:all:train"]])
        #expect(recipe.evaluationData.map(\.references) == [["owner/chat:all:test"]])
        #expect(recipe.packing == nil && recipe.loss == .negativeLogLikelihood)
        let other = try SFTRecipe(values: [
            "model_name_or_path=m", "train_dataset=x.jsonl", "packing=true", "fp16=true",
        ])
        #expect(other.packing == .bestFit && other.evaluationPacking == .bestFit && other.evaluationData.isEmpty)
    }

    @Test(
        "What cannot be trained on is named",
        arguments: [
            ([["messages": []]], [], "has no messages"),
            ([["messages": [["content": "a"]]]], [], "has a message with the keys"),
            ([["messages": "a"]], [], "is not a list of messages"),
            ([["other": "a"]], [], "has the columns \"other\""),
            ([["text": 1]], [], "is not a text"),
            ([["input_ids": [1, 100_000]]], [], "has 100000"),
            ([["input_ids": [1, 2], "labels": [1]]], [], "has 1 labels"),
            ([["input_ids": [1, 2], "labels": [-100, -100]]], [], "no row with a token that counts"),
            ([["prompt": "a b c d", "completion": "e"]], ["max_length=2"], "no row with a token that counts"),
            (
                [["prompt": "a b c d", "completion": "e"]], ["max_length=2", "packing=true"],
                "no row with a token that counts"
            ),
            ([["input_ids": [1, 2], "assistant_masks": [1]]], [], "has 1 values"),
            ([["input_ids": [1, 2], "assistant_masks": [1, 2]]], [], "has 2; expected 0 or 1"),
            ([["text": "a"]], ["assistant_only_loss=true"], "has no conversations"),
            ([["text": "a"]], ["completion_only_loss=true"], "has no column \"completion\""),
            ([["messages": [["role": "user", "content": "a"]]]], ["assistant_only_loss=true"], "marks no answers"),
            ([["text": "a"]], ["eos_token=<none>"], "which the tokenizer does not have"),
            ([["text": "a"]], ["max_length=4096"], "reads 32 tokens"),
            ([["text": "a"]], ["evaluator=a"], "which supervised fine-tuning does not have"),
            ([["text": "a"]], ["load_in_4bit=true"], "which is not supported"),
            ([["text": "a"]], ["packing=true", "max_length=null"], "max_length is null"),
            ([["text": "a"]], ["packing_strategy=ffd"], "packing_strategy"),
        ] as [([JSONObject], [String], String)]
    )
    func refusals(rows: [JSONObject], values: [String], message: String) throws {
        let chat = try TinyChat()
        try chat.write(rows, to: "bad.jsonl")
        let error = #expect(throws: (any Error).self) {
            let recipe = try chat.recipe(
                "run",
                overriding: ["train_dataset=\(chat.folder.file("bad.jsonl"))", "per_device_train_batch_size=1"] + values
            )
            _ = try FineTuningSession(recipe)
        }
        #expect("\(try #require(error))".contains(message), "\(error.map { "\($0)" } ?? "")")
        #expect(!FilePath.exists(chat.folder.file("run")))
    }

    @Test("A template's own refusal names the row")
    func raised() throws {
        let chat = try TinyChat()
        try "{{ raise_exception('roles must alternate') }}".write(
            toFile: chat.folder.file("own.jinja"),
            atomically: true,
            encoding: .utf8
        )
        let error = #expect(throws: TrainingError.self) {
            _ = try FineTuningSession(chat.recipe("run", "chat_template_path=\(chat.folder.file("own.jinja"))"))
        }
        let text = "\(try #require(error))"
        #expect(text.contains("chat.jsonl: line 1") && text.contains("roles must alternate"), "\(text)")
    }
}
