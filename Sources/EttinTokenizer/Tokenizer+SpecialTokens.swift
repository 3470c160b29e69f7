import EttinJSON

extension Tokenizer {
    /// The special tokens by role, as `special_tokens_map` of transformers and chat templates have them.
    package var specialTokens: [(role: String, token: String)] {
        ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"].compactMap {
            role in
            settings.specialToken(role).map { (role, $0) }
        }
    }

    /// The same tokenizer with another token in a role.
    ///
    /// - Parameters:
    ///   - role: The role, such as `eos_token`.
    ///   - token: The token, which the vocabulary has.
    /// - Returns: A tokenizer that shares all tables with this one.
    package func setting(_ role: String, to token: String) -> Tokenizer {
        var copy = self
        copy.settings.configuration[role] = .string(token)
        if copy.settings.specialTokensMap != nil { copy.settings.specialTokensMap?[role] = .string(token) }
        return copy
    }

    /// The same tokenizer without a member of `tokenizer_config.json`.
    ///
    /// - Parameter key: The key, such as `chat_template`.
    /// - Returns: A tokenizer that shares all tables with this one.
    package func removingSetting(_ key: String) -> Tokenizer {
        var copy = self
        copy.settings.configuration[key] = nil
        return copy
    }
}
