import EttinJSON

/// A part of what a tokenizer makes of two texts.
package enum PairTemplatePart: Hashable, Sendable {
    /// The first text.
    case first
    /// The second text.
    case second
    /// A token, as the vocabulary writes it.
    case special(String)
}

extension Tokenizer {
    /// The same tokenizer with other special tokens around and between the texts of a pair; those of single texts stay.
    ///
    /// The template itself changes, also in what is saved: a decoder's may put a pair together in a way of its own, or as
    /// `tokenizer_config.json` says, which not every version of transformers heeds beside a template. All type ids are 0.
    ///
    /// - Parameter parts: Both texts, each once and the first one first, with special tokens.
    /// - Returns: A tokenizer that shares all tables with this one.
    /// - Throws: `TokenizerError` for a token that the vocabulary lacks.
    package func withPairTemplate(_ parts: [PairTemplatePart]) throws -> Tokenizer {
        var copy = self
        var writer = TemplateWriter()
        func special(_ token: String) throws -> JSONValue {
            guard let id = tokenToID(token) else {
                throw TokenizerError.invalid(
                    file: "tokenizer.json",
                    field: "post_processor",
                    found: "\"\(token)\" in the template for pairs",
                    expected: "a token of the vocabulary"
                )
            }
            return writer.special(token, id: id)
        }
        let present = PostProcessor.parts(
            specialTokenRule,
            template: file.postProcessor.template,
            hasPair: false,
            addsSpecialTokens: true,
            bosID: bosTokenID,
            eosID: eosTokenID
        )
        let single = try present.flatMap { part in
            switch part {
            case .text: [TemplateWriter.text("A")]
            case .special(let ids, _): try ids.compactMap { idToToken($0) }.map(special)
            }
        }
        let pair = try parts.map { part in
            switch part {
            case .first: TemplateWriter.text("A")
            case .second: TemplateWriter.text("B")
            case .special(let token): try special(token)
            }
        }
        try copy.file.setTemplate(writer.template(single: single, pair: pair))
        copy.settings.configuration["add_bos_token"] = nil
        copy.settings.configuration["add_eos_token"] = nil
        copy.specialTokenRule = copy.settings.specialTokenRule
        return copy
    }
}
