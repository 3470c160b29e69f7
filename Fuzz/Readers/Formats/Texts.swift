import EttinJSON
import EttinTokenizer

extension FuzzReader {
    // MARK: - JSON

    static let json = FuzzReader(
        name: "json",
        make: { dice in
            let seeds = [
                #"{"a":[1,-2.5e3,null,true,{"b":"\u00e9\ud83d\ude00\n"}],"c":{},"d":[],"e":"","f":1000000000000000000000}"#,
                "[[[[1]]],\"x\\\\y\",0.1,-0,1E5]", "\"text\"", " { } ", "3",
            ]
            var bytes = Array(dice.pick(seeds).utf8)
            if dice.chance(0.6) { bytes = JSONMutation().mutated(bytes, &dice) }
            return FuzzInput("a.json", dice.chance(0.5) ? ByteMutation.mutated(bytes, &dice) : bytes)
        },
        read: { input, _ in
            let bytes = input.first
            let options = JSONParsingOptions(
                maximumDepth: 64,
                allowsNonFiniteNumbers: bytes.count % 2 == 0,
                replacesLoneSurrogates: bytes.count % 3 == 0
            )
            let value = try JSONValue(parsing: bytes, options: options)
            for layout in [JSONLayout.compact, .singleLine, .indented(2)] {
                for escapes in [false, true] {
                    let text = value.serialized(
                        JSONWritingOptions(layout: layout, escapesNonASCII: escapes, writesNonFiniteNumbers: true)
                    )
                    let again = try? JSONValue(parsing: text, options: options)
                    try BrokenPromise.unless(again == value, "written JSON reads back differently")
                }
            }
        },
        usesFiles: false,
        memoryFactor: 140
    )

    // MARK: - Tokenizers

    /// Every kind of added token, and a vocabulary that lacks most bytes.
    private static let awkward = """
        {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [
          {"id": 11, "content": "<a>", "rstrip": true, "normalized": true},
          {"id": 12, "content": "<b>", "lstrip": true, "rstrip": true}, {"id": 13, "content": "zz", "single_word": true},
          {"id": 14, "content": "  ", "normalized": true},
          {"id": 15, "content": "e\\u0301f", "normalized": true, "special": true},
          {"id": 16, "content": "[M]", "lstrip": true, "special": true}],
         "normalizer": {"type": "NFC"},
         "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
         "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<a>", "type_id": 0}},
           {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}},
           {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<a>": {"id": "<a>", "ids": [11], "tokens": ["<a>"]}}},
         "decoder": {"type": "ByteLevel"},
         "model": {"type": "BPE", "dropout": null, "unk_token": "u", "fuse_unk": false, "byte_fallback": false,
         "ignore_merges": false, "vocab": {"u": 0, "a": 1, "e": 2, "Ġ": 3, "Ã": 4, "©": 5, "Ã©": 6,
         "Ġa": 7, "z": 8, "aa": 9, "aaaa": 10}, "merges": [["Ã", "©"], ["Ġ", "a"], ["a", "a"], ["aa", "aa"]]}}
        """
    /// Other types: characters with bytes as a last resort, WordPiece, Unigram, bytes cut by an expression.
    private static let otherTypes = [
        """
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
         {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}, "pre_tokenizer": {"type": "Split",
         "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false}, "decoder": {"type": "Sequence",
         "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
         {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
         "added_tokens": [{"id": 9, "content": "  ", "normalized": true}],
         "model": {"type": "BPE", "unk_token": "u", "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
         "vocab": {"u": 0, "a": 1, "▁": 2, "aa": 3, "▁a": 4, "<0xC3>": 5, "<0xA9>": 6, "z": 7, "a▁": 8},
         "merges": [["a", "a"], ["▁", "a"], ["a", "▁"]]}}
        """,
        """
        {"normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
         "strip_accents": null, "lowercase": true}, "pre_tokenizer": {"type": "BertPreTokenizer"},
         "post_processor": {"type": "BertProcessing", "sep": ["u", 0], "cls": ["<a>", 5]},
         "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
         "model": {"type": "WordPiece", "unk_token": "u", "continuing_subword_prefix": "##",
         "max_input_chars_per_word": 100, "vocab": {"u": 0, "a": 1, "##a": 2, "z": 3, "##zz": 4, "<a>": 5, "##e": 6}}}
        """,
        """
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Nmt"}, {"type": "NFKC"}, {"type": "StripAccents"},
         {"type": "Lowercase"}, {"type": "Strip", "strip_left": true, "strip_right": true},
         {"type": "Precompiled", "precompiled_charsmap": "DAAAAAABAAAAAAAAAAAAAGEA"}]},
         "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true},
         "post_processor": {"type": "RobertaProcessing", "sep": ["u", 0], "cls": ["a", 1], "trim_offsets": true,
         "add_prefix_space": true},
         "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true},
         "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": [["u", 0.0], ["a", -1.5],
         ["▁", -2], ["aa", -3.0], ["▁a", -3.5], ["<0xC3>", 0], ["<0xA9>", 0], ["aa", -1e-3]]}}
        """,
        """
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
         {"type": "Split", "pattern": {"Regex": "(?i:'s)|[^\\r\\n\\p{L}]?\\p{L}+|\\p{N}{1,3}|\\s+(?!\\S)|\\s+"},
         "behavior": "Isolated", "invert": false}, {"type": "ByteLevel", "add_prefix_space": false,
         "use_regex": false}]}, "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "unk_token": "u",
         "ignore_merges": true, "vocab": {"u": 0, "a": 1, "Ġ": 2, "Ġa": 3, "aaa": 4}, "merges": [["Ġ", "a"]]}}
        """,
    ]
    private static let tokenizerConfig = """
        {"model_max_length": 1000000000000000019884624838656, "mask_token": "[M]", "pad_token": {"content": "<a>"},
         "cls_token": "<a>", "sep_token": "<b>", "bos_token": null, "add_bos_token": true, "add_eos_token": false,
         "eos_token": "<b>", "added_tokens_decoder": {"11": {"content": "<a>", "special": true}},
         "tokenizer_class": "PreTrainedTokenizerFast"}
        """
    private static let texts = [
        "a e\u{301}f  <b> zz[M]", "aaaa aaa a\r\n\u{10FFFF}é", "", "zzz<a><a>  a ", "\u{FEFF}a\0a",
    ]

