import EttinCorpus
import EttinJSON
import EttinTokenizer

/// What all stages are told, from JSON.
private func stageOptions(_ json: JSONValue) throws -> StageOptions {
    var options = StageOptions(output: json["output"]?.stringValue ?? "")
    if let index = json["shard"]?.intValue, let count = json["shards"]?.intValue {
        options.part = try JobPart(index: index, count: count)
    }
    if let limit = json["size_limit"]?.intValue { options.writing.sizeLimit = limit }
    options.threads = json["threads"]?.intValue ?? 1
    return options
}

private func tokenizer(_ json: JSONValue) throws -> Tokenizer {
    try Tokenizer(folder: json["tokenizer"]?.stringValue ?? "")
}

/// Runs the stage that turns documents into ids and prints its manifest.
func tokenize(_ json: JSONValue) throws {
    var reading = ReadingOptions()
    if let separator = json["separator"]?.stringValue { reading.splitting = .separator(separator) }
    if json["lines"] == true { reading.splitting = .line }
    if json["skip_empty"] == true { reading.emptyDocuments = .skip }
    let inputs = json["inputs"]?.arrayValue?.compactMap(\.stringValue) ?? []
    let stage = TokenizeStage(inputs: inputs, reading: reading, tokenizer: try tokenizer(json))
    print(try stage.run(stageOptions(json)))
}

/// Runs the stage that cuts documents into chunks and prints its manifest.
func chunk(_ json: JSONValue) throws {
    var chunking = try ChunkOptions(
        chunkSize: json["chunk_size"]?.intValue ?? 1024,
        minimumSize: json["min_chunk_size"]?.intValue ?? 512,
        alwaysSkipSize: json["always_skip_size"]?.intValue ?? 128
    )
    if let seed = json["document_seed"]?.intValue { chunking.draws = .perDocument(seed: UInt64(seed)) }
    if json["backfill"] == false { chunking.backfills = false }
    let input = json["input"]?.stringValue ?? ""
    let stage = ChunkStage(input: input, tokenizer: try tokenizer(json), chunking: chunking)
    print(try stage.run(stageOptions(json)))
}

/// Mixes data sets and prints the summary.
func mix(_ json: JSONValue) throws {
    let sources = json["sources"]?.arrayValue?.map { source in
        MixStage.Source(
            name: source["name"]?.stringValue ?? "",
            input: source["input"]?.stringValue ?? "",
            share: source["tokens"]?.intValue.map { .tokens($0) } ?? .all,
            repeatLimit: nil
        )
    }
    print(try MixStage(sources: sources ?? []).run(stageOptions(json)))
}
