import EttinJSON

extension TokenizerFile {
    /// The content of `tokenizer.json`, laid out as the original library lays it out.
    ///
    /// Everything that was read is written back in its place; a file of the original comes out byte for byte.
    func serialized(addedTokens: [(token: AddedToken, id: Int32)]) -> [UInt8] {
        var writer = JSONWriter(options: JSONWritingOptions(layout: .indented(2)))
        writer.beginObject()
        for member in header {
            writer.key(member.key)
            switch member.key {
            case "added_tokens": Self.write(addedTokens, to: &writer)
            case "model": writeModel(to: &writer)
            default: writer.write(member.value)
            }
        }
        if header["added_tokens"] == nil, !addedTokens.isEmpty {
            writer.key("added_tokens")
            Self.write(addedTokens, to: &writer)
        }
        writer.endObject()
        return writer.bytes
    }

    private static func write(_ addedTokens: [(token: AddedToken, id: Int32)], to writer: inout JSONWriter) {
        writer.beginArray()
        // The original lists added tokens by id.
        for (token, id) in addedTokens.sorted(by: { $0.id < $1.id }) {
            writer.write([
                "id": JSONValue(Int(id)), "content": .string(token.content), "single_word": .bool(token.isWholeWord),
                "lstrip": .bool(token.stripsLeft), "rstrip": .bool(token.stripsRight),
                "normalized": .bool(token.isNormalized), "special": .bool(token.isSpecial),
            ])
        }
        writer.endArray()
    }

    private func writeModel(to writer: inout JSONWriter) {
        writer.beginObject()
        for member in modelOptions {
            writer.key(member.key)
            switch member.key {
            case "vocab":
                if case .unigram(let model) = pipeline?.model {
                    writeScores(model, to: &writer)
                    continue
                }
                writer.beginObject()
                vocabulary.forEachInFileOrder { token, id in
                    writer.key(utf8: token)
                    writer.write(JSONValue(Int(id)))
                }
                writer.endObject()
            case "merges":
                writer.beginArray()
                for merge in merges.merges.buffer {
                    writer.beginArray()
                    for id in [merge.left, merge.right] {
                        if let token = vocabulary.text(of: Int(id)) { writer.write(utf8: token) }
                    }
                    writer.endArray()
                }
                writer.endArray()
            default: writer.write(member.value)
            }
        }
        writer.endObject()
    }
}

extension TokenizerFile {
    private func writeScores(_ model: UnigramModel, to writer: inout JSONWriter) {
        writer.beginArray()
        vocabulary.forEachInFileOrder { token, id in
            writer.beginArray()
            writer.write(utf8: token)
            writer.write(JSONValue(model.scores[Int(id)]))
            writer.endArray()
        }
        writer.endArray()
    }
}

extension Tokenizer {
    /// Writes `tokenizer.json`, `tokenizer_config.json` and, if there was one, `special_tokens_map.json`.
    ///
    /// The Python libraries load the result. Each file is replaced as a whole.
    ///
    /// - Parameter folder: The folder; it is made when it does not exist.
    /// - Throws: `TokenizerError` when a file cannot be written.
    public func save(to folder: String) throws { try save(to: folder, modelMaxLength: nil) }

    /// Writes the files with another largest number of tokens.
    ///
    /// - Parameters:
    ///   - folder: The folder; it is made when it does not exist.
    ///   - modelMaxLength: The largest number of tokens the model takes; nil for the tokenizer's own.
    /// - Throws: `TokenizerError` when a file cannot be written.
    package func save(to folder: String, modelMaxLength: Int?) throws {
        try makeFolder(folder)
        try writeFile("\(folder)/tokenizer.json", file.serialized(addedTokens: core.addedTokens))
        let options = JSONWritingOptions(layout: .indented(2))
        let newline = UInt8(ascii: "\n")
        var configuration = settings.configuration
        if configuration["tokenizer_class"] == nil { configuration["tokenizer_class"] = "PreTrainedTokenizerFast" }
        if let modelMaxLength { configuration["model_max_length"] = JSONValue(modelMaxLength) }
        try writeFile(
            "\(folder)/tokenizer_config.json",
            JSONValue.object(configuration).serialized(options) + [newline]
        )
        if let map = settings.specialTokensMap {
            try writeFile(
                "\(folder)/special_tokens_map.json",
                JSONValue.object(map).serialized(options) + [newline]
            )
        }
    }
}
