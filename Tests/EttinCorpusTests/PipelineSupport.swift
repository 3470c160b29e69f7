import EttinJSON
import EttinTokenizer
import Testing

/// A tokenizer with one token per byte: five special tokens, then the 256 bytes, from the last to the first if reversed.
func byteTokenizer(reversed: Bool = false) throws -> Tokenizer {
    // GPT-2 writes bytes that are printable characters as themselves and numbers the others from U+0100 on.
    var vocabulary = JSONObject()
    for (id, name) in ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"].enumerated() { vocabulary[name] = JSONValue(id) }
    var next: UInt32 = 0x100
    for byte in UInt32(0)...255 {
        let isPrintable = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
        let scalar = try #require(Unicode.Scalar(isPrintable ? byte : next))
        if !isPrintable { next += 1 }
        vocabulary[String(Character(scalar))] = JSONValue(5 + Int(reversed ? 255 - byte : byte))
    }
    let added = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"].enumerated().map { id, name -> JSONValue in
        [
            "id": JSONValue(id), "content": .string(name), "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        ]
    }
    let special = { (name: String) -> JSONValue in ["SpecialToken": ["id": .string(name), "type_id": 0]] }
    let template = { (name: String, id: Int) -> JSONValue in
        ["id": .string(name), "ids": [JSONValue(id)], "tokens": [.string(name)]]
    }
    let text: JSONValue = ["Sequence": ["id": "A", "type_id": 0]]
    let file: JSONValue = [
        "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(added), "normalizer": nil,
        "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true],
        "post_processor": [
            "type": "TemplateProcessing", "single": [special("[CLS]"), text, special("[SEP]")],
            "pair": [special("[CLS]"), text, special("[SEP]"), ["Sequence": ["id": "B", "type_id": 0]]],
            "special_tokens": ["[CLS]": template("[CLS]", 1), "[SEP]": template("[SEP]", 2)],
        ],
        "decoder": ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true],
        "model": [
            "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
            "end_of_word_suffix": nil, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": .object(vocabulary), "merges": [],
        ],
    ]
    let configuration: JSONValue = ["cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"]
    return try Tokenizer(tokenizerJSON: file.serialized(), tokenizerConfig: configuration.serialized())
}

/// The ids that `byteTokenizer` gives to text.
func byteIDs(_ text: String) -> [Int32] { text.utf8.map { Int32($0) + 5 } }
