import EttinJSON
import EttinTokenizer

/// The part of a manifest that says what a run is; two runs with the same header write the same bytes.
enum StageHeader {
    static func make(
        stage: String,
        parameters: JSONObject,
        inputs: [JSONValue],
        options: StageOptions
    ) -> JSONObject {
        [
            "stage": .string(stage), "manifest_version": 1, "parameters": .object(parameters),
            "shard": .string("\(options.part.index)/\(options.part.count)"),
            "writing": [
                "compression": options.writing.compression.map { .string($0.description) } ?? .null,
                "hashes": .array(options.writing.sortedHashNames.map { .string($0) }),
                "size_limit": options.writing.sizeLimitValue,
            ],
            "inputs": .array(inputs),
        ]
    }

    /// The type for token ids: two bytes when the vocabulary allows it.
    static func element(for tokenizer: Tokenizer) -> MDSElement {
        tokenizer.vocabularySize <= 1 << 16 ? .uint16 : .uint32
    }
}
