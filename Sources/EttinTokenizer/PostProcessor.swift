import EttinJSON

/// What happens to encoded texts before they are returned: special tokens, type ids, trimmed offsets.
struct PostProcessor: Sendable {
    /// One step of the post-processor of a file.
    enum Step: Sendable {
        /// Takes white space out of the offsets.
        case trimOffsets(addsPrefixSpace: Bool)
        /// Arranges the texts and special tokens.
        case template(Template)
    }

    /// The texts and special tokens of an encoding in order.
    struct Template: Sendable {
        var single: [Part]
        var pair: [Part]
    }

    /// One part of a template.
    enum Part: Sendable, Hashable {
        case text(second: Bool, typeID: Int32)
        case special(ids: [Int32], typeID: Int32)
    }

    var steps: [Step] = []

    /// The template; without one, texts follow each other with type ids 0 and 1.
    var template: Template? {
        for case .template(let template) in steps { return template }
        return nil
    }

    /// Whether and how offsets are trimmed: one entry per trimming step.
    var trimming: [Bool] {
        steps.compactMap { if case .trimOffsets(let addsPrefixSpace) = $0 { addsPrefixSpace } else { nil } }
    }

    /// The parts of an encoding.
    static func parts(
        _ rule: SpecialTokenRule,
        template: Template?,
        hasPair: Bool,
        addsSpecialTokens: Bool,
        bosID: Int32?,
        eosID: Int32?
    ) -> [Part] {
        let parts: [Part]
        switch rule {
        case .template:
            let plain: [Part] =
                hasPair
                ? [.text(second: false, typeID: 0), .text(second: true, typeID: 1)]
                : [.text(second: false, typeID: 0)]
            parts = template.map { hasPair ? $0.pair : $0.single } ?? plain
        case .bosEOS(let addBOS, let addEOS):
            let before = addBOS ? bosID.map { [$0] } ?? [] : []
            let after = addEOS ? eosID.map { [$0] } ?? [] : []
            func surrounded(_ second: Bool, _ typeID: Int32) -> [Part] {
                [
                    .special(ids: before, typeID: typeID), .text(second: second, typeID: typeID),
                    .special(ids: after, typeID: typeID),
                ]
            }
            parts = surrounded(false, 0) + (hasPair ? surrounded(true, 1) : [])
        }
        guard !addsSpecialTokens else { return parts }
        return parts.filter { if case .text = $0 { true } else { false } }
    }

    /// Takes white space at both ends of tokens out of their offsets.
    ///
    /// - Parameters:
    ///   - spans: One span per token, changed in place.
    ///   - addsPrefixSpace: Whether the one space in front of the first token was not in the text.
    ///   - spaces: White space characters at the start and the end of a token's text.
    static func trim(
        _ spans: inout Scratch<EncodingState.CharacterSpan>,
        addsPrefixSpace: Bool,
        spaces: (Int) -> (leading: Int, trailing: Int)
    ) {
        for index in 0..<spans.count {
            var (leading, trailing) = spaces(index)
            guard leading > 0 || trailing > 0 else { continue }
            var (start, end) = (spans[index].start, spans[index].end)
            if leading > 0 {
                let isFirst = index == 0 || start == 0
                // One space in front of the first token is the inserted one, more are the text's own.
                if isFirst, addsPrefixSpace, leading == 1 { leading = 0 }
                start = min(start + leading, end)
            }
            if trailing > 0, end >= trailing {
                trailing = end - trailing
                end = max(trailing, start)
            }
            spans[index] = EncodingState.CharacterSpan(start: start, end: end)
        }
    }
}

/// Which special tokens surround an encoded text.
public enum SpecialTokenRule: Sendable, Hashable {
    /// Those of the tokenizer file's own template.
    case template
    /// The beginning-of-sequence token in front and the end-of-sequence token behind each text, as asked for.
    ///
    /// A pair is written `(bos) A (eos) (bos) B (eos)` with type id 1 for the second part.
    case bosEOS(addBOS: Bool, addEOS: Bool)
}
