import EttinFiles
import EttinInference
import EttinJSON
import EttinTables
import EttinTemplates
import EttinTokenizer
import EttinTraining
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinFineTuning
@testable import EttinModel

@Suite(
    "Supervised fine-tuning beside TRL and transformers",
    .enabled(if: SharedData.isAvailable, "needs shared/golden")
)
struct SFTGoldenTests {
    private var golden: String { get throws { try #require(SharedData.folder) + "/golden/finetune" } }

    private func json(_ name: String) throws -> JSONValue {
        try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: "\(golden)/\(name)"))))
    }

    private static let newTokens = ["<|im_start|>", "<|im_end|>", "<think>", "</think>"].map {
        AddedToken($0, isNormalized: false, isSpecial: true)
    }

    /// The small decoder with four further tokens, whose rows are the mean of the others.
    private func base(in folder: TemporaryFolder) throws -> String {
        let path = folder.file("base")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let model = try LanguageModel.loadForTraining(folder: "\(golden)/models/dec")
        let count = model.configuration.vocabularySize
        model.resizeTokenEmbeddings(count + Self.newTokens.count)
        let rows = model.trunk.embeddings.tokens.weight
        let mean = rows.narrowed(along: 0, from: 0, count: count).mean(along: 0, keepingDimensions: true)
        withoutGradients {
            for row in count..<rows.size(0) { rows.narrowed(along: 0, from: row, count: 1).assign(mean) }
        }
        try model.save(folder: path)
        try Tokenizer(folder: "\(golden)/models/dec").adding(Self.newTokens).setting("eos_token", to: "<|im_end|>")
            .save(to: path)
        return path
    }

    private func ints(_ value: JSONValue?) throws -> [Int32] {
        try #require(value?.arrayValue).map { Int32($0.intValue ?? 0) }
    }

    @Test("Runs are followed step by step", arguments: ["packed", "padded", "packed_lora"])
    func trace(name: String) throws {
        let trace = try #require(try json("training_traces.json")["sft"])
        let chat = try TinyChat()
        let base = try base(in: chat.folder)
        let questions = try #require(trace["qa"]?.arrayValue)
        try chat.write(
            questions.map {
                [
                    "messages": [
                        ["role": "user", "content": $0[0] ?? ""], ["role": "assistant", "content": $0[1] ?? ""],
                    ]
                ]
            },
            to: "questions.jsonl"
        )
        var values = [
            "model_name_or_path=\(base)", "train_dataset=\(chat.folder.file("questions.jsonl"))", "max_length=64",
            "max_steps=null", "gradient_checkpointing=\(name == "padded")",
        ]
        try ChatTemplate.chatML.write(
            toFile: chat.folder.file("chatml.jinja"),
            atomically: true,
            encoding: .utf8
        )
        values.append("chat_template_path=\(chat.folder.file("chatml.jinja"))")
        values += name == "padded" ? ["num_train_epochs=2"] : ["num_train_epochs=4", "packing=true"]
        if name == "packed_lora" {
            values += [
                "use_peft=true", "lora_r=4", "lora_alpha=8", "lora_dropout=0",
                "lora_target_modules=[q_proj, v_proj, Wi]",
            ]
        }
        let recipe = try chat.recipe("run", overriding: values)
        let (rows, _) = try chat.rows(recipe, of: "questions.jsonl")
        let expected = try #require(trace[name == "padded" ? "padded_rows" : "packed_rows"]?.arrayValue)
        #expect(rows.rowCount == expected.count)
        for (row, other) in expected.enumerated() {
            #expect(rows.parts(ofRow: row).flatMap(\.ids) == (try ints(other["input_ids"] ?? other)))
        }
        let session = try FineTuningSession(recipe)
        if name == "packed_lora" {
            for (key, tensor) in session.trainer.task.model.parameters where key.hasSuffix(".A") {
                let count = tensor.elementCount
                let values = (0..<count).map { -0.3 + 0.6 * Float($0) / Float(count - 1) }
                withoutGradients { tensor.assign(Tensor(values, shape: tensor.shape)) }
            }
        }
        #expect(try session.run() == .finished)
        let wanted = try #require(trace["runs"]?[name]?["log_history"]?.arrayValue)
        let found = session.progress.history
        #expect(found.count == wanted.count)
        for (entry, other) in zip(found, wanted) {
            for member in other.objectValue ?? [:] {
                let (value, number) = (entry[member.key]?.doubleValue ?? .nan, member.value.doubleValue ?? .nan)
                #expect(
                    abs(value - number) <= 1e-4 * max(1, abs(number)),
                    "step \(other["step"] ?? 0), \(member.key): \(value) is not \(number)"
                )
            }
        }
        let logits = try #require(trace["runs"]?[name]?["final_logits_last_first8_for_ids_304_84_82_68_81"]?.arrayValue)
        let model = try LanguageModel.load(folder: AdapterFolder.opened(session.finalFolder))
        let last = withoutGradients { model(PackedBatch([[304, 84, 82, 68, 81]])) }
        for (number, other) in zip((try last.array() as [Float]).suffix(308).prefix(8), logits) {
            #expect(abs(Double(number) - (other.doubleValue ?? .nan)) <= 1e-3)
        }
    }

    @Test("Packing is that of the original", arguments: SequencePacking.allCases)
    func packing(packing: SequencePacking) throws {
        let golden = try #require(try json("sft.json")["packing"])
        let lengths = try ints(golden["lengths"]).map(Int.init)
        let names = lengths.enumerated().flatMap { example, length in (0..<length).map { "\(example):\($0)" } }
        let rows = packing.rows(lengths: lengths, maxLength: try #require(golden["max_length"]?.intValue))
        let expected = try #require(golden[packing.rawValue])
        #expect(
            rows.map { $0.flatMap { names[$0] } }
                == (try #require(expected["rows"]?.arrayValue)).map { ($0.arrayValue ?? []).compactMap(\.stringValue) }
        )
        guard let counts = expected["seq_lengths"]?.arrayValue else { return }
        #expect(rows.map { $0.map(\.count) } == counts.map { ($0.arrayValue ?? []).compactMap(\.intValue) })
    }

    @Test("A cloned template brings its tokens, rows for them and dummies up to a multiple of 64")
    func cloning() throws {
        let golden = try #require(try json("sft.json")["clone_chat_template"])
        let folder = "\(try self.golden)/models/dec"
        let model = try LanguageModel.loadForTraining(folder: folder)
        var tokenizer = try Tokenizer(folder: folder)
        let source = ChatTemplateSource(template: "", tokens: Self.newTokens, endToken: "<|im_end|>")
        let added = try source.clone(into: &tokenizer, model, seed: 42)
        #expect(model.configuration.vocabularySize == golden["new_model_vocab"]?.intValue)
        #expect(tokenizer.vocabularySize == golden["new_tokenizer_len"]?.intValue)
        let ids = try ints(golden["added_ids"])
        #expect(added == ids.count && tokenizer.eosTokenID == Int32(golden["eos_id"]?.intValue ?? 0))
        let names = try #require(golden["last_tokens"]?.arrayValue).compactMap(\.stringValue)
        #expect(ids.prefix(5).map { tokenizer.idToToken($0) } == names.prefix(5).map { $0 })
        #expect(tokenizer.idToToken(ids[ids.count - 1]) == names.last)
    }

    @Test("What the assistant says is masked as in the original")
    func assistantMask() throws {
        let sft = try json("sft.json")
        let golden = try #require(sft["assistant_mask"])
        let messages = try #require(sft["chat_templates"]?["conversations"]?["two_turn"])
        let chat = try TinyChat()
        let base = try base(in: chat.folder)
        try chat.write([["messages": messages]], to: "one.jsonl")
        let recipe = try chat.recipe(
            "run",
            overriding: [
                "model_name_or_path=\(base)", "train_dataset=\(chat.folder.file("one.jsonl"))",
                "chat_template_path=qwen3", "assistant_only_loss=true", "max_length=64", "truncation_mode=keep_end",
            ]
        )
        let (rows, _) = try chat.rows(recipe, of: "one.jsonl")
        let (ids, mask) = (try ints(golden["ids"]), try ints(golden["mask"]))
        let part = rows.parts(ofRow: 0)[0]
        #expect(Array(part.ids) == Array(ids.suffix(64)))
        #expect(part.labels == zip(ids, mask).suffix(64).map { $1 == 1 ? $0 : -100 })
    }

    @Test("The loss of an update is the mean over all its tokens")
    func tokenLoss() throws {
        let golden = try #require(try json("sft.json")["token_loss"])
        let rows = try #require(golden["logits"]?[0]?.arrayValue).map {
            ($0.arrayValue ?? []).map { Float($0.doubleValue ?? 0) }
        }
        let labels = try ints(golden["labels"]?[0])
        // Logits at a place are for the next label.
        let targets = labels.dropFirst() + [-100]
        let kept = zip(rows, targets).filter { $1 != -100 }
        let logits = Tensor(kept.flatMap(\.0), shape: [kept.count, 4])
        let identity = Tensor((0..<16).map { $0 % 5 == 0 ? 1 : 0 } as [Float], shape: [4, 4])
        let (sum, entropies, hits) = logits.linearCrossEntropyWithStatistics(
            weight: identity,
            bias: nil,
            labels: Tensor(kept.map { Int64($0.1) }),
            weighsByProbability: false
        )
        #expect(abs(try sum.scalar() - (golden["sum"]?.doubleValue ?? 0)) < 1e-5)
        #expect(kept.count == golden["count"]?.intValue)
        #expect(entropies.shape == [kept.count] && hits.shape == [kept.count])
    }
}
