import EttinJSON
import EttinTemplates
import Foundation
import TestSupport
import Testing

@Suite("Built-in and stored chat templates")
struct BuiltInTemplateTests {
    private static let think = "<think>\n\n</think>\n\n"

    @Test("the built-in templates render ChatML, with thoughts where Qwen3 has them")
    func builtIn() throws {
        let messages: [JSONValue] = [
            ["role": "user", "content": "hi"], ["role": "assistant", "content": "<think>\nold\n</think>\n\nhello"],
            ["role": "user", "content": "more"], ["role": "assistant", "content": "ok"],
        ]
        func render(_ name: String, _ prompt: Bool = false, _ arguments: JSONObject = [:]) throws -> String {
            let variables = ChatTemplate.variables(
                messages: messages,
                addsGenerationPrompt: prompt,
                arguments: arguments
            )
            return try ChatTemplate.builtIn(name).render(variables)
        }
        let (user, more) = ("<|im_start|>user\nhi<|im_end|>\n", "<|im_start|>user\nmore<|im_end|>\n")
        func answer(_ text: String) -> String { "<|im_start|>assistant\n\(text)<|im_end|>\n" }
        let old = "<think>\nold\n</think>\n\nhello"
        #expect(try render("chatml") == user + answer(old) + more + answer("ok"))
        #expect(try render("qwen3") == user + answer("hello") + more + answer(Self.think + "ok"))
        #expect(try render("qwen3-training") == user + answer(old) + more + answer(Self.think + "ok"))
        #expect(
            try render("qwen3", true, ["enable_thinking": false])
                == render("qwen3") + "<|im_start|>assistant\n" + Self.think
        )
        #expect(throws: TemplateError.self) { try ChatTemplate.builtIn("llama") }
    }

    @Test(
        "the built-in templates render what transformers renders",
        .enabled(if: SharedData.isAvailable, "needs shared/golden")
    )
    func golden() throws {
        let file = try #require(SharedData.folder) + "/golden/finetune/sft.json"
        let golden = try JSONValue(parsing: [UInt8](Data(contentsOf: URL(filePath: file))))
        let templates = try #require(golden["chat_templates"])
        var count = 0
        for (name, renderings) in try #require(templates["rendered"]?.objectValue).members.map({ ($0.key, $0.value) }) {
            let template = try ChatTemplate.builtIn(name.replacing("_", with: "-"))
            for rendering in try #require(renderings.objectValue).members {
                let parts = rendering.key.split(separator: "+").map(String.init)
                let usesTools = parts[0] == "tools"
                let messages = usesTools ? templates["tool_conversation"] : templates["conversations"]?[parts[0]]
                let variables = ChatTemplate.variables(
                    messages: try #require(messages?.arrayValue),
                    tools: usesTools ? templates["tools"]?.arrayValue : nil,
                    addsGenerationPrompt: parts.contains("gen"),
                    arguments: parts.contains("nothink") ? ["enable_thinking": false] : [:]
                )
                #expect(try template.render(variables) == rendering.value.stringValue, "\(name) \(rendering.key)")
                count += 1
            }
        }
        #expect(count == 34)
    }

    @Test("a model's own template is found beside its tokenizer")
    func folders() throws {
        try withTemporaryFolder { folder in
            #expect(try ChatTemplate(folder: folder.path) == nil)
            try folder.write(
                "{\"chat_template\": \"one{{ eos_token }}\", \"eos_token\": {\"content\": \"</s>\"}}",
                "tokenizer_config.json"
            )
            let template = try #require(try ChatTemplate(folder: folder.path))
            let tokens = try ChatTemplate.specialTokens(folder: folder.path)
            #expect(try template.render(ChatTemplate.variables(messages: [], specialTokens: tokens)) == "one</s>")
            try folder.write(
                "{\"chat_template\": [{\"name\": \"rag\", \"template\": \"r\"}, {\"name\": \"default\", \"template\": \"d\"}]}",
                "tokenizer_config.json"
            )
            #expect(try ChatTemplate(folder: folder.path)?.source == "d")
            try folder.write("file", "chat_template.jinja")
            #expect(try ChatTemplate(folder: folder.path)?.source == "file")
            try folder.write("{% if", "chat_template.jinja")
            #expect(throws: TemplateError.self) { try ChatTemplate(folder: folder.path) }
        }
    }
}
