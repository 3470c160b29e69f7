import EttinCorpus
import EttinJSON

/// A value as JSON, with everything that is not text or a document in hexadecimal digits.
func described(_ value: MDSValue) -> JSONValue {
    switch value {
    case .bytes(let bytes): ["bytes": .string(hexadecimal(bytes))]
    case .string(let text): ["string": .string(text)]
    case .integer(let number): ["integer": JSONValue(Int(number))]
    case .scalar(let element, let bits):
        ["scalar": .string(element.rawValue), "bits": .string(String(bits))]
    case .decimal(let text): ["decimal": .string(text)]
    case .json(let document): ["json": document]
    case .array(let array):
        [
            "array": .string(array.element.rawValue), "shape": .array(array.shape.map { JSONValue($0) }),
            "values": .string(hexadecimal(array.bytes)),
        ]
    }
}

/// Prints each sample of a data set as one line of JSON.
func listSamples(_ folder: String) throws {
    let dataset = try MDSDataset(folder: folder, decompression: .intoMemory)
    let options = JSONWritingOptions(sortsKeys: true, writesNonFiniteNumbers: true)
    for sample in 0..<dataset.sampleCount {
        let values = try dataset.values(at: sample)
        print(JSONValue.object(JSONObject(values.map { ($0.key, described($0.value)) })).text(options))
    }
}

/// Writes the samples of a data set anew; options are those of the Python writer, as JSON.
func rewrite(_ input: String, to output: String, options text: String) throws {
    let json = try JSONValue(parsing: text)
    let dataset = try MDSDataset(folder: input, decompression: .intoMemory)
    var options = MDSWriter.Options()
    options.compression = try json["compression"]?.stringValue.map { try Compression(name: $0) }
    options.hashes = json["hashes"]?.arrayValue?.compactMap { HashAlgorithm(rawValue: $0.stringValue ?? "") } ?? []
    if let limit = json["size_limit"] { options.sizeLimit = limit.intValue }
    let columns = dataset.index.shards[0].schema.columns.map { (name: $0.name, encoding: $0.encoding) }
    let writer = try MDSWriter(folder: output, columns: columns, options: options)
    for sample in 0..<dataset.sampleCount { try writer.append(dataset.values(at: sample)) }
    try writer.finish()
}

/// Checks a data set and prints what was found; fails when anything is wrong.
func verify(_ arguments: [String]) throws {
    let dataset = try MDSDataset(folder: arguments[0], decompression: .intoMemory)
    let report = dataset.verified(
        tokenColumn: arguments.count > 1 ? arguments[1] : nil,
        vocabularySize: arguments.count > 2 ? Int(arguments[2]) : nil
    )
    let counts: JSONValue = [
        "shards": JSONValue(report.shardCount), "samples": JSONValue(report.sampleCount),
        "tokens": JSONValue(report.tokenCount), "hashes": JSONValue(report.hashCount),
    ]
    print(counts)
    if let problem = report.problems.first { throw problem }
}

/// Prints how many samples an epoch draws from each of several data sets, and all token ids.
func listStreams(_ arguments: [String]) throws {
    let datasets = try arguments.dropFirst().map { argument in
        let parts = argument.split(separator: "=")
        return (try MDSDataset(folder: String(parts[0])), MDSStreams.Weight.proportion(Double(parts[1]) ?? 0))
    }
    let streams = try MDSStreams(datasets, epochSampleCount: Int(arguments[0]))
    let ids = try (0..<streams.sampleCount).map { sample in
        let ids = try streams.tokenIDs(at: sample, column: "array uint16")
        return JSONValue.array(ids.map { JSONValue(Int($0)) })
    }
    let result: JSONValue = [
        "samples": JSONValue(streams.sampleCount),
        "draw_counts": .array(streams.streams.map { JSONValue($0.drawCount) }), "input_ids": .array(ids),
    ]
    print(result)
}

/// Prints each document of an input as one line of JSON.
func listDocuments(_ path: String, _ textField: String, _ idField: String) throws {
    let options = ReadingOptions(textField: textField, idField: idField, emptyDocuments: .keep)
    var reader = DocumentReader(try CorpusInput.find([path]), options: options)
    while let batch = try reader.next() {
        for document in try batch.documents().compactMap(\.self) {
            let line: JSONValue = ["id": .string(document.id), "text": .string(document.text)]
            print(line)
        }
    }
}
