import EttinFiles
import EttinJSON
package import EttinModel
import EttinTemplates
package import EttinTokenizer
import EttinTraining

/// A chat template with the tokens that it is written in.
package struct ChatTemplateSource {
    /// The template.
    package let template: String
    /// The tokens that the model must have.
    package let tokens: [AddedToken]
    /// The token that ends a turn, and a sequence; nil for the tokenizer's own.
    package let endToken: String?

    package init(template: String, tokens: [AddedToken], endToken: String?) {
        (self.template, self.tokens, self.endToken) = (template, tokens, endToken)
    }

    /// The template and the tokens of Qwen3, which a tokenizer without a template gets.
    package static var qwen3: ChatTemplateSource {
        let special = [
            "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
            "<|box_start|>",
            "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
            "<|image_pad|>", "<|video_pad|>",
        ]
        let others = [
            "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
            "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>",
        ]
        return ChatTemplateSource(
            template: ChatTemplate.qwen3,
            tokens: special.map { AddedToken($0, isNormalized: false, isSpecial: true) }
                + others.map { AddedToken($0, isNormalized: false) },
            endToken: "<|im_end|>"
        )
    }

    /// ChatML with its two tokens.
    package static var chatML: ChatTemplateSource {
        ChatTemplateSource(
            template: ChatTemplate.chatML,
            tokens: ["<|im_start|>", "<|im_end|>"].map { AddedToken($0, isNormalized: false, isSpecial: true) },
            endToken: "<|im_end|>"
        )
    }

    /// Reads the template of a tokenizer.
    ///
    /// - Parameters:
    ///   - folder: The tokenizer's folder.
    ///   - name: What the recipe calls it, for messages.
    /// - Throws: `TrainingError` for a tokenizer without a template; `TokenizerError`; `TemplateError`.
    init(folder: String, name: String) throws {
        let tokenizer = try Tokenizer(folder: folder)
        guard let template = try ChatTemplate(folder: folder) else {
            throw TrainingError(
                .missing,
                "chat_template_path",
                found: "is \(quoted(name)), whose tokenizer has no chat template",
                expected: "a tokenizer with one, a .jinja file, chatml or qwen3"
            )
        }
        self.init(
            template: template.source,
            tokens: tokenizer.addedTokens.sorted { $0.id < $1.id }.map(\.token),
            endToken: tokenizer.specialTokens.first { $0.role == "eos_token" }?.token
        )
    }

    /// The number of tokens is a multiple of this; `resize_to_multiple_of`.
    package static let vocabularyMultiple = 64

    /// Gives a tokenizer the tokens of the template, and a model the rows for them.
    ///
    /// Rows are added up to the next multiple of 64, with a dummy token for each that no token has.
    ///
    /// - Parameters:
    ///   - tokenizer: The tokenizer, which gets the template's tokens and its end.
    ///   - model: The model, which gets rows for them.
    ///   - seed: The random seed of new rows.
    /// - Returns: The number of tokens that were added.
    /// - Throws: `TokenizerError` for tokens that there is no id for.
    ///
    /// > Source: TRL 1.16, `clone_chat_template`.
    package func clone(into tokenizer: inout Tokenizer, _ model: LanguageModel, seed: UInt64) throws -> Int {
        let before = tokenizer.vocabularySize
        tokenizer = try tokenizer.adding(tokens.filter { tokenizer.tokenToID($0.content) == nil })
        if let endToken { tokenizer = tokenizer.setting("eos_token", to: endToken) }
        let multiple = Self.vocabularyMultiple
        let size = (tokenizer.vocabularySize + multiple - 1) / multiple * multiple
        model.resizeTokenEmbeddings(size, seed: seed)
        var number = 0
        while tokenizer.vocabularySize < size {
            let missing = size - tokenizer.vocabularySize
            let dummies = (number..<number + missing).map { "<extra_id_\($0)>" }
            tokenizer = try tokenizer.adding(
                dummies.filter { tokenizer.tokenToID($0) == nil }.map { AddedToken($0) }
            )
            number += missing
        }
        return tokenizer.vocabularySize - before
    }
}
