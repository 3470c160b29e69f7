/// Whole, correct inputs that the mutations start from, built here so that no file is needed.
enum Seeds {
    static let safetensorsHeaders: [String] = [
        #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"#
            + #""b":{"dtype":"BF16","shape":[4],"data_offsets":[16,24]},"c":{"dtype":"U8","shape":[0,9],"data_offsets":[24,24]}}"#,
        #"{"x":{"dtype":"F4","shape":[4],"data_offsets":[0,2]},"y":{"dtype":"BOOL","shape":[],"data_offsets":[2,3]}}"#,
        #"{"é\"\\":{"shape":[1,1,1,3],"data_offsets":[0,24],"dtype":"I64"}}     "#,
        "{}",
    ]

    /// The bytes of data that each of the headers describes.
    static let safetensorsData = [24, 3, 24, 0]

    static func safetensors(header: [UInt8], data: Int) -> [UInt8] {
        little(UInt64(header.count), 8) + header + (0..<data).map { UInt8(truncatingIfNeeded: $0) }
    }

    // MARK: - Pickles

    static let pickles: [[UInt8]] = [stateDictionary(), nested(), everything()]

    /// `{"w": tensor, "v": view of the same storage}` as torch writes it.
    private static func stateDictionary() -> [UInt8] {
        var code: [UInt8] = [0x80, 2] + text("}q\u{0}(") + unicode("w")
        code += tensor(storage: "0", count: 12, offset: 0, shape: [3, 4], strides: [4, 1])
        code += unicode("v") + tensor(storage: "0", count: 12, offset: 1, shape: [4, 2], strides: [1, 4])
        return code + text("u.")
    }

    /// A training state: `{"state": {"model": {…}, "misc": […]}}`.
    private static func nested() -> [UInt8] {
        var code: [UInt8] = [0x80, 2] + text("}(") + unicode("state") + text("}(") + unicode("model")
        code += global("collections", "OrderedDict") + text(")R(") + unicode("x")
        code += tensor(storage: "1", count: 4, offset: 0, shape: [4], strides: [1]) + text("u")
        code += unicode("misc") + text("](K\u{1}NG") + little(0x4009_21FB, 8) + [0x88, 0x89] + [0x8A, 2, 0xFF, 0x7F]
        code += global("datetime", "timedelta") + text("K\u{0}K\u{1}K\u{0}") + [0x87] + text("Re")
        return code + text("uu.")
    }

    /// One of most opcodes, protocol 4.
    private static func everything() -> [UInt8] {
        var code: [UInt8] = [0x80, 4, 0x95] + little(60, 8) + text("}") + [0x94] + text("(")
        code += shortUnicode("s") + [0x8F, 0x94] + text("(K\u{1}K\u{2}") + [0x90]
        code += shortUnicode("f") + text("(K\u{1}") + [0x91] + shortUnicode("b") + text("C\u{2}ab")
        code += shortUnicode("t") + text("K\u{1}") + [0x85] + shortUnicode("p") + text("K\u{1}K\u{2}") + [0x86]
        code += shortUnicode("g") + shortUnicode("torch") + shortUnicode("float32") + [0x93]
        code +=
            shortUnicode("h") + text("h\u{1}") + shortUnicode("n") + text("h\u{0}0N") + shortUnicode("l")
            + text("](h\u{1}eu.")
        return code
    }

    private static func tensor(storage: String, count: UInt8, offset: UInt8, shape: [UInt8], strides: [UInt8])
        -> [UInt8]
    {
        var code = global("torch._utils", "_rebuild_tensor_v2") + text("((") + unicode("storage")
        code += global("torch", "FloatStorage") + unicode(storage) + unicode("cpu") + [0x4B, count] + text("tQ")
        code += [0x4B, offset] + tuple(shape) + tuple(strides) + [0x89]
        return code + global("collections", "OrderedDict") + text(")RtR")
    }

    private static func tuple(_ numbers: [UInt8]) -> [UInt8] {
        text("(") + numbers.flatMap { [0x4B, $0] } + text("t")
    }

    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }
    private static func global(_ module: String, _ name: String) -> [UInt8] { text("c\(module)\n\(name)\n") }
    private static func unicode(_ value: String) -> [UInt8] {
        text("X") + little(UInt64(value.utf8.count), 4) + value.utf8
    }
    private static func shortUnicode(_ value: String) -> [UInt8] { [0x8C, UInt8(value.utf8.count)] + value.utf8 }

    // MARK: - Archives

    /// The file that torch.save would write around a pickle.
    static func archive(_ pickle: [UInt8]) -> [UInt8] {
        zip([
            ("m/data.pkl", pickle), ("m/byteorder", text("little")), ("m/data/0", [UInt8](repeating: 1, count: 48)),
            ("m/data/1", [UInt8](repeating: 2, count: 16)), ("m/version", text("3\n")),
        ])
    }

    static func zip(_ entries: [(String, [UInt8])]) -> [UInt8] {
        var bytes: [UInt8] = []
        var directory: [UInt8] = []
        for (name, data) in entries {
            let start = bytes.count
            let sizes = little(UInt64(data.count), 4) + little(UInt64(data.count), 4)
            let lengths = little(UInt64(name.utf8.count), 2) + [0, 0]
            bytes += [0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 14) + sizes + lengths + name.utf8 + data
            directory += [0x50, 0x4B, 1, 2] + [UInt8](repeating: 0, count: 16) + sizes + lengths
            directory += [UInt8](repeating: 0, count: 10) + little(UInt64(start), 4) + name.utf8
        }
        let count = little(UInt64(entries.count), 2)
        let place = little(UInt64(directory.count), 4) + little(UInt64(bytes.count), 4)
        return bytes + directory + [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + count + count + place + [0, 0]
    }

    /// The older form: five pickles, then the storages.
    static func legacy(_ pickle: [UInt8]) -> [UInt8] {
        let magic: [UInt8] = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]
        let system = [0x80, 2] + text("}(") + unicode("little_endian") + [0x88] + text("u.")
        let keys = [0x80, 2] + text("](") + unicode("0") + text("e.")
        return magic + [0x80, 2, 0x4D, 0xE9, 3, 0x2E] + system + pickle + keys + little(12, 8)
            + [UInt8](repeating: 3, count: 48)
    }

    static func little(_ value: UInt64, _ width: Int) -> [UInt8] {
        (0..<width).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    // MARK: - JSON

    static let configurations: [String] = [
        #"{"model_type":"modernbert","vocab_size":400,"hidden_size":64,"intermediate_size":96,"num_hidden_layers":4,"#
            + #""num_attention_heads":4,"pad_token_id":3,"global_rope_theta":160000.0,"local_rope_theta":null,"#
            + #""local_attention":128,"id2label":{"0":"a","1":"b"},"label2id":{"a":0,"b":1},"x":{"y":[1,2.5,null]}}"#,
        #"{"model_type":"modernbert-decoder","num_hidden_layers":3,"layer_types":["full_attention","sliding_attention","#
            + #""full_attention"],"rope_parameters":{"full_attention":{"rope_theta":7.0,"rope_type":"linear","factor":2},"#
            + #""sliding_attention":{"rope_theta":9.5}},"sliding_window":10,"eos_token_id":[1,2],"dtype":"bfloat16"}"#,
    ]
    static let index = #"{"metadata":{"total_size":24},"weight_map":{"a":"m.safetensors","b":"m.safetensors"}}"#
    static let generation = #"{"_from_model_config":true,"eos_token_id":[1,2],"temperature":0.5,"top_k":3,"z":null}"#
}
