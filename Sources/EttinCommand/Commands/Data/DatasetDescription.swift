import EttinCorpus
import EttinJSON
import EttinTokenizer

/// A sample, with text where it has one or a tokenizer gives one.
struct ShownSample {
    let number: Int
    let values: [(name: String, value: JSONValue)]
    let tokenCount: Int?
    let text: String?

    init(_ dataset: MDSDataset, _ sample: Int, tokenColumn: String?, _ tokenizer: Tokenizer?) throws {
        number = sample
        let all = try dataset.values(at: sample)
        let ids = try tokenColumn.map { try dataset.tokenIDs(at: sample, column: $0) }
        tokenCount = ids?.count
        text = tokenizer.flatMap { tokenizer in ids.map { tokenizer.decode($0) } }
        let (shard, _) = dataset.location(of: sample)
        values = dataset.index.shards[shard].schema.columns.map { column in
            (column.name, all[column.name]?.json ?? .null)
        }
    }
}

extension MDSValue {
    /// The value for people and programs; bytes and numbers that JSON has no place for as a description.
    fileprivate var json: JSONValue {
        switch self {
        case .string(let text), .decimal(let text): .string(text)
        case .integer(let number): JSONValue(Int(number))
        case .json(let document): document
        case .array(let array):
            array.tokenIDs().map { JSONValue($0) } ?? .string("\(array.element.rawValue) \(array.shape)")
        case .scalar(let element, let bits):
            element.isInteger && element.rawValue.hasPrefix("u")
                ? .number(JSONNumber(bits)) : .string("\(element.rawValue) 0x\(String(bits, radix: 16))")
        case .bytes(let bytes): .string("\(bytes.count) bytes")
        }
    }
}

/// What `ettin data inspect` says about a data set.
struct DatasetDescription {
    let dataset: MDSDataset
    let inspection: Inspection?
    let samples: [ShownSample]

    private var shards: [MDSShardDescription] { dataset.index.shards }
    private var rawBytes: Int { shards.reduce(0) { $0 + $1.raw.byteCount } }
    private var zipBytes: Int { shards.reduce(0) { $0 + ($1.zip?.byteCount ?? $1.raw.byteCount) } }
    private var compressions: [String] { Set(shards.compactMap(\.compression)).sorted() }
    private var hashes: [String] { Set(shards.flatMap(\.hashes)).sorted() }

    /// The columns of the first shard; those of others may differ in type.
    private var columns: [MDSSchema.Column] { shards.first?.schema.columns ?? [] }

    func print() throws {
        try StandardOutput.write { output in
            try output.line("samples      \(dataset.sampleCount) in \(shards.count) shards")
            try output.line("columns      " + columns.map { "\($0.name) \($0.encoding.name)" }.joined(separator: ", "))
            try output.line(
                "files        \(zipBytes) bytes, uncompressed \(rawBytes); compression: \(list(compressions)); "
                    + "hashes: \(list(hashes))"
            )
            if let inspection { try print(inspection, output) }
            for sample in samples { try print(sample, output) }
        }
    }

    private func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }

    private func print(_ inspection: Inspection, _ output: StandardOutput) throws {
        let lengths = inspection.lengths
        try output.line("tokens       \(lengths.tokenCount)")
        guard lengths.sequenceCount > 0 else { return }
        let percentiles = [0.0, 10, 50, 90, 100].map { percent in
            "\(Int(percent))% \(Int(lengths.percentile(percent) ?? 0))"
        }
        try output.line("lengths      \(percentiles.joined(separator: ", "))")
        let ranges = lengths.ranges()
        let largest = ranges.map(\.count).max() ?? 1
        for (range, count) in ranges {
            let name = "\(range.lowerBound)-\(range.upperBound - 1)"
            let padding = String(repeating: " ", count: max(1, 12 - name.count))
            let bar = String(repeating: "#", count: (count * 40 + largest - 1) / largest)
            try output.line("  \(name)\(padding)\(bar)\(bar.isEmpty ? "" : " ")\(count)")
        }
        for source in inspection.sources where inspection.sources.count > 1 || !source.name.isEmpty {
            let share = Double(source.lengths.tokenCount) / Double(max(1, lengths.tokenCount)) * 1000
            let percent = "\(Int(share.rounded()) / 10).\(Int(share.rounded()) % 10)%"
            try output.line(
                "source       \(source.name.isEmpty ? "." : source.name): \(source.lengths.sequenceCount) samples, "
                    + "\(source.lengths.tokenCount) tokens (\(percent))"
            )
        }
    }

    private func print(_ sample: ShownSample, _ output: StandardOutput) throws {
        try output.line("sample       \(sample.number)" + (sample.tokenCount.map { ", \($0) tokens" } ?? ""))
        for (name, value) in sample.values {
            try output.line("  \(name): \(shortened(value.text()))")
        }
        if let text = sample.text { try output.line("  text: \(shortened(JSONValue.string(text).text()))") }
    }

    /// The front of a long text, marked; `--json` has all of it.
    private func shortened(_ text: String) -> String {
        let front = text.unicodeScalars.prefix(200)
        return front.endIndex == text.endIndex ? text : String(String.UnicodeScalarView(front)) + "…"
    }

    var json: JSONValue {
        var object: JSONObject = [
            "samples": JSONValue(dataset.sampleCount), "shards": JSONValue(shards.count),
            "columns": .array(
                columns.map { ["name": .string($0.name), "encoding": .string($0.encoding.name)] }
            ),
            "bytes": JSONValue(zipBytes), "raw_bytes": JSONValue(rawBytes),
            "compression": .array(compressions.map { .string($0) }), "hashes": .array(hashes.map { .string($0) }),
        ]
        for member in inspection?.json.objectValue ?? JSONObject() { object[member.key] = member.value }
        object["examples"] = .array(
            samples.map { sample in
                var example: JSONObject = ["sample": JSONValue(sample.number)]
                example["values"] = .object(JSONObject(sample.values.map { ($0.name, $0.value) }))
                if let text = sample.text { example["text"] = .string(text) }
                return .object(example)
            }
        )
        return .object(object)
    }
}
