// Coverage-guided fuzzing of the JSON parser, the tokenizer.json reader and the encoder. The first byte of an input
// says which; run.sh builds and runs this with libFuzzer.

import EttinJSON
import EttinTokenizer

/// A tokenizer with every kind of added token and a vocabulary that lacks most bytes.
private let awkward: Tokenizer? = try? Tokenizer(
    tokenizerJSON: Array(
        """
        {"added_tokens": [
          {"content": "<a>", "rstrip": true, "normalized": true}, {"content": "<b>", "lstrip": true, "rstrip": true},
          {"content": "zz", "single_word": true}, {"content": "  ", "normalized": true},
          {"content": "e\\u0301f", "normalized": true, "special": true}, {"content": "[M]", "lstrip": true}],
         "normalizer": {"type": "NFC"},
         "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true},
         "post_processor": {"type": "ByteLevel"}, "decoder": {"type": "ByteLevel"},
         "model": {"type": "BPE", "unk_token": "u", "vocab": {"u": 0, "a": 1, "e": 2, "Ġ": 3, "Ã": 4, "©": 5, "Ã©": 6,
         "Ġa": 7, "z": 8, "aa": 9, "aaaa": 10}, "merges": [["Ã", "©"], ["Ġ", "a"], ["a", "a"], ["aa", "aa"]]}}
        """.utf8
    )
)

private func check(_ condition: Bool, _ what: StaticString) {
    if !condition { fatalError("\(what)") }
}

private func fuzzJSON(_ bytes: [UInt8]) {
    let options = JSONParsingOptions(
        maximumDepth: 64,
        allowsNonFiniteNumbers: bytes.count % 2 == 0,
        replacesLoneSurrogates: bytes.count % 3 == 0
    )
    guard let value = try? JSONValue(parsing: bytes, options: options) else { return }
    for layout in [JSONLayout.compact, .singleLine, .indented(2)] {
        for escapes in [false, true] {
            let text = value.serialized(
                JSONWritingOptions(layout: layout, escapesNonASCII: escapes, writesNonFiniteNumbers: true)
            )
            check((try? JSONValue(parsing: text, options: options)) == value, "written JSON reads back differently")
        }
    }
}

private func exercise(_ tokenizer: Tokenizer, _ text: [UInt8]) {
    let encoding = tokenizer.encode(utf8: text)
    let characters = String(decoding: text, as: UTF8.self).unicodeScalars.count
    check(
        encoding.offsets.count == encoding.count && encoding.typeIDs.count == encoding.count,
        "lists differ in length"
    )
    check(encoding.tokens.count == encoding.count, "lists differ in length")
    check(encoding.offsets.allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= characters }, "offsets out of the text")
    check(tokenizer.encodeIDs(String(decoding: text, as: UTF8.self)) == encoding.ids, "fast path differs")
    check(encoding.ids.allSatisfy { tokenizer.idToToken($0) != nil }, "an id has no token")
    var stream = TokenStreamDecoder(tokenizer)
    var streamed = ""
    for id in encoding.ids { streamed += stream.append(id) }
    streamed += stream.finish()
    check(streamed.utf8.elementsEqual(tokenizer.decode(encoding.ids).utf8), "streamed text differs")
    _ = tokenizer.decode(text, skipSpecialTokens: true, cleanUpTokenizationSpaces: true)
}

/// Runs one input; libFuzzer calls this by its C name.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let mode = input.first else { return 0 }
    let bytes = Array(input.dropFirst())
    switch mode % 3 {
    case 0: fuzzJSON(bytes)
    case 1:
        guard let tokenizer = try? Tokenizer(tokenizerJSON: bytes, tokenizerConfig: bytes) else { return 0 }
        exercise(tokenizer, Array("a e\u{301}f  <b> zz[MASK]\u{FF}".utf8))
        exercise(tokenizer, bytes)
        _ = (tokenizer.maskTokenID, tokenizer.modelMaxLength, tokenizer.vocabularySize, tokenizer.padding)
        _ = tokenizer.withPrefixSpace(true).encode("x", pair: "y")
    default:
        guard let awkward else { fatalError("the built-in tokenizer does not load") }
        exercise(awkward, bytes)
    }
    return 0
}
