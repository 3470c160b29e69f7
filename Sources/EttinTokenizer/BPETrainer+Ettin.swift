extension BPETrainer {
    /// The special tokens of the suite with their roles, in the order of their ids.
    ///
    /// The decoder's begin and end of sequence are the encoder's `[CLS]` and `[SEP]`, so that one tokenizer serves both.
    static let ettinSpecialTokens: [(token: AddedToken, roles: [String])] = [
        (AddedToken("[UNK]", isSpecial: true), ["unk_token"]),
        (AddedToken("[CLS]", isSpecial: true), ["cls_token", "bos_token"]),
        (AddedToken("[SEP]", isSpecial: true), ["sep_token", "eos_token"]),
        (AddedToken("[PAD]", isSpecial: true), ["pad_token"]),
        // Swallows the space before it, because the word it stands for would have carried it.
        (AddedToken("[MASK]", stripsLeft: true, isSpecial: true), ["mask_token"]),
    ]

    /// A trainer whose tokenizers serve both an encoder and a decoder of the suite.
    ///
    /// `[UNK]`, `[CLS]`, `[SEP]`, `[PAD]` and `[MASK]` get the ids 0 to 4, texts become `[CLS] A [SEP]`.
    ///
    /// - Parameters:
    ///   - vocabularySize: How many tokens to make, special tokens and the 256 bytes included.
    ///   - additionalSpecialTokens: Texts of further special tokens, with the ids from 5.
    /// - Throws: `TokenizerError` when the vocabulary has no room for special tokens and bytes, or a special token is
    ///   empty or named twice.
    /// - Returns: The trainer.
    public static func ettin(vocabularySize: Int, additionalSpecialTokens: [String] = []) throws -> BPETrainer {
        var trainer = BPETrainer(vocabularySize: vocabularySize)
        for (token, roles) in ettinSpecialTokens {
            trainer.specialTokens.append(token)
            for role in roles { trainer.roles[role] = token.content }
        }
        for text in additionalSpecialTokens {
            let isKnown = trainer.specialTokens.contains { $0.content.utf8.elementsEqual(text.utf8) }
            guard !text.isEmpty, !isKnown else {
                throw TokenizerError.invalidOption(
                    name: "special token",
                    found: "\"\(text)\"",
                    expected: text.isEmpty ? "a text" : "one that is not there yet"
                )
            }
            trainer.specialTokens.append(AddedToken(text, isSpecial: true))
        }
        let least = trainer.specialTokens.count + 256
        guard vocabularySize >= least, vocabularySize <= Vocabulary.largestID else {
            throw TokenizerError.invalidOption(
                name: "vocabulary size",
                found: "\(vocabularySize)",
                expected:
                    "\(least) (\(trainer.specialTokens.count) special tokens and 256 bytes) to \(Vocabulary.largestID)"
            )
        }
        return trainer
    }
}
