import EttinJSON

extension TokenizerSettings {
    /// The classes whose tokens are those of `tokenizer.json` alone.
    private static let plainClasses: Set<String> = [
        "PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend",
    ]

    /// What the files say that has no effect, or not the one they say.
    ///
    /// - Parameters:
    ///   - file: The content of `tokenizer.json`.
    ///   - name: Its name for messages.
    ///   - stated: The tokens that other files add or change.
    ///   - ids: The ids that added tokens have.
    /// - Returns: A sentence each.
    func notices(file: TokenizerFile, name: String, stated: [StatedToken], ids: [[UInt8]: Int32]) -> [String] {
        var notices: [String] = []
        for token in stated {
            guard let id = token.id, let actual = ids[Array(token.token.content.utf8)], Int(actual) != id else {
                continue
            }
            notices.append(
                "\(token.source): gives \"\(token.token.content)\" the id \(id), but it is \(actual) by \(name), as in "
                    + "transformers"
            )
        }
        for (token, id) in zip(file.addedTokens, file.statedIDs) {
            guard id >= 0, let actual = ids[Array(token.content.utf8)], Int(actual) != id else { continue }
            notices.append(
                "\(name): gives the added token \"\(token.content)\" the id \(id), but it is \(actual) by the vocabulary"
            )
        }
        let configurationName = "tokenizer_config.json"
        if let name = configuration["tokenizer_class"]?.stringValue, !Self.plainClasses.contains(name) {
            notices.append(
                "\(configurationName): \"tokenizer_class\" is \"\(name)\"; tokens are those of tokenizer.json"
            )
        }
        if let addsSpace = configuration["add_prefix_space"]?.boolValue, file.isByteLevel,
            addsSpace != file.splitting.addsPrefixSpace
        {
            notices.append("\(configurationName): no effect of \"add_prefix_space\"; tokenizer.json says \(!addsSpace)")
        }
        if configuration["do_lower_case"] == true, !(file.pipeline?.lowercases ?? false) {
            notices.append(
                "\(configurationName): no effect of \"do_lower_case\"; the normalizer is that of tokenizer.json"
            )
        }
        return notices
    }
}
