import EttinJSON
import Foundation
import Testing

/// Folders of classifiers, made of the encoder that the command itself has made.
enum TinyClassifiers {
    /// Gives a body the folder of a classifier with weights that are no language model's.
    ///
    /// - Parameters:
    ///   - architecture: The end of the Python class's name, such as `ForSequenceClassification`.
    ///   - labels: The labels; as many outputs as the head has.
    ///   - hasLabels: Whether `config.json` names them.
    ///   - body: Gets the path of the folder.
    /// - Returns: What the body returns.
    /// - Throws: What the body throws.
    static func with<Result>(
        _ architecture: String,
        labels: [String],
        hasLabels: Bool = true,
        _ body: (String) throws -> Result
    ) throws -> Result {
        let models = try TinyModels.shared()
        return try withTemporaryFolder { folder in
            let copy = "\(folder)/model"
            try FileManager.default.copyItem(atPath: models.encoder, toPath: copy)
            var config = try #require(
                try JSONValue(parsing: String(contentsOfFile: "\(copy)/config.json", encoding: .utf8)).objectValue
            )
            config["architectures"] = .array([.string("ModernBert\(architecture)")])
            if hasLabels {
                config["id2label"] = .object(JSONObject(labels.enumerated().map { ("\($0)", .string($1)) }))
            }
            _ = try write(JSONValue.object(config).text(), to: "\(copy)/config.json")
            let weights = URL(filePath: "\(copy)/model.safetensors")
            try classifier(from: Data(contentsOf: weights), outputs: labels.count).write(to: weights)
            return try body(copy)
        }
    }

    /// A safetensors file with a classifier in the place of the output layer.
    private static func classifier(from file: Data, outputs: Int) throws -> Data {
        let bytes = Array(file)
        let length = (0..<8).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
        let header = try #require(
            try JSONValue(parsing: String(decoding: bytes[8..<8 + length], as: UTF8.self)).objectValue
        )
        func values(_ count: Int) -> [UInt8] {
            (0..<count).flatMap { index -> [UInt8] in
                let value = (Float((index * 37) % 101) / 101 - 0.5).bitPattern
                return (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
            }
        }
        var (entries, data) = (JSONObject(), [UInt8]())
        func add(_ name: String, dtype: JSONValue?, shape: JSONValue?, _ content: [UInt8]) {
            entries[name] = [
                "dtype": dtype ?? .null, "shape": shape ?? .null,
                "data_offsets": [JSONValue(data.count), JSONValue(data.count + content.count)],
            ]
            data += content
        }
        for (name, entry) in header.map({ ($0.key, $0.value) }) where !name.hasPrefix("decoder.") {
            guard let start = entry["data_offsets"]?[0]?.intValue, let end = entry["data_offsets"]?[1]?.intValue else {
                continue
            }
            let content = bytes[(8 + length + start)..<(8 + length + end)]
            add(name, dtype: entry["dtype"], shape: entry["shape"], Array(content))
        }
        add("classifier.weight", dtype: "F32", shape: [JSONValue(outputs), 32], values(outputs * 32))
        add("classifier.bias", dtype: "F32", shape: [JSONValue(outputs)], values(outputs))
        let text = Array(JSONValue.object(entries).text().utf8)
        let size = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
        return Data(size + text + data)
    }
}
