import EttinFiles
import EttinRecipes
package import EttinTokenizer
import EttinTraining

/// The special tokens around and between the texts of a pair, such as `[CLS] A [SEP] B [SEP]`.
package struct PairTemplate: Hashable, Sendable {
    /// The parts in order.
    package let parts: [PairTemplatePart]

    /// Reads a template; nil unless each text is there once, the first one first.
    ///
    /// - Parameter text: Parts with blanks between them: `A` and `B` (or `$A` and `$B`) for the texts, all others tokens.
    package init?(_ text: String) {
        parts = text.split(separator: " ").map { part in
            switch part {
            case "A", "$A": .first
            case "B", "$B": .second
            default: .special(String(part))
            }
        }
        guard parts.filter({ $0 == .first || $0 == .second }) == [.first, .second] else { return nil }
    }

    /// The template of a decoder, which has none of its own that pre-training knew.
    ///
    /// > Source: the suite's evaluations encode pairs so for encoders; how decoders read them is not stated.
    ///
    /// - Parameter tokenizer: The decoder's tokenizer.
    /// - Throws: `TrainingError` for a tokenizer without tokens that could begin a text and part two.
    package init(ofDecoder tokenizer: Tokenizer) throws {
        let begin = tokenizer.clsTokenID ?? tokenizer.bosTokenID
        let end = tokenizer.sepTokenID ?? tokenizer.eosTokenID
        guard let begin = begin.flatMap(tokenizer.idToToken), let end = end.flatMap(tokenizer.idToToken) else {
            throw TrainingError(
                .missing,
                "pair_template",
                found:
                    "is not there, and the tokenizer has neither cls_token and sep_token nor bos_token and eos_token",
                expected: "a template such as \"<s> A </s> B </s>\""
            )
        }
        parts = [.special(begin), .first, .special(end), .second, .special(end)]
    }

    /// The template for reading.
    package var text: String {
        parts.map { part in
            switch part {
            case .first: "A"
            case .second: "B"
            case .special(let token): token
            }
        }.joined(separator: " ")
    }

    /// Refuses tokens that a tokenizer lacks.
    ///
    /// - Parameter tokenizer: The tokenizer.
    /// - Throws: `TrainingError` naming the token.
    func check(_ tokenizer: Tokenizer) throws {
        for case .special(let token) in parts where tokenizer.tokenToID(token) == nil {
            throw TrainingError(
                .invalidOption,
                "pair_template",
                found: "has \(quoted(token)), which the vocabulary lacks",
                expected: "A, B and tokens of the vocabulary, such as [CLS] A [SEP] B [SEP]"
            )
        }
    }
}