    private static func exercise(_ tokenizer: Tokenizer, _ text: [UInt8]) throws {
        let encoding = tokenizer.encode(utf8: text)
        let string = String(decoding: text, as: UTF8.self)
        let characters = string.unicodeScalars.count
        try BrokenPromise.unless(
            encoding.offsets.count == encoding.count && encoding.typeIDs.count == encoding.count
                && encoding.tokens.count == encoding.count,
            "lists differ in length"
        )
        try BrokenPromise.unless(
            encoding.offsets.allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= characters },
            "offsets out of the text"
        )
        try BrokenPromise.unless(tokenizer.encodeIDs(string) == encoding.ids, "the fast path differs")
        try BrokenPromise.unless(encoding.ids.allSatisfy { tokenizer.idToToken($0) != nil }, "an id has no token")
        var stream = TokenStreamDecoder(tokenizer)
        var streamed = ""
        for id in encoding.ids { streamed += stream.append(id) }
        streamed += stream.finish()
        let whole = tokenizer.decode(encoding.ids)
        try BrokenPromise.unless(streamed.utf8.elementsEqual(whole.utf8), "streamed text differs")
        _ = tokenizer.decode(encoding.ids, skipSpecialTokens: true)
    }

    static let tokenizer = FuzzReader(
        name: "tokenizer",
        make: { dice in
            let mutation = JSONMutation(words: [
                "BPE", "ByteLevel", "NFC", "TemplateProcessing", "Sequence", "<a>", "u", "aa", "Ġa", "id", "content",
                "Split", "Replace", "WordPiece", "Metaspace", "Unigram", "ByteFallback", "ids", "A", "B",
            ])
            let changesFile = dice.chance(0.75)
            let file = Array((dice.chance(0.5) ? awkward : dice.pick(otherTypes)).utf8)
            return FuzzInput([
                ("tokenizer.json", changesFile ? mutation.mutated(file, &dice) : file),
                (
                    "tokenizer_config.json",
                    changesFile ? Array(tokenizerConfig.utf8) : mutation.mutated(Array(tokenizerConfig.utf8), &dice)
                ),
            ])
        },
        read: { input, _ in
            let tokenizer = try Tokenizer(
                tokenizerJSON: input["tokenizer.json"],
                tokenizerConfig: input["tokenizer_config.json"],
                specialTokensMap: input.byteCount.isMultiple(of: 2) ? input["tokenizer_config.json"] : nil
            )
            for text in texts { try exercise(tokenizer, Array(text.utf8)) }
            _ = (tokenizer.maskTokenID, tokenizer.modelMaxLength, tokenizer.vocabularySize, tokenizer.padding)
            _ = tokenizer.withPrefixSpace(true).encode("x", pair: "y")
        },
        usesFiles: false
    )

    /// Texts of any bytes for a tokenizer that is awkward.
    static let text = FuzzReader(
        name: "text",
        make: { dice in
            var bytes: [UInt8] = []
            for _ in 0..<dice.below(8) { bytes += Array(dice.pick(texts + Hostile.words).utf8) }
            return FuzzInput("a.txt", dice.chance(0.6) ? ByteMutation.mutated(bytes, &dice) : bytes)
        },
        read: { input, _ in
            guard let tokenizer = awkwardTokenizer else { throw BrokenPromise("the built-in tokenizer does not load") }
            try exercise(tokenizer, input.first)
        },
        usesFiles: false
    )

    static let awkwardTokenizer = try? Tokenizer(
        tokenizerJSON: Array(awkward.utf8),
        tokenizerConfig: Array(tokenizerConfig.utf8)
    )
}
