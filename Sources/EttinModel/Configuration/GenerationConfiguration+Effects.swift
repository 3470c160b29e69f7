import EttinFiles
import EttinJSON

// What becomes of the keys of transformers' GenerationConfig: most are obeyed, and the others are here.

extension GenerationConfiguration {
    /// The keys that are obeyed.
    private static let obeyed: Set<String> = [
        "bad_words_ids", "begin_suppress_tokens", "do_sample", "eos_token_id", "max_length", "max_new_tokens",
        "min_length",
        "min_new_tokens", "min_p", "no_repeat_ngram_size", "repetition_penalty", "stop_strings", "suppress_tokens",
        "temperature", "top_k", "top_p",
    ]

    /// Keys that change what is generated and are not implemented, with the value that changes nothing.
    private static let refused: [(key: String, neutral: JSONValue)] = [
        ("constraints", .null), ("diversity_penalty", 0), ("dola_layers", .null), ("encoder_no_repeat_ngram_size", 0),
        ("encoder_repetition_penalty", 1), ("exponential_decay_length_penalty", .null), ("force_words_ids", .null),
        ("forced_bos_token_id", .null), ("forced_eos_token_id", .null), ("guidance_scale", 1), ("is_assistant", false),
        ("max_time", .null), ("num_beam_groups", 1), ("num_beams", 1), ("num_return_sequences", 1),
        ("penalty_alpha", 0),
        ("sequence_bias", .null), ("token_healing", false), ("use_mtp", false), ("watermarking_config", .null),
    ]

    /// The same for keys that matter only when tokens are drawn.
    private static let refusedInSampling: [(key: String, neutral: JSONValue)] = [
        ("epsilon_cutoff", 0), ("eta_cutoff", 0), ("top_h", .null), ("typical_p", 1),
    ]

    /// Keys that most files have and that change nothing here: how Python computes, what it returns, how it pads.
    private static let inert: Set<String> = [
        "cache_config", "cache_implementation", "early_stopping", "length_penalty", "max_cache_len",
        "output_attentions",
        "output_hidden_states", "output_logits", "output_scores", "remove_invalid_values", "renormalize_logits",
        "return_dict_in_generate", "transformers_version",
    ]

    /// Every key that has a meaning for generation.
    static let keys = obeyed.union(refused.map(\.key)).union(refusedInSampling.map(\.key))

    /// The keys that were read from `config.json`, in the lack of a file of their own.
    package var keysOfModel: Set<String> { file == "config.json" ? Self.keys : [] }

    /// Refuses what would change the text and is not implemented.
    ///
    /// - Parameter isDrawn: Whether tokens are drawn; nil for what the file says.
    /// - Returns: A sentence about the keys without effect, if there are any.
    /// - Throws: `CheckpointError` that lists every key that is refused.
    package func check(isDrawn: Bool? = nil) throws -> [String] {
        let isDrawn = isDrawn ?? (samples == true)
        var problems: [CheckpointError.Problem] = []
        for (key, neutral) in Self.refused + (isDrawn ? Self.refusedInSampling : []) {
            guard let value = otherKeys[key], !value.isNull, !Self.isSame(value, neutral) else { continue }
            problems.append(
                .init(
                    .unsupported,
                    file: file,
                    item: quoted(key),
                    found: "is \(ConfigurationFields.shown(value)), which is not implemented",
                    expected: "no such key; --no-generation-config ignores the whole file"
                )
            )
        }
        if otherKeys["cache_implementation"] == "quantized" {
            problems.append(
                .init(
                    .unsupported,
                    file: file,
                    item: "\"cache_implementation\"",
                    found: "is \"quantized\", which is not implemented",
                    expected: "another cache; --no-generation-config ignores the whole file"
                )
            )
        }
        guard problems.isEmpty else { throw CheckpointError(problems) }
        let neutral = Dictionary(
            uniqueKeysWithValues: (Self.refused + Self.refusedInSampling).map { ($0.key, $0.neutral) }
        )
        let without = otherKeys.filter { member in
            !Self.inert.contains(member.key) && !member.value.isNull && member.value != false
                && !(neutral[member.key].map { Self.isSame(member.value, $0) } ?? false)
        }
        var notices = without.isEmpty ? [] : ["\(file): no effect of \(listing(without.map(\.key), limit: 10))"]
        let drawing = [
            ("temperature", temperature), ("top_p", topP), ("min_p", minP), ("top_k", topK.map(Double.init)),
        ]
        let given = drawing.filter { $0.1 != nil }.map(\.0)
        if !isDrawn, !given.isEmpty {
            notices.append(
                "\(file): no effect of \(listing(given)) unless tokens are drawn (do_sample or --temperature)"
            )
        }
        return notices
    }

    /// Names ids that the model cannot give.
    ///
    /// - Parameter vocabularySize: The number of tokens that the model knows.
    /// - Returns: A sentence for each key that has such ids.
    package func notices(vocabularySize: Int) -> [String] {
        let keys = [
            ("eos_token_id", eosTokenIDs), ("suppress_tokens", suppressedTokenIDs),
            ("begin_suppress_tokens", firstSuppressedTokenIDs), ("bad_words_ids", badWordsIDs.flatMap(\.self)),
        ]
        return keys.compactMap { key, ids in
            guard let id = ids.first(where: { !(0..<vocabularySize).contains($0) }) else { return nil }
            return "\(file): \(quoted(key)) has \(id), which no token of the vocabulary of \(vocabularySize) is"
        }
    }

    /// Compares numbers by value: files have 1 as well as 1.0.
    private static func isSame(_ value: JSONValue, _ other: JSONValue) -> Bool {
        if let number = value.doubleValue, let wanted = other.doubleValue { return number == wanted }
        return value == other
    }
}
